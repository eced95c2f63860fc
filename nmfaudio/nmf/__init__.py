"""Non-negative matrix factorization: matrices in, matrices out. Nothing here knows of audio."""

from nmfaudio.nmf.consensus import Stability, stability
from nmfaudio.nmf.convolutive import Convolution, convolve
from nmfaudio.nmf.divergence import Divergence
from nmfaudio.nmf.factorization import Factorization
from nmfaudio.nmf.hidden import CrossValidation, cross_validate
from nmfaudio.nmf.penalty import Penalties
from nmfaudio.nmf.rank import Recommendation, recommend
from nmfaudio.nmf.relevance import Relevance, relevant_rank
from nmfaudio.nmf.solve import activate, factorize
from nmfaudio.nmf.stream import Stream

__all__ = [
    "Convolution",
    "CrossValidation",
    "Divergence",
    "Factorization",
    "Penalties",
    "Recommendation",
    "Relevance",
    "Stability",
    "Stream",
    "activate",
    "convolve",
    "cross_validate",
    "factorize",
    "recommend",
    "relevant_rank",
    "stability",
]
