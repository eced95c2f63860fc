from .consensus import Stability, stability
from .convolutive import Convolution, convolve
from .divergence import Divergence
from .factorization import Factorization
from .hidden import CrossValidation, cross_validate
from .penalty import Penalties
from .rank import Recommendation, recommend
from .relevance import Relevance, relevant_rank
from .solve import activate, factorize
from .stream import Stream

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
