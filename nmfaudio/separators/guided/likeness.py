"""How much the stems of two models are alike."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nmfaudio.matching import best_pairs
from nmfaudio.models.contract import Model
from nmfaudio.nmf.threads import work_ahead
from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.spectrogram import Spectrogram

_MOST_BLOCKS = 8  # that are compared


def likeness(a: Model, b: Model, mixture: Blocks) -> NDArray[np.float64]:
    """Return the correlation of the stems of two models, shape (sources of a, sources of b).

    In long recordings, evenly spaced blocks are compared.

    Parameters
    ----------
    a, b : Model
        Models that need no context.
    mixture : Blocks
        The mixture, with the STFT settings of both models.
    """
    sources = len(a.sources)

    def products(block: Spectrogram) -> NDArray[np.float64]:
        stems = [stem.values for model in (a, b) for stem in model.separate(block).values()]
        # Complex values as pairs of real ones, whose products give the real part; in their order in memory.
        rows = [np.ascontiguousarray(one.swapaxes(1, 2)).ravel().view(np.float64) for one in stems]
        return np.array([[one @ other for other in rows] for one in rows])

    blocks = (mixture.block(start, stop) for start, stop in mixture.evenly_spaced_bounds(_MOST_BLOCKS))
    inner = np.sum(list(work_ahead(products, blocks)), axis=0)
    norms = np.sqrt(np.diag(inner))
    both = np.outer(norms, norms)
    cosines = np.divide(inner, both, out=np.zeros_like(inner), where=both > 0)
    return np.asarray(cosines[:sources, sources:])


def agreement(a: Model, b: Model, mixture: Blocks) -> float:
    """Return how much the stems of two models are the same, 0 to 1: the mean correlation of their best pairs.

    Parameters
    ----------
    a, b, mixture
        As for `likeness`; both models have the same number of sources.
    """
    alike = likeness(a, b, mixture)
    return float(alike[best_pairs(alike)].mean())
