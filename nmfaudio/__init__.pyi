from .cluster.files import separate_files
from .dictionaries.dictionary import Dictionary
from .dictionaries.learning import Learner, learn
from .errors import NmfaudioError, NmfaudioWarning
from .models.combination import Combination
from .models.components import Components
from .models.contract import Model, Separator
from .models.function import FunctionModel
from .models.masks import soft_masks
from .nmf import (
    Convolution,
    CrossValidation,
    Divergence,
    Factorization,
    Penalties,
    Recommendation,
    Relevance,
    Stability,
    Stream,
    activate,
    convolve,
    cross_validate,
    factorize,
    recommend,
    relevant_rank,
    stability,
)
from .nmf.estimator import NMF
from .pipeline.registry import installed_separators, make
from .pipeline.separated import Separation
from .pipeline.separation import separate, separate_file
from .plots.components import plot_components
from .plots.rank import plot_rank
from .plots.templates import plot_dictionary
from .sound.audio import Audio
from .sound.blocks import Blocks
from .sound.files import read
from .sound.progress import Progress
from .sound.source import Encoding
from .sound.spectrogram import Spectrogram
from .sound.stft import STFT
from .studies.counting import count_components
from .studies.evaluation import Scores, best_names, evaluate, si_sdr
from .studies.forecast import Outlook, forecast

__all__ = [
    "Audio",
    "Blocks",
    "Combination",
    "Components",
    "Convolution",
    "CrossValidation",
    "Dictionary",
    "Divergence",
    "Encoding",
    "Factorization",
    "FunctionModel",
    "Learner",
    "Model",
    "NMF",
    "NmfaudioError",
    "NmfaudioWarning",
    "Outlook",
    "Penalties",
    "Progress",
    "Recommendation",
    "Relevance",
    "STFT",
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
    "cross_validate",
    "evaluate",
    "factorize",
    "forecast",
    "installed_separators",
    "learn",
    "make",
    "plot_components",
    "plot_dictionary",
    "plot_rank",
    "read",
    "recommend",
    "relevant_rank",
    "separate",
    "separate_file",
    "separate_files",
    "si_sdr",
    "soft_masks",
    "stability",
]
