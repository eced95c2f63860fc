"""Non-negative matrix factorization: matrices in, matrices out. Nothing here knows of audio."""

from nmfaudio.nmf.consensus import Stability, stability
from nmfaudio.nmf.convolutive import Convolution, convolve
from nmfaudio.nmf.divergence import Divergence
from nmfaudio.nmf.factorization import Factorization
from nmfaudio.nmf.penalty import Penalties
from nmfaudio.nmf.rank import Recommendation, recommend
from nmfaudio.nmf.relevance import Relevance, relevant_rank
from nmfaudio.nmf.solve import activate, factorize
from nmfaudio.nmf.stream import Stream

__all__ = [
    "Convolution",
    "Divergence",
    "Factorization",
    "Penalties",
    "Recommendation",
    "Relevance",
    "Stability",
    "Stream",
    "activate",
    "convolve",
    "factorize",
    "recommend",
    "relevant_rank",
    "stability",
]
