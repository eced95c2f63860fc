"""Dictionaries: templates with the names of their sources, learned, converted and kept in files."""
