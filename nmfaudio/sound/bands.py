"""Bins joined into bands that are no narrower than the ear needs: fewer rows to look for activations in."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def band_starts(frequencies: NDArray[np.float64], per_octave: int) -> NDArray[np.intp]:
    """Return the first bin of each band; low bands are single bins.

    Parameters
    ----------
    frequencies : ndarray, shape (bins,)
        In Hz, evenly spaced from 0.
    per_octave : int
        Bands an octave where bins are narrower than that.

    Returns
    -------
    ndarray of int, shape (bands,)

    Examples
    --------
    >>> band_starts(np.arange(12) * 100.0, 3)
    array([0, 1, 2, 3, 4, 5, 6, 8, 9])
    """
    numbers = np.zeros(len(frequencies), np.intp)
    octaves = np.log2(np.maximum(frequencies[1:] / frequencies[1], 1))
    numbers[1:] = 1 + np.round(per_octave * octaves + 1e-9).astype(np.intp)
    return np.flatnonzero(np.diff(numbers, prepend=-1))


def in_bands(matrix: NDArray[Any], starts: NDArray[np.intp]) -> NDArray[np.float32]:
    """Return the sums over each band of a matrix (bins, columns): shape (bands, columns)."""
    return np.add.reduceat(np.asarray(matrix, np.float32), starts, axis=0)
