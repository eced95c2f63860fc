"""How much the stems of two models are alike."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nmfaudio.matching import best_pairs
from nmfaudio.models.contract import Model
from nmfaudio.sound.blocks import Blocks


def likeness(a: Model, b: Model, mixture: Blocks) -> NDArray[np.float64]:
    """Return the correlation of the stems of two models, shape (sources of a, sources of b).

    Parameters
    ----------
    a, b : Model
        Models that need no context.
    mixture : Blocks
        The mixture, with the STFT settings of both models.
    """
    sources = len(a.sources)
    inner = np.zeros((sources + len(b.sources),) * 2)
    for start, stop in mixture.bounds:
        block = mixture.block(start, stop)
        stems = np.stack([s.values.ravel() for model in (a, b) for s in model.separate(block).values()])
        inner += (stems.conj() @ stems.T).real
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
