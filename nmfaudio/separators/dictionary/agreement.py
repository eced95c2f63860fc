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
_SHORT_WINDOW_WEIGHT = 1 / 3  # largest weight of the short window among the plain separations
# Disagreement from which few free templates and the known templates alone count, and from which only these
# count.
_CAUTION_FROM, _CAUTION_FULL = 0.65, 0.85
# Disagreement from which separations of other kinds count, and from which they have their full weights.
_VARIETY_FROM, _VARIETY_FULL = 0.08, 0.12
# Largest weight of the guided components. 0.6 gained 0.1 to 0.3 dB more on mixtures made of two sources, but
# nothing on others, and a harp in an ensemble lost 0.8 dB more.
_GUIDED_WEIGHT = 0.45
# Disagreement from which guided components count less, and from which they do not count: their guide is then
# as arbitrary as the split. Of eight such separations, six lost 0.4 to 2.1 dB by them, and two gained.
_NO_GUIDE_FROM, _NO_GUIDE_FULL = 1.0, 1.1
# Exponent of the second mask over the mean of the long window and the guided components, where these have
# their largest weight. 1.5 gained 0.1 to 0.3 dB in the mean of three sets of mixtures; 2 gained more on pairs
# of instruments, but lost up to 1.7 dB elsewhere.
_SHARPEST = 1.5
_TRANSPOSED_WEIGHT, _SHORT_WEIGHT = 0.2, 0.4  # largest parts of these in all others
UNCERTAIN = 0.75  # disagreement above which a warning says that the split is uncertain


@dataclass(frozen=True)
class Blend:
    """Weights of the separations that are averaged; they sum to one.

    Attributes
    ----------
    few, some, many : float
        With the long window and so many free templates.
    known_alone : float
        With the long window and the known templates alone.
    transposed : float
        With the long window, transposed copies of the known templates and a medium number of free ones.
    short_medium, short_few : float
        With the short window and so many free templates.
    guided : float
        Blind components, shared between the known source and the rest by how they sound.

    Examples
    --------
    >>> Blend.of(0.0).some, Blend.of(0.0).many, Blend.of(0.0).guided
    (0.5, 0.5, 0.0)
    >>> Blend.of(0.5).guided, Blend.of(2.0).guided, Blend.of(2.0).many
    (0.45, 0.0, 0.0)
    """

    few: float
    some: float
    many: float
    known_alone: float
    transposed: float
    short_medium: float
    short_few: float
    guided: float

    @classmethod
    def of(cls, disagreement: float, *, guidable: bool = True) -> Blend:
        """Return the weights for a disagreement that `disagreement` has measured.

        Where few and many templates agree, the long window alone separates most sharply. The more they
        disagree, the more errors differ among separations, and the more an average of different ones helps.

        Parameters
        ----------
        disagreement : float
        guidable : bool
            Whether there can be guided components; without them, the other separations have their weight.
        """
        caution = _ramp(disagreement, _CAUTION_FROM, _CAUTION_FULL)
        variety = _ramp(disagreement, _VARIETY_FROM, _VARIETY_FULL)
        trust = 1 - _ramp(disagreement, _NO_GUIDE_FROM, _NO_GUIDE_FULL)
        guided = _GUIDED_WEIGHT * variety * trust if guidable else 0.0
        transposed, short = ((1 - guided) * part * variety for part in (_TRANSPOSED_WEIGHT, _SHORT_WEIGHT))
        plain = 1 - transposed - short - guided
        short_part = _SHORT_WINDOW_WEIGHT * _ramp(disagreement, _SHORT_WINDOW_FROM, _SHORT_WINDOW_FULL)
        plain_short = plain * short_part
        cautious, bold = ((plain - plain_short) * part / 2 for part in (caution, 1 - caution))
        return cls(
            few=cautious,
            some=bold,
            many=bold,
            known_alone=cautious,
            transposed=transposed,
            short_medium=plain_short * (1 - caution / 2) + short / 2,
            short_few=plain_short * caution / 2 + short / 2,
            guided=guided,
        )

    @property
    def long(self) -> float:
        """Weight of all separations by templates with the long window."""
        return self.few + self.some + self.many + self.known_alone + self.transposed

    @property
    def exponent(self) -> float:
        """Exponent of the second mask over the mean with guided components; it grows with their weight."""
        return 1 + (_SHARPEST - 1) * self.guided / _GUIDED_WEIGHT

    @property
    def short(self) -> float:
        """Weight of all separations with the short window."""
        return self.short_medium + self.short_few


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
