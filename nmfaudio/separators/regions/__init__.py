"""Regions: rectangles of time and frequency in which the user says which source sounds."""
