"""Non-negative matrix factorization: matrices in, matrices out. Nothing here knows of audio."""

from nmfaudio.nmf.divergence import Divergence
from nmfaudio.nmf.penalty import Penalties
from nmfaudio.nmf.solve import Factorization, activate, factorize

__all__ = ["Divergence", "Factorization", "Penalties", "activate", "factorize"]
