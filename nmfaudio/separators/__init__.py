"""Separators: one module or package each."""
