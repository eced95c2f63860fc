"""Frames of a recording as a matrix: all functions that turn blocks into arrays to factor.

The functions differ in what they do with the channels and in how they limit the number of frames:

===================  ===========================  ===============================  =====================
function             channels                     values                           limit
===================  ===========================  ===============================  =====================
`channel_frames`     one after another, as rows   magnitudes to a power            number of values
`stacked_channels`   bins one after another       magnitudes                       none
`mean_frames`        mean                         magnitudes to a power            number of frames
`complex_frames`     kept apart                   complex                          number of frames
===================  ===========================  ===============================  =====================
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.spectrogram import Spectrogram

# Values of a spectrogram from which templates are learned: 270 MB, six minutes of stereo at 44.1 kHz.
# From longer recordings, evenly spaced frames are used.
LEARNED_VALUES = 1 << 26
_SINGLE_FRAMES_STEP = 8  # frames; from this step on, transforming single frames is faster than whole blocks


def evenly_spaced_frames(mixture: Blocks, most_values: int | None) -> NDArray[np.intp]:
    """Return the numbers of evenly spaced frames with at most `most_values` values; None: all frames."""
    limit = most_values // (mixture.channels * mixture.stft.bins) if most_values else mixture.frames
    count = min(mixture.frames, max(1, limit))
    return np.arange(count) * mixture.frames // count


def channel_frames(
    mixture: Blocks, magnitude_power: float, most_values: int | None = None
) -> NDArray[np.float32]:
    """Read magnitudes to a power, all frames of the first channel before those of the second.

    Parameters
    ----------
    mixture : Blocks
        Recording to read.
    magnitude_power : float
        Exponent of the magnitudes: 1 for magnitudes, 2 for powers.
    most_values : int, optional
        Limit of the number of values; in longer recordings, evenly spaced frames are used.

    Returns
    -------
    ndarray of float32, shape (channels * frames, bins)
    """
    channels, bins = mixture.channels, mixture.stft.bins
    selected = evenly_spaced_frames(mixture, most_values)
    V = mixture.allocate(channels, len(selected), bins)
    for block in mixture:
        first, last = np.searchsorted(selected, (block.start, block.stop))
        frames = block.magnitude[:, :, selected[first:last] - block.start]
        V[:, first:last] = (frames**magnitude_power).swapaxes(1, 2)
    return V.reshape(-1, bins)


def stacked_channels(mixture: Blocks) -> NDArray[np.float32]:
    """Read magnitudes, the bins of the first channel above those of the second.

    Returns
    -------
    ndarray of float32, shape (channels * bins, frames)
    """
    V = mixture.allocate(mixture.frames, mixture.channels * mixture.stft.bins)
    for block in mixture:
        V[block.start : block.stop] = block.magnitude.reshape(V.shape[1], -1).T
    return V.T


def mean_frames(
    mixture: Blocks, magnitude_power: float, most_frames: int
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Read magnitudes, average them over the channels, and raise them to a power.

    Parameters
    ----------
    mixture : Blocks
        Recording to read.
    magnitude_power : float
        Exponent of the magnitudes: 1 for magnitudes, 2 for powers.
    most_frames : int
        Limit of the number of frames; in longer recordings, evenly spaced frames are used.

    Returns
    -------
    ndarray of float32, shape (bins, frames)
    ndarray, shape (frames,)
        Times of the frames in seconds.
    """
    step = max(1, -(-mixture.frames // most_frames))
    parts, times = [], []
    for block in mixture if step < _SINGLE_FRAMES_STEP else _single_frames(mixture, step):
        selected = slice(-block.start % step, None, step)
        thinned = block.with_values(block.values[:, :, selected])
        parts.append(thinned.magnitude.mean(axis=0).T.astype(np.float32) ** magnitude_power)
        times.append(block.times[selected])
    return np.ascontiguousarray(np.concatenate(parts), np.float32).T, np.concatenate(times)


def complex_frames(mixture: Blocks, most_frames: int) -> NDArray[Any]:
    """Read complex values of evenly spaced frames.

    Returns
    -------
    ndarray of complex, shape (channels, bins, frames)
        At most `most_frames` frames.
    """
    step = -(-mixture.frames // most_frames)
    return np.concatenate([block.values[:, :, -block.start % step :: step] for block in mixture], axis=2)


def _single_frames(mixture: Blocks, step: int) -> Iterator[Spectrogram]:
    """Yield every `step`-th frame alone, so that no other frame is transformed."""
    return (mixture.block(frame, frame + 1) for frame in range(0, mixture.frames, step))
