"""Settings of the short-time Fourier transform, the transform and its inverse."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from nmfaudio.errors import OptionError
from nmfaudio.sound.source import Samples

_SMALLEST_N_FFT = 16
_PIECE = 1 << 17  # windowed samples that are transformed at a time, so that they fit into the cache


@dataclass(frozen=True)
class STFT:
    """Settings of a short-time Fourier transform; equal by value.

    Parameters
    ----------
    n_fft : int
        Length of the transform in samples.
    hop_length : int, optional
        Distance between frames in samples; by default a quarter of the window.
    win_length : int, optional
        Length of the window in samples; by default `n_fft`.
    window : str
        Name of a window of `scipy.signal.get_window`.

    Raises
    ------
    OptionError
        If a setting is outside its range, or the transform with these settings has no inverse.

    Examples
    --------
    >>> STFT(2048).frequencies(44100)[:3].round(1)
    array([ 0. , 21.5, 43.1])
    >>> STFT.lasting(0.05, 44100)
    STFT(n_fft=2048, hop_length=512, win_length=2048, window='hann')
    """

    n_fft: int = 2048
    hop_length: int = 0
    win_length: int = 0
    window: str = "hann"

    def __post_init__(self) -> None:
        object.__setattr__(self, "win_length", self.win_length or self.n_fft)
        object.__setattr__(self, "hop_length", self.hop_length or self.win_length // 4)
        if self.n_fft < _SMALLEST_N_FFT:
            raise OptionError(f"n_fft={self.n_fft}: it must be at least {_SMALLEST_N_FFT}")
        if not 1 <= self.win_length <= self.n_fft:
            raise OptionError(f"win_length={self.win_length}: it must be between 1 and n_fft={self.n_fft}")
        if not 1 <= self.hop_length <= self.win_length:
            raise OptionError(
                f"hop_length={self.hop_length}: it must be between 1 and the length of the window"
            )
        if self._squares.min() <= np.finfo(np.float64).resolution * self._squares.max():
            raise OptionError(f"{self} cannot be inverted: use a shorter hop_length")

    @classmethod
    def lasting(cls, seconds: float, sample_rate: int) -> STFT:
        """Return settings whose window has the power of two of samples nearest to `seconds`."""
        exponent = round(np.log2(max(seconds * sample_rate, _SMALLEST_N_FFT)))
        return cls(n_fft=2 ** int(exponent))

    @cached_property
    def samples(self) -> NDArray[np.float64]:
        """The window, shape (win_length,)."""
        if self.window == "hann":
            # The same bits as scipy's window, without an import that takes a quarter of a short run's time.
            return 0.5 + 0.5 * np.cos(np.linspace(-np.pi, np.pi, self.win_length + 1)[:-1])
        from scipy.signal import get_window

        try:
            return np.asarray(get_window(self.window, self.win_length), np.float64)
        except ValueError as error:
            raise OptionError(f"window={self.window!r}: {error}") from None

    @cached_property
    def _squares(self) -> NDArray[np.float64]:
        """Sum of the squares of all windows that overlap at a sample, shape (hop_length,)."""
        numbers = np.arange(self.win_length) % self.hop_length
        return np.asarray(np.bincount(numbers, self.samples**2), np.float64)

    @cached_property
    def dual(self) -> NDArray[np.float64]:
        """Window for synthesis, shape (win_length,): its overlapped products with `samples` sum to one.

        It is the canonical dual window, which has the least energy.
        """
        return np.asarray(self.samples / self._squares[np.arange(self.win_length) % self.hop_length])

    @cached_property
    def _support(self) -> tuple[int, int]:
        """First sample of the window that is not zero, and the sample after the last one."""
        nonzero = np.flatnonzero(self.samples)
        return int(nonzero[0]), int(nonzero[-1]) + 1

    @property
    def _first(self) -> int:
        """Number of the first frame that reaches sample 0; frame 0 is centered on sample 0."""
        return (self.win_length // 2 - self._support[1]) // self.hop_length + 1

    @property
    def bins(self) -> int:
        """Number of frequency bins."""
        return self.n_fft // 2 + 1

    def frequencies(self, sample_rate: int) -> NDArray[np.float64]:
        """Return the frequency of each bin in Hz, shape (bins,)."""
        return np.arange(self.bins, dtype=np.float64) * (sample_rate / self.n_fft)

    def frames(self, length: int) -> int:
        """Return the number of frames that overlap a recording of `length` samples."""
        reach = max(length, self.win_length) - self._support[0] + self.win_length // 2
        return -(-reach // self.hop_length) - self._first

    def first_sample(self, frame: int) -> int:
        """Return the first sample of `frame`; it is negative where the frame begins before the recording."""
        return (frame + self._first) * self.hop_length - self.win_length // 2

    def analyse(self, samples: Samples) -> NDArray[np.complex128]:
        """Transform samples, of which the first is the first sample of the first frame.

        Parameters
        ----------
        samples : ndarray, shape (channels, (frames - 1) * hop_length + win_length)

        Returns
        -------
        ndarray, shape (channels, bins, frames)
            A view of an array in which each frame is contiguous, as factorization needs it.
        """
        from scipy.fft import rfft  # here, because loading it takes 0.15 s

        windows = sliding_window_view(samples, self.win_length, axis=1)[:, :: self.hop_length]
        count = windows.shape[1]
        values = np.empty((len(samples), count, self.bins), np.complex128)
        for part in self._pieces(count):
            values[:, part] = rfft(windows[:, part] * self.samples, n=self.n_fft)
        return values.swapaxes(1, 2)

    def _pieces(self, count: int) -> list[slice]:
        """Return slices of the frames that are transformed at a time."""
        size = max(1, _PIECE // self.n_fft)
        return [slice(start, start + size) for start in range(0, count, size)]

    def synthesise(self, values: NDArray[Any]) -> Samples:
        """Overlap and add frames; inverts `analyse` at samples whose frames are all among `values`.

        Parameters
        ----------
        values : ndarray, shape (channels, bins, frames)

        Returns
        -------
        ndarray, shape (channels, (frames - 1) * hop_length + win_length)
        """
        from scipy.fft import irfft  # here, because loading it takes 0.15 s

        channels, count = len(values), values.shape[2]
        hops = -(-self.win_length // self.hop_length)
        padding = ((0, 0), (0, 0), (0, hops * self.hop_length - self.win_length))
        sums = np.zeros((channels, count + hops - 1, self.hop_length))
        for part in self._pieces(count):
            frames = irfft(values[:, :, part].swapaxes(1, 2), n=self.n_fft)[:, :, : self.win_length]
            frames *= self.dual
            size = frames.shape[1]
            padded = np.pad(frames, padding) if padding[2][1] else frames
            segments = padded.reshape(channels, size, hops, self.hop_length)
            for hop in reversed(range(hops)):  # earlier frames first
                sums[:, part.start + hop : part.start + hop + size] += segments[:, :, hop]
        length = (count - 1) * self.hop_length + self.win_length
        return sums.reshape(channels, -1)[:, :length]

    def __repr__(self) -> str:
        return (
            f"STFT(n_fft={self.n_fft}, hop_length={self.hop_length}, "
            f"win_length={self.win_length}, window={self.window!r})"
        )
