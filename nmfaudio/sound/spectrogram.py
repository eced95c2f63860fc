"""Frames of a short-time Fourier transform, with their position in the recording."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmfaudio.sound.stft import STFT


@dataclass(frozen=True)
class Spectrogram:
    """Consecutive frames of the short-time Fourier transform of a recording.

    Attributes
    ----------
    values : ndarray of complex, shape (channels, bins, frames)
        Complex values of the transform.
    stft : STFT
        Settings of the transform.
    sample_rate : int
        Samples per second of the recording.
    start : int
        Number of the first frame, counted from the start of the recording.

    Examples
    --------
    >>> Spectrogram(np.zeros((1, 9, 4), complex), STFT(16), 44100)
    Spectrogram(1 x 9 x 4, frames 0 to 4, 44100 Hz, STFT(n_fft=16, ...))
    """

    values: NDArray[Any]
    stft: STFT
    sample_rate: int
    start: int = 0

    @property
    def channels(self) -> int:
        """Number of channels."""
        return int(self.values.shape[0])

    @property
    def frames(self) -> int:
        """Number of frames."""
        return int(self.values.shape[2])

    @property
    def stop(self) -> int:
        """Number of the frame after the last one, counted from the start of the recording."""
        return self.start + self.frames

    @property
    def magnitude(self) -> NDArray[Any]:
        """Absolute values, shape (channels, bins, frames)."""
        return np.asarray(np.abs(self.values))

    @property
    def frequencies(self) -> NDArray[np.float64]:
        """Frequency of each bin in Hz."""
        return self.stft.frequencies(self.sample_rate)

    @property
    def times(self) -> NDArray[np.float64]:
        """Center of each frame in seconds from the start of the recording."""
        return frame_times(self.stft, self.sample_rate, self.start, self.frames)

    def with_values(self, values: NDArray[Any]) -> Spectrogram:
        """Return the same frames with other values."""
        return replace(self, values=values)

    def cut(self, start: int, stop: int) -> Spectrogram:
        """Return the frames `start` to `stop`, counted from the start of the recording."""
        return replace(self, values=self.values[:, :, start - self.start : stop - self.start], start=start)

    def __repr__(self) -> str:
        size = " x ".join(str(n) for n in self.values.shape)
        return f"Spectrogram({size}, frames {self.start} to {self.stop}, {self.sample_rate} Hz, {self.stft})"


def frame_times(stft: STFT, sample_rate: int, start: int, count: int) -> NDArray[np.float64]:
    """Return the centers of `count` frames from `start` on, in seconds from the start of the recording."""
    center = stft.first_sample(start) + stft.win_length // 2
    return np.asarray((center + np.arange(count) * stft.hop_length) / sample_rate)
