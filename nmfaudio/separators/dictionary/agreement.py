"""Agreement of separations with different numbers of free templates: evidence for the split of a mixture.

Where few and many free templates give the known sources the same sound, the split is decided by the mixture.
Where they do not, it is decided by the number of templates.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nmfaudio.separators.dictionary.templates import TemplateModel
from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.frames import mean_frames

FRAMES = 1024  # largest number of frames of the mixture, evenly spaced, that are compared

# Disagreement from which the short window counts, and from which it has its full weight.
_SHORT_WINDOW_FROM, _SHORT_WINDOW_FULL = 0.05, 0.2
_SHORT_WINDOW_WEIGHT = 1 / 3  # largest weight of the short window
# Disagreement from which few free templates and the known templates alone count, and from which only these
# count.
_CAUTION_FROM, _CAUTION_FULL = 0.65, 0.85
UNCERTAIN = 0.75  # disagreement above which a warning says that the split is uncertain


@dataclass(frozen=True)
class Blend:
    """Weights of the separations that are averaged.

    Attributes
    ----------
    short_window : float
        Weight of the separations with the short window, from 0 to a third; the others have the rest.
    caution : float
        Weight, from 0 to 1, of separations with few free templates and with the known templates alone,
        relative to those with many.

    Examples
    --------
    >>> Blend.of(0.0), Blend.of(2.0).caution
    (Blend(short_window=0.0, caution=0.0), 1.0)
    """

    short_window: float
    caution: float

    @classmethod
    def of(cls, disagreement: float) -> Blend:
        """Return the weights for a disagreement that `disagreement` has measured.

        Where few and many templates agree, the long window alone separates most sharply. The more they
        disagree, the more errors differ among separations, and the more an average of different ones helps.
        """
        short = _ramp(disagreement, _SHORT_WINDOW_FROM, _SHORT_WINDOW_FULL)
        return cls(_SHORT_WINDOW_WEIGHT * short, _ramp(disagreement, _CAUTION_FROM, _CAUTION_FULL))


def _ramp(value: float, start: float, stop: float) -> float:
    """Return 0 up to `start`, 1 from `stop` on, and a straight line between them."""
    return float(np.clip((value - start) / (stop - start), 0, 1))


def disagreement(model: TemplateModel, few: int, many: int, mixture: Blocks) -> float:
    """Return how much two template sets of a model differ in what they give to the known sources.

    Parameters
    ----------
    model : TemplateModel
        Its last source is the rest.
    few, many : int
        Numbers of the two template sets.
    mixture : Blocks

    Returns
    -------
    float
        Energy of the difference between the two estimates of the known sources, relative to the energy of the
        known sources or of the rest, whichever is smaller. 0 means that they are equal.
    """
    V, times = mean_frames(mixture.with_stft(model.stft), model.magnitude_power, FRAMES)
    allowed = model.hints.allowed(model.sources, times) if model.hints else None
    masks = [_mask_of_rest(model, V, number, allowed) for number in (few, many)]
    power = V.T.astype(np.float64) ** (2 / model.magnitude_power)
    difference = float((power * (masks[0] - masks[1]) ** 2).sum())
    known = np.mean([(power * (1 - mask) ** 2).sum() for mask in masks])
    rest = np.mean([(power * mask**2).sum() for mask in masks])
    smaller = float(min(known, rest))
    return difference / smaller if smaller > 0 else 0.0


def _mask_of_rest(
    model: TemplateModel, V: NDArray[np.float32], number: int, allowed: NDArray[np.bool_] | None
) -> NDArray[np.float32]:
    """Return the mask of the last source, shape (frames, bins)."""
    H = model.activations(V, number, allowed).T
    masks = model.masks_of_set(V.T, model.template_sets[number], H, allowed)
    return np.asarray(masks[-1], np.float32)
