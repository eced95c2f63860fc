"""Spectra of the source-filter model: harmonic combs that excite the filters, and bands that make them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nmfaudio.nmf.source_filter import F32

_LOBE = 2  # bins on either side of a harmonic over which the Hann window spreads it
_BANDS = 30
_TINY = 1e-20  # least divisor


def combs(fundamentals: NDArray[np.float64], frequencies: NDArray[np.float64], tilt: float) -> F32:
    """Return the power spectra of harmonic combs and a flat one; all have the mean one.

    Parameters
    ----------
    fundamentals : ndarray, shape (combs,)
        Fundamental frequencies in Hz.
    frequencies : ndarray, shape (bins,)
        Frequencies of the bins in Hz.
    tilt : float
        Harmonic h has the power ``h ** -tilt``. The value 4, 12 dB an octave, is that of the human glottis.

    Returns
    -------
    ndarray of float32, shape (combs + 1, bins)

    Examples
    --------
    >>> combs(np.array([200.0]), np.arange(0, 800, 50.0), 4)[0].argmax()
    np.int64(4)
    """
    fundamentals = fundamentals[:, None]
    number = np.maximum(np.round(frequencies / fundamentals), 1)
    distance = np.abs(frequencies - number * fundamentals) / frequencies[1]
    # A power of the cosine approximates the main lobe of the Hann window.
    shape = np.cos(np.pi / 2 * np.minimum(distance / _LOBE, 1)) ** 8
    lobes = np.where(distance < _LOBE, shape, 0) / number**tilt
    flat = np.ones((1, len(frequencies)))
    return np.vstack([lobes / np.maximum(lobes.mean(axis=1, keepdims=True), _TINY), flat]).astype(np.float32)


def bands(frequencies: NDArray[np.float64]) -> F32:
    """Return smooth bands, evenly spaced on the mel scale; neighbours overlap by three quarters.

    Parameters
    ----------
    frequencies : ndarray, shape (bins,)
        Frequencies of the bins in Hz.

    Returns
    -------
    ndarray of float32, shape (bands, bins)

    Examples
    --------
    >>> bands(np.arange(0, 8000, 50.0)).shape
    (30, 160)
    """
    mel = np.log1p(frequencies / 700)
    spacing = mel[-1] / (_BANDS - 1)
    distance = np.abs(mel - spacing * np.arange(_BANDS)[:, None]) / (2 * spacing)
    shape = np.cos(np.pi / 2 * np.minimum(distance, 1)) ** 2
    return np.asarray(np.where(distance < 1, shape, 0), np.float32)
