"""Short-time Fourier transforms: settings, spectrograms, and a long recording block by block."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.fft import irfft, rfft

from nmfaudio.errors import OptionError
from nmfaudio.sound.audio import Samples

_SMALLEST_N_FFT = 16
_PIECE = 1 << 17  # samples in windows that are transformed at a time, so that they stay in the cache


@dataclass(frozen=True)
class STFT:
    """Settings of a short-time Fourier transform; equal by value.

    Parameters
    ----------
    n_fft : int
        Length of the transform in samples.
    hop_length : int, optional
        Samples from frame to frame; default a quarter of the window.
    win_length : int, optional
        Length of the window in samples; default `n_fft`.
    window : str
        A name that `scipy.signal.get_window` knows.

    Raises
    ------
    OptionError
        When the settings cannot be inverted.

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
            raise OptionError(f"win_length={self.win_length}: it must lie within 1 and n_fft={self.n_fft}")
        if not 1 <= self.hop_length <= self.win_length:
            raise OptionError(f"hop_length={self.hop_length}: it must lie within 1 and the window's length")
        if self._squares.min() <= np.finfo(np.float64).resolution * self._squares.max():
            raise OptionError(f"{self} cannot be inverted: use a shorter hop_length")

    @classmethod
    def lasting(cls, seconds: float, sample_rate: int) -> STFT:
        """Return settings whose window is the power of two nearest to `seconds` at this rate."""
        exponent = round(np.log2(max(seconds * sample_rate, _SMALLEST_N_FFT)))
        return cls(n_fft=2 ** int(exponent))

    @cached_property
    def samples(self) -> NDArray[np.float64]:
        """The window, shape (win_length,)."""
        if self.window == "hann":
            # What scipy makes of the name, bit by bit; loading it would take a quarter of a short run's time.
            return 0.5 + 0.5 * np.cos(np.linspace(-np.pi, np.pi, self.win_length + 1)[:-1])
        from scipy.signal import get_window

        try:
            return np.asarray(get_window(self.window, self.win_length), np.float64)
        except ValueError as error:
            raise OptionError(f"window={self.window!r}: {error}") from None

    @cached_property
    def _squares(self) -> NDArray[np.float64]:
        """What the squares of all windows over a sample sum to, shape (hop_length,)."""
        numbers = np.arange(self.win_length) % self.hop_length
        return np.asarray(np.bincount(numbers, self.samples**2), np.float64)

    @cached_property
    def dual(self) -> NDArray[np.float64]:
        """The window for synthesis whose product with the other sums to one, shape (win_length,).

        The canonical dual: the one of least energy.
        """
        return np.asarray(self.samples / self._squares[np.arange(self.win_length) % self.hop_length])

    @cached_property
    def _heard(self) -> tuple[int, int]:
        """First sample of the window that is not zero, and the one after the last."""
        heard = np.flatnonzero(self.samples)
        return int(heard[0]), int(heard[-1]) + 1

    @property
    def _first(self) -> int:
        """Number of the first frame that reaches sample 0, where that in whose middle it stands has 0."""
        return (self.win_length // 2 - self._heard[1]) // self.hop_length + 1

    @property
    def bins(self) -> int:
        """Number of frequency bins."""
        return self.n_fft // 2 + 1

    def frequencies(self, sample_rate: int) -> NDArray[np.float64]:
        """Return the frequency of each bin in Hz, shape (bins,)."""
        return np.arange(self.bins, dtype=np.float64) * (sample_rate / self.n_fft)

    def frames(self, length: int) -> int:
        """Return the number of frames that touch `length` samples."""
        reach = max(length, self.win_length) - self._heard[0] + self.win_length // 2
        return -(-reach // self.hop_length) - self._first

    def first_sample(self, frame: int) -> int:
        """Return the first sample that `frame` reaches; frame 0 begins before the recording."""
        return (frame + self._first) * self.hop_length - self.win_length // 2

    def analyse(self, samples: Samples) -> NDArray[np.complex128]:
        """Transform samples that begin where their first frame does.

        Parameters
        ----------
        samples : ndarray, shape (channels, (frames - 1) * hop_length + win_length)

        Returns
        -------
        ndarray, shape (channels, bins, frames)
            A view: in memory, frame follows frame, as factorization takes them.
        """
        windows = sliding_window_view(samples, self.win_length, axis=1)[:, :: self.hop_length]
        count = windows.shape[1]
        # Frame by frame in memory, as the transform gives it.
        found = np.empty((len(samples), count, self.bins), np.complex128)
        for part in self._pieces(count):
            found[:, part] = rfft(windows[:, part] * self.samples, n=self.n_fft)
        return found.swapaxes(1, 2)

    def _pieces(self, count: int) -> list[slice]:
        """Cut frames into pieces that are transformed at a time."""
        size = max(1, _PIECE // self.n_fft)
        return [slice(start, start + size) for start in range(0, count, size)]

    def synthesise(self, values: NDArray[Any]) -> Samples:
        """Overlap and add frames; the inverse of `analyse` once all frames that touch a sample are added.

        Parameters
        ----------
        values : ndarray, shape (channels, bins, frames)

        Returns
        -------
        ndarray, shape (channels, (frames - 1) * hop_length + win_length)
        """
        channels, count = len(values), values.shape[2]
        hops = -(-self.win_length // self.hop_length)
        spare = ((0, 0), (0, 0), (0, hops * self.hop_length - self.win_length))
        found = np.zeros((channels, count + hops - 1, self.hop_length))
        for part in self._pieces(count):
            frames = irfft(values[:, :, part].swapaxes(1, 2), n=self.n_fft)[:, :, : self.win_length]
            frames *= self.dual
            size = frames.shape[1]
            whole = np.pad(frames, spare) if spare[2][1] else frames
            cut = whole.reshape(channels, size, hops, self.hop_length)
            for hop in reversed(range(hops)):  # earlier frames first
                found[:, part.start + hop : part.start + hop + size] += cut[:, :, hop]
        length = (count - 1) * self.hop_length + self.win_length
        return found.reshape(channels, -1)[:, :length]

    def __repr__(self) -> str:
        return (
            f"STFT(n_fft={self.n_fft}, hop_length={self.hop_length}, "
            f"win_length={self.win_length}, window={self.window!r})"
        )
