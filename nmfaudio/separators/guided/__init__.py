"""Blind components that are grouped by what another model makes of the mixture."""
