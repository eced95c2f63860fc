"""How much the stems of two models are alike."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from nmfaudio.matching import best_pairs
from nmfaudio.models.contract import Model
from nmfaudio.models.labelled import LabelledFactorization
from nmfaudio.separators.blind.grouping import group_components
from nmfaudio.separators.blind.model import BlindModel, aligned
from nmfaudio.separators.blind.search import ComponentSearch
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


def agreement_with_blind(model: BlindModel, search: ComponentSearch) -> float:
    """Return how much the stems would stay the same if `blind` grouped the components, 0 to 1.

    It is the mean correlation of the stems and of those that `blind` makes of the same components.

    Parameters
    ----------
    model : BlindModel
        Components that were grouped by another rule.
    search : ComponentSearch
        The search that found these components.
    """
    mixture = search.mixture
    has_envelopes = mixture.channels == 1 and search.learned_frames == mixture.frames  # as `blind` has them
    starts: list[LabelledFactorization] = []
    for one in model.starts:
        grouping = group_components(
            one.templates,
            one.factorization.H,
            mixture.stft.frequencies(mixture.sample_rate),
            channels=mixture.channels,
            frames_per_second=mixture.sample_rate / mixture.stft.hop_length if has_envelopes else None,
            sources=len(model.sources),
        )
        labelled = replace(one, labels=grouping.labels)
        starts.append(aligned(labelled, starts[0]) if starts else labelled)
    alike = likeness(replace(model, starts=tuple(starts)), model, mixture)
    return float(alike[best_pairs(alike)].mean())
