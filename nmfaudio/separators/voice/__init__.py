"""Separation of a singing voice from its accompaniment."""
