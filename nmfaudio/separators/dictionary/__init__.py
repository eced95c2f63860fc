"""Separation with templates that were learned before."""
