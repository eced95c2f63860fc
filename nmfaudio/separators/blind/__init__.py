"""Separation of a recording of which nothing is known."""
