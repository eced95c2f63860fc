"""Non-negative matrix factorization: matrices in, matrices out. Nothing here knows of audio."""

from nmfaudio.nmf.divergence import Divergence
from nmfaudio.nmf.solve import Factorization, activate, factorize

__all__ = ["Divergence", "Factorization", "activate", "factorize"]
