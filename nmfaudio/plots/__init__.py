"""Figures of components, templates and ranks. They are returned or saved, and never shown in a window."""
