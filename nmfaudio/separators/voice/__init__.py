"""Separation of a lead voice: the separator, and the spectra of its model."""
