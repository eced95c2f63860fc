"""Masks that keep what regions say: the least change of all masks with which every region holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmfaudio.separators.regions.region import Regions


@dataclass(frozen=True)
class Rectangle:
    """A region on the grid of a spectrogram.

    Attributes
    ----------
    source : int
        Index of the source.
    band : slice
        Range of bins, or of bands of bins.
    span : slice
        Range of frames.
    sounds : bool
    weight : float
        As in `Region`.
    """

    source: int
    band: slice
    span: slice
    sounds: bool
    weight: float

    def constrain(self, masks: NDArray[Any]) -> None:
        """Change masks of shape (sources, ..., bins, frames) so that the region holds; they sum to one."""
        part = masks[..., self.band, self.span]
        own = part[self.source].copy()
        limit = np.maximum if self.sounds else np.minimum
        new = limit(own, self.weight if self.sounds else 1 - self.weight)
        others = 1 - own
        scale = np.divide(1 - new, others, out=np.zeros_like(own), where=others > _SMALLEST)
        part *= scale
        # Where nothing else had a part, the rest of the point is divided equally.
        rest = np.where(others > _SMALLEST, 0, (1 - new) / max(1, len(masks) - 1))
        part += rest
        part[self.source] = new


_SMALLEST = 1e-6  # part of a point that counts as nothing


def rectangles_on(
    regions: Regions,
    sources: Sequence[str],
    frequencies: NDArray[np.float64],
    times: NDArray[np.float64],
    step: float,
) -> list[Rectangle]:
    """Return the regions that touch a grid of frequencies and times.

    Parameters
    ----------
    regions : Regions
    sources : sequence of str
        Names of all sources, in order.
    frequencies : ndarray, shape (bins,)
        Frequency of each bin in Hz.
    times : ndarray, shape (frames,)
        Centre of each frame in seconds.
    step : float
        Time from frame to frame in seconds.
    """
    found = []
    for region in regions.items:
        span, band = region.span(times, step), region.band(frequencies)
        if span.start < span.stop and band.start < band.stop:
            number = list(sources).index(region.source)
            found.append(Rectangle(number, band, span, region.sounds, region.weight))
    return found


def constrained(masks: NDArray[Any], rectangles: Sequence[Rectangle]) -> NDArray[Any]:
    """Return masks with which every rectangle holds; where two overlap, the later one counts more.

    For one rectangle these are the masks with the least Kullback-Leibler divergence from the given ones.

    Parameters
    ----------
    masks : ndarray, shape (sources, ..., bins, frames)
        Masks that sum to one.
    rectangles : sequence of Rectangle

    References
    ----------
    K. Ganchev, J. Graca, J. Gillenwater and B. Taskar, "Posterior regularization for structured latent
    variable models", JMLR 11, 2010.

    Examples
    --------
    >>> rectangle = Rectangle(0, slice(0, 1), slice(0, 1), True, 0.8)
    >>> constrained(np.full((2, 1, 2), 0.5), [rectangle]).round(3)
    array([[[0.8, 0.5]],
    <BLANKLINE>
           [[0.2, 0.5]]])
    """
    result = masks.copy()
    for rectangle in rectangles:
        rectangle.constrain(result)
    return result
