"""Separation of drums."""
