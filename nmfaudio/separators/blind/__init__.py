"""Separation without any knowledge of the sources: components are found and grouped into sources."""
