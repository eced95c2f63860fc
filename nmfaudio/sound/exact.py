"""Integers whose sum is exactly the mixture's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nmfaudio.sound.audio import Samples

_LARGEST = 2.0**52  # beyond it float64 has no halves to round


def round_to_integers(values: Samples) -> NDArray[np.int64]:
    """Round to the nearest integers, half to even; what is beyond all formats stays beyond them."""
    return np.rint(np.clip(values, -_LARGEST, _LARGEST)).astype(np.int64)


def split_integers(
    mixture: Samples, stems: Sequence[Samples], bits: int
) -> list[tuple[NDArray[np.int64], int]]:
    """Round stems to integers that sum to the mixture's, sample for sample.

    The running sum of the stems is rounded, and each stem is the step from one running sum to the next: every
    stem is within one unit of its own value, no error gathers anywhere, and silence stays silence.

    Parameters
    ----------
    mixture : ndarray, shape (channels, samples)
        Full scale is 1; louder is not clipped, since its stems may well fit.
    stems : sequence of ndarray, same shape
        They sum to the mixture but for rounding errors.
    bits : int
        Of an integer sample.

    Returns
    -------
    list of (ndarray of int64, int)
        Each stem's integers, and how many of its samples had to be clipped; only those break the sum.

    Examples
    --------
    >>> parts = split_integers(np.array([[3 / 128]]), [np.array([[1.5 / 128]])] * 2, bits=8)
    >>> [int(integers[0, 0]) for integers, _ in parts]
    [2, 1]
    """
    full = 1 << (bits - 1)
    target = round_to_integers(mixture * full)
    running = np.zeros_like(mixture)
    before = np.zeros_like(target)
    found = []
    for position, stem in enumerate(stems):
        running = running + stem * full
        last = position == len(stems) - 1
        after = target if last else round_to_integers(running)
        step = after - before
        clipped = np.clip(step, -full, full - 1)
        found.append((clipped, int(np.count_nonzero(clipped != step))))
        before = after
    return found
