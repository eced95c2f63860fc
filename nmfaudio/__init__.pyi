from .counting import count_components
from .dictionary import Dictionary
from .errors import NmfaudioError
from .evaluation import Scores, best_names, evaluate, si_sdr
from .forecast import Outlook, forecast
from .learning import Learner, learn
from .masking import soft_masks
from .nmf import (
    Convolution,
    Divergence,
    Factorization,
    Penalties,
    Recommendation,
    Relevance,
    Stability,
    Stream,
    activate,
    convolve,
    factorize,
    recommend,
    relevant_rank,
    stability,
)
from .nmf.estimator import NMF
from .plot import plot_components
from .rank_plot import plot_rank
from .registry import installed_separators, make
from .separation import Separation, separate, separate_file
from .separators.combination import Combination
from .separators.contract import Components, FunctionModel, Model, Separator
from .sound.audio import Audio, Encoding
from .sound.files import read
from .sound.stft import STFT, Blocks, Progress, Spectrogram

__all__ = [
    "NMF",
    "STFT",
    "Audio",
    "Blocks",
    "Combination",
    "Components",
    "Convolution",
    "Dictionary",
    "Divergence",
    "Encoding",
    "Factorization",
    "FunctionModel",
    "Learner",
    "Model",
    "NmfaudioError",
    "Outlook",
    "Penalties",
    "Progress",
    "Recommendation",
    "Relevance",
    "Scores",
    "Separation",
    "Separator",
    "Spectrogram",
    "Stability",
    "Stream",
    "activate",
    "best_names",
    "convolve",
    "count_components",
    "evaluate",
    "factorize",
    "forecast",
    "learn",
    "make",
    "plot_components",
    "plot_rank",
    "read",
    "recommend",
    "relevant_rank",
    "separate",
    "separate_file",
    "si_sdr",
    "installed_separators",
    "soft_masks",
    "stability",
]
