"""Reading and writing audio files, and spectrograms. Nothing in this package uses factorization."""
