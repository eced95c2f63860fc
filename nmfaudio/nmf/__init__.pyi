from .consensus import Stability, stability
from .convolutive import Convolution, convolve
from .divergence import Divergence
from .factorization import Factorization
from .penalty import Penalties
from .rank import Recommendation, recommend
from .relevance import Relevance, relevant_rank
from .solve import activate, factorize
from .stream import Stream

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
