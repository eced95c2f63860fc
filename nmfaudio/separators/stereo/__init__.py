"""Separation of a stereo mixture by the panning of its sources."""
