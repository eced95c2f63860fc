"""Bins joined into bands that are no narrower than the ear needs: fewer rows to factor."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

BANDS_AN_OCTAVE = 24  # enough to find activations by


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


def over_bins(matrix: NDArray[Any], starts: NDArray[np.intp], spectrum: NDArray[Any]) -> NDArray[np.float32]:
    """Spread the sums of bands over their bins as a spectrum has it: shape (bins, columns).

    Parameters
    ----------
    matrix : ndarray, shape (bands, columns)
    starts : ndarray of int, shape (bands,)
        First bin of each band.
    spectrum : ndarray, shape (bins,)
        Not negative; where a band of it is silent, the band is spread evenly.

    Examples
    --------
    >>> over_bins(np.array([[2.0], [6.0]]), np.array([0, 1]), np.array([5.0, 1.0, 2.0])).ravel()
    array([2., 2., 4.], dtype=float32)
    """
    widths = np.diff(starts, append=len(spectrum))
    totals = np.repeat(np.add.reduceat(np.asarray(spectrum, np.float64), starts), widths)
    even = 1.0 / np.repeat(widths, widths)
    shares = np.divide(spectrum, totals, out=even, where=totals > 0)
    return np.asarray(np.repeat(matrix, widths, axis=0) * shares[:, None], np.float32)
