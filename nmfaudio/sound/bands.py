"""Frequency bins grouped into bands of constant width in octaves, which reduces the rows to factor."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

BANDS_PER_OCTAVE = 24  # sufficient resolution for estimating activations


def band_starts(frequencies: NDArray[np.float64], per_octave: int) -> NDArray[np.intp]:
    """Return the first bin of each band; low bands are single bins.

    Parameters
    ----------
    frequencies : ndarray, shape (bins,)
        Frequencies of the bins in Hz, evenly spaced from 0.
    per_octave : int
        Number of bands in an octave, where bins are narrower than such a band.

    Returns
    -------
    ndarray of int, shape (bands,)
        First bin of each band.

    Examples
    --------
    >>> band_starts(np.arange(12) * 100.0, 3)
    array([0, 1, 2, 3, 4, 5, 6, 8, 9])
    """
    numbers = np.zeros(len(frequencies), np.intp)
    octaves = np.log2(np.maximum(frequencies[1:] / frequencies[1], 1))
    numbers[1:] = 1 + np.round(per_octave * octaves + 1e-9).astype(np.intp)
    return np.flatnonzero(np.diff(numbers, prepend=-1))


def sum_in_bands(matrix: NDArray[Any], starts: NDArray[np.intp]) -> NDArray[np.float32]:
    """Return the sums over each band of a matrix (bins, columns): shape (bands, columns)."""
    return np.add.reduceat(np.asarray(matrix, np.float32), starts, axis=0)


def spread_over_bins(
    matrix: NDArray[Any], starts: NDArray[np.intp], spectrum: NDArray[Any]
) -> NDArray[np.float32]:
    """Distribute the sums of bands over their bins in proportion to a spectrum: shape (bins, columns).

    Parameters
    ----------
    matrix : ndarray, shape (bands, columns)
        Sums of the bands.
    starts : ndarray of int, shape (bands,)
        First bin of each band.
    spectrum : ndarray, shape (bins,)
        Non-negative spectrum. A band in which it is zero is distributed evenly.

    Examples
    --------
    >>> spread_over_bins(np.array([[2.0], [6.0]]), np.array([0, 1]), np.array([5.0, 1.0, 2.0])).ravel()
    array([2., 2., 4.], dtype=float32)
    """
    widths = np.diff(starts, append=len(spectrum))
    totals = np.repeat(np.add.reduceat(np.asarray(spectrum, np.float64), starts), widths)
    even = 1.0 / np.repeat(widths, widths)
    shares = np.divide(spectrum, totals, out=even, where=totals > 0)
    return np.asarray(np.repeat(matrix, widths, axis=0) * shares[:, None], np.float32)
