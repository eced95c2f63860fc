"""A recording of any length, reduced to as many columns as a picture has."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.source import SampleSource
from nmfaudio.sound.stft import STFT

COLUMNS = 1000  # greatest number of columns; each shows the loudest of its frames
_SAMPLES_AT_A_TIME = 1 << 19


@dataclass(frozen=True)
class Overview:
    """Magnitudes of a recording over time and frequency.

    Attributes
    ----------
    magnitudes : ndarray, shape (bins, columns)
        Largest magnitude in each column; the powers of all channels are added.
    times : ndarray, shape (columns,)
        Times in seconds.
    frequencies : ndarray, shape (bins,)
        Frequencies in Hz.
    """

    magnitudes: NDArray[np.float64]
    times: NDArray[np.float64]
    frequencies: NDArray[np.float64]


def overview(source: SampleSource, stft: STFT, *, offset: float = 0.0) -> Overview:
    """Return the spectrogram of a recording with at most `COLUMNS` columns.

    Long recordings are transformed with windows that overlap by a half. `offset` is added to the times.
    """
    if stft.frames(source.length) > 4 * COLUMNS:
        stft = STFT(stft.n_fft, stft.win_length // 2, stft.win_length, stft.window)
    mixture = Blocks(source, stft)
    step = -(-mixture.frames // COLUMNS)
    power, times = [], []
    for block in mixture:
        values = block.values
        of_block = (values.real**2 + values.imag**2).sum(axis=0)
        starts = np.arange(0, block.frames, step)
        power.append(np.maximum.reduceat(of_block, starts, axis=1))
        times.append(block.times[starts])
    magnitudes = np.sqrt(np.concatenate(power, axis=1))
    frequencies = stft.frequencies(source.sample_rate)
    return Overview(magnitudes, np.concatenate(times) + offset, frequencies)


@dataclass(frozen=True)
class Waveform:
    """Lowest and highest sample of each column, over all channels.

    Attributes
    ----------
    lowest, highest : ndarray, shape (columns,)
    times : ndarray, shape (columns,)
        Times in seconds.
    """

    lowest: NDArray[np.float64]
    highest: NDArray[np.float64]
    times: NDArray[np.float64]


def waveform(source: SampleSource, *, offset: float = 0.0) -> Waveform:
    """Return the waveform of a recording with at most `COLUMNS` columns; `offset` is added to the times."""
    step = max(1, -(-source.length // COLUMNS))
    lowest, highest = [], []
    size = max(step, _SAMPLES_AT_A_TIME // step * step)
    for start in range(0, source.length, size):
        samples = source.read(start, min(start + size, source.length))
        starts = np.arange(0, samples.shape[1], step)
        lowest.append(np.minimum.reduceat(samples.min(axis=0), starts))
        highest.append(np.maximum.reduceat(samples.max(axis=0), starts))
    low = np.concatenate(lowest)
    times = (np.arange(len(low)) + 0.5) * step / source.sample_rate + offset
    return Waveform(low, np.concatenate(highest), times)
