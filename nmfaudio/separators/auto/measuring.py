"""Measurements of blocks of a mixture: how percussive, how clear, and how steady they are."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.progress import Progress

# Geometric mean over time of the energy of a steady band, relative to the arithmetic mean; at least.
STEADY_FLATNESS = 0.8

_MEASURED_BLOCKS = 4  # evenly spaced blocks of the mixture
_MEASURED_FRAMES = 200  # frames of each block, about two seconds
_MEDIAN_WIDTH = 17  # frames and bins of the median filters
_BAND_BINS = 16  # bins of a band whose temporal flatness is measured
_QUIET = 0.2  # quantile over time of the powers of a bin that is its level in quiet frames
_AUDIBLE, _SILENT = 1e-4, 1e-9  # energy of audible and of silent bands relative to the loudest band
_TINY = 1e-300
# The flatness of the quantiles of white noise falls short of one by this number divided by the number of
# frames. It was measured on 1 to 30 s of noise.
_CHANCE = 3.0


def measured(mixture: Blocks) -> Iterator[NDArray[np.float32]]:
    """Yield the magnitudes of some blocks, averaged over the channels."""
    chosen = mixture.evenly_spaced_bounds(_MEASURED_BLOCKS)
    for number, (start, _) in enumerate(chosen):
        yield mixture.block(start, start + _MEASURED_FRAMES).magnitude.mean(axis=0).astype(np.float32)
        mixture.report(Progress("measuring", number + 1, len(chosen)))


def percussive_mask(V: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the Wiener mask of two median filters that gives each point to percussion.

    librosa has these filters too, but importing it takes a second, which is longer than the measurement.
    """
    from scipy.ndimage import median_filter  # here, because loading it takes 0.1 s

    harmonic = median_filter(V, (1, _MEDIAN_WIDTH), mode="nearest") ** 2
    percussive = median_filter(V, (_MEDIAN_WIDTH, 1), mode="nearest") ** 2
    both = harmonic + percussive
    return np.asarray(np.divide(percussive, both, out=np.zeros_like(both), where=both > 0))


def contrast(blocks: list[NDArray[np.float32]], masks: list[NDArray[np.float32]]) -> tuple[float, float]:
    """Return how clearly the masks give points to one kind, in dB, and the part of percussive energy."""
    energies = np.zeros(3)
    for V, mask in zip(blocks, masks, strict=True):
        power, part = V.astype(np.float64) ** 2, mask.astype(np.float64)
        energies += [(kind * power).sum() for kind in (part**2, (1 - part) ** 2, part * (1 - part))]
    percussive, harmonic, undecided = energies.tolist()
    if not (percussive > 0 and harmonic > 0 and undecided > 0):
        return -np.inf, 0.0
    contrast = float(10 * np.log10(min(percussive, harmonic) / undecided))
    return contrast, percussive / (percussive + harmonic)


def noise(V: NDArray[np.float32]) -> tuple[float, float]:
    """Return the part of the audible bands that is steady, and the flatness of their quiet spectrum."""
    powers = V[: len(V) // _BAND_BINS * _BAND_BINS].astype(np.float64) ** 2
    bands = powers.reshape(-1, _BAND_BINS, powers.shape[1])
    energies = bands.sum(axis=1)
    mean = energies.mean(axis=1)
    if not mean.any():
        return 0.0, 0.0
    audible = mean > _AUDIBLE * mean.max()
    steady = audible & (_flatness(energies, _SILENT * mean.max()) >= STEADY_FLATNESS)
    if not steady.any():
        return 0.0, 0.0
    quiet = np.quantile(bands[steady], _QUIET, axis=2)
    by_chance = max(0.5, 1 - _CHANCE / powers.shape[1])
    return float(steady.sum() / audible.sum()), float(np.median(_flatness(quiet, _TINY))) / by_chance


def _flatness(values: NDArray[np.float64], floor: float) -> NDArray[np.float64]:
    """Return the geometric mean over the arithmetic mean of each row."""
    return np.asarray(np.exp(np.log(values + floor).mean(axis=1)) / (values.mean(axis=1) + floor))
