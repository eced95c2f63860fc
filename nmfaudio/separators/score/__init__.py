"""Separation with a score."""
