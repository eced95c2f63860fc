"""Integers whose sum is exactly the mixture's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nmfaudio.sound.audio import Samples


def to_integers(samples: Samples, bits: int) -> tuple[NDArray[np.int64], int]:
    """Round samples (full scale 1) to integers of `bits` bits; return them and how many had to be clipped."""
    full = 1 << (bits - 1)
    rounded = np.rint(np.clip(samples * full, -2.0 * full, 2.0 * full)).astype(np.int64)
    clipped = np.clip(rounded, -full, full - 1)
    return clipped, int(np.count_nonzero(clipped != rounded))


def split_integers(
    mixture: Samples, stems: Sequence[Samples], bits: int
) -> list[tuple[NDArray[np.int64], int]]:
    """Round stems to integers that sum to the mixture's, sample for sample.

    The running sum of the stems is rounded, and each stem is the step from one running sum to the next: every
    stem is within one unit of its own value, no error gathers anywhere, and silence stays silence.

    Parameters
    ----------
    mixture : ndarray, shape (channels, samples)
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
    target, _ = to_integers(mixture, bits)
    running = np.zeros_like(mixture)
    before = np.zeros_like(target)
    found = []
    for position, stem in enumerate(stems):
        running = running + stem * full
        last = position == len(stems) - 1
        after = target if last else np.rint(running).astype(np.int64)
        step = after - before
        clipped = np.clip(step, -full, full - 1)
        found.append((clipped, int(np.count_nonzero(clipped != step))))
        before = after
    return found
