"""From a recording to stems: find and fit a separator, apply it block by block, write stems and manifest."""
