"""Audio in, spectrograms out. Nothing here knows of factorization."""
