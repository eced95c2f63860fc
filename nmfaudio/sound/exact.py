"""Round stems to integers whose sum is exactly the integers of the mixture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nmfaudio.sound.source import Samples

_LARGEST = 2.0**52  # larger float64 values have no fractional part to round


def round_to_integers(values: Samples) -> NDArray[np.int64]:
    """Round to the nearest integers, half to even; values beyond +-2**52 are clipped to that limit."""
    return np.rint(np.clip(values, -_LARGEST, _LARGEST)).astype(np.int64)


def split_integers(
    mixture: Samples, stems: Sequence[Samples], bits: int
) -> list[tuple[NDArray[np.int64], int]]:
    """Round stems to integers that sum to the mixture's, sample for sample.

    The cumulative sum over the stems is rounded, and each stem becomes the difference of successive rounded
    sums. So every stem differs from its exact value by at most one unit, errors do not accumulate, and a
    silent stem stays silent.

    Parameters
    ----------
    mixture : ndarray, shape (channels, samples)
        Full scale is 1. Louder samples are not clipped, because their stems may be within full scale.
    stems : sequence of ndarray, same shape
        Stems that sum to the mixture, apart from rounding errors.
    bits : int
        Number of bits of an integer sample.

    Returns
    -------
    list of (ndarray of int64, int)
        Integers of each stem, and the number of its samples that were clipped to full scale; the sum is
        inexact only at these samples.

    Examples
    --------
    >>> parts = split_integers(np.array([[3 / 128]]), [np.array([[1.5 / 128]])] * 2, bits=8)
    >>> [int(integers[0, 0]) for integers, _ in parts]
    [2, 1]
    """
    full = 1 << (bits - 1)
    mixture_integers = round_to_integers(mixture * full)
    cumulative = np.zeros_like(mixture)
    previous = np.zeros_like(mixture_integers)
    parts = []
    for position, stem in enumerate(stems):
        cumulative = cumulative + stem * full
        is_last = position == len(stems) - 1
        current = mixture_integers if is_last else round_to_integers(cumulative)
        step = current - previous
        clipped = np.clip(step, -full, full - 1)
        parts.append((clipped, int(np.count_nonzero(clipped != step))))
        previous = current
    return parts
