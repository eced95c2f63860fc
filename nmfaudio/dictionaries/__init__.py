"""Dictionaries: templates with the names of their sources, and how they are learned, converted and saved."""
