"""Training frames: spectra of recordings under the settings of a dictionary, and a bounded choice of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmfaudio.sound.analysis import analysis_blocks
from nmfaudio.sound.progress import Progress
from nmfaudio.sound.source import SampleSource
from nmfaudio.sound.spectrogram import Spectrogram
from nmfaudio.sound.stft import STFT

SILENT = 1e-4  # part of the loudest frame's level below which a frame is silent
# A frame is a fault (a click, for example) when its level exceeds this multiple of the level below which nine
# of ten frames lie.
OUTLIER = 20.0
COMMON = 0.9
FEW = 200  # least number of frames in which faults are searched; among fewer, rare sounds look like faults

Report = Callable[[Progress], None]
Frames = NDArray[np.float32]


class Spectra:
    """The magnitudes of a recording, to a power, under the settings of the dictionary."""

    def __init__(
        self,
        source: SampleSource,
        target: STFT,
        sample_rate: int,
        magnitude_power: float,
        report: Report | None,
    ) -> None:
        self._magnitude_power = magnitude_power
        if source.sample_rate == sample_rate:
            self._matrix, stft = None, target
            self._gain = 1.0
        else:
            stft = _same_window(target, sample_rate, source.sample_rate)
            self._matrix = _interpolation(
                stft.frequencies(source.sample_rate), target.frequencies(sample_rate)
            )
            self._gain = target.win_length / stft.win_length  # magnitudes grow with the samples of a window
        self._blocks = analysis_blocks(source, stft)
        if report:
            self._blocks = replace(self._blocks, report=report)
        self._silent, self._bins = source.peak == 0, target.bins

    def blocks(self) -> Iterable[Frames]:
        """Yield all frames in order, some seconds at a time, each block with the shape (frames, bins)."""
        if self._silent:
            return
        for block in self._blocks:
            yield self._rows(block)

    def between(self, start: int, stop: int) -> Frames:
        """Return the frames `start` to `stop`, shape (frames, bins)."""
        if self._silent:
            return np.empty((0, self._bins), np.float32)
        size = self._blocks.bounds[0][1]
        parts = [self._rows(self._blocks.block(n, min(n + size, stop))) for n in range(start, stop, size)]
        return np.concatenate(parts)

    def _rows(self, block: Spectrogram) -> Frames:
        magnitude = np.ldexp(block.magnitude.mean(axis=0), self._blocks.scale_exponent)
        if self._matrix is not None:
            magnitude = self._gain * (self._matrix @ magnitude)
        return np.asarray((magnitude**self._magnitude_power).T, np.float32)


def _same_window(target: STFT, rate: int, other: int) -> STFT:
    """Return settings at another rate with the same window in seconds and bins at most half as wide."""
    length = max(2, round(target.win_length * other / rate))
    hop = max(1, round(target.hop_length * other / rate))
    return STFT(max(16, 2 ** int(np.ceil(np.log2(2 * length)))), hop, length, target.window)


def _interpolation(source: NDArray[np.float64], target: NDArray[np.float64]) -> Any:
    """Return the sparse matrix of linear interpolation from one grid of frequencies to another."""
    from scipy.sparse import csr_array

    inside = np.flatnonzero(target <= source[-1])
    left = np.minimum(np.searchsorted(source, target[inside], side="right") - 1, len(source) - 2)
    right = (target[inside] - source[left]) / (source[1] - source[0])
    rows, columns = np.concatenate([inside, inside]), np.concatenate([left, left + 1])
    return csr_array((np.concatenate([1 - right, right]), (rows, columns)), (len(target), len(source)))


class Reservoir:
    """A random choice of the frames with sound; its size is bounded for recordings of any length.

    References
    ----------
    J. S. Vitter, "Random sampling with a reservoir", ACM Transactions on Mathematical Software 11(1), 1985.
    """

    def __init__(self, size: int, seed: int) -> None:
        self._size, self._random = size, np.random.default_rng(seed)
        self._rows: list[Frames] = []
        self._seen, self._loudest = 0, 0.0

    def add(self, frames: Frames) -> None:
        """Add frames, shape (frames, bins)."""
        levels = frames.sum(axis=1)
        self._loudest = max(self._loudest, float(levels.max(initial=0.0)))
        for row in frames[levels > SILENT**2 * self._loudest]:
            self._seen += 1
            if len(self._rows) < self._size:
                self._rows.append(row.copy())
            elif (index := int(self._random.integers(self._seen))) < self._size:
                self._rows[index] = row.copy()

    def frames(self) -> Frames:
        """Return the chosen frames except silent and faulty ones, shape (frames, bins)."""
        if not self._rows:
            return np.empty((0, 0), np.float32)
        rows = np.array(self._rows)
        levels = rows.sum(axis=1)
        if len(rows) >= FEW:
            faultless = levels <= OUTLIER * np.quantile(levels, COMMON)
            rows, levels = rows[faultless], levels[faultless]
        return np.ascontiguousarray(rows[levels > SILENT * levels.max()])
