"""Constant offset (DC) and rumble below hearing: found in a recording and taken out of it.

Cheap interfaces and field recorders add an offset to all samples; wind and traffic add rumble of a few hertz.
Nobody hears either, but both fill the lowest bins of a spectrogram, where factorization takes them for sound.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from nmfaudio.sound.source import Encoding, Samples, SampleSource

# Parts of the root mean square of the recording. An offset below the first changes stems by less than 0.1 dB.
# The second lies above what drums have below hearing, at most 0.06 of their level.
LEAST_OFFSET, LEAST_RUMBLE = 1e-3, 0.1
_CUTOFF_HZ, _TRANSITION_HZ = 14.0, 12.0  # the filter takes all below 8 Hz and nothing above 20 Hz
_KAISER_BETA, _KAISER_WIDTH = 5.65, 3.62  # 60 dB; the width is the length times the transition over the rate


@dataclass(frozen=True)
class Offset:
    """What is inaudibly low in a recording.

    Attributes
    ----------
    mean : ndarray, shape (channels,)
        Mean of each channel where it is large enough to matter, else 0; full scale is 1.
    rumble : bool
        Whether everything below hearing is to be taken out, not only the mean.
    """

    mean: NDArray[np.float64]
    rumble: bool

    def __bool__(self) -> bool:
        return self.rumble or bool(self.mean.any())

    @property
    def description(self) -> str:
        """The offset in words, for a message."""
        largest = float(np.abs(self.mean).max())
        parts = [f"an offset (DC) of {100 * largest:.2g} % of full scale"] if largest else []
        return " and ".join([*parts, *(["rumble below 20 Hz"] if self.rumble else [])])


def find_offset(source: SampleSource) -> Offset:
    """Measure the mean of each channel and the level below hearing, reading the recording once."""
    if source.peak == 0:
        return Offset(np.zeros(source.channels), rumble=False)
    low_pass = _LowPass(source.sample_rate)
    exponent = int(
        np.frexp(source.peak)[1]
    )  # samples are scaled, so that squares neither vanish nor overflow
    total, energy, low_energy = np.zeros(source.channels), 0.0, 0.0
    for start in range(0, source.length, source.sample_rate):
        stop = min(start + source.sample_rate, source.length)
        samples, low = (np.ldexp(part, -exponent) for part in low_pass.split(source, start, stop))
        total += samples.sum(axis=1)
        energy += float(np.vdot(samples, samples))
        low_energy += float(np.vdot(low, low))
    mean = total / source.length
    constant = source.length * float(np.vdot(mean, mean))
    level = np.sqrt(energy / (source.length * source.channels))
    rumble = low_energy - constant > LEAST_RUMBLE**2 * max(energy - constant, 0.0)
    mean = np.where(np.abs(mean) > LEAST_OFFSET * level, mean, 0.0)
    return Offset(np.ldexp(mean, exponent), bool(rumble and energy > constant * (1 + 1e-9)))


class WithoutOffset:
    """A recording without its offset and rumble; a `SampleSource`.

    Parameters
    ----------
    source : SampleSource
        The recording.
    offset : Offset
        What to take out of it.

    Examples
    --------
    >>> from nmfaudio import Audio
    >>> recording = Audio([[0.3, 0.1, 0.3, 0.1]], 8000)
    >>> WithoutOffset(recording, find_offset(recording)).read(0, 4).round(3)
    array([[ 0.1, -0.1,  0.1, -0.1]])
    """

    def __init__(self, source: SampleSource, offset: Offset) -> None:
        self.original, self.offset = source, offset
        self.name, self.sample_rate = source.name, source.sample_rate
        self.channels, self.length = source.channels, source.length
        self.encoding: Encoding = source.encoding
        self.warnings, self.metadata = source.warnings, source.metadata
        self._low_pass = _LowPass(source.sample_rate)

    @cached_property
    def peak(self) -> float:
        """The largest absolute sample."""
        starts = range(0, self.length, self.sample_rate)
        pieces = (self.read(start, min(start + self.sample_rate, self.length)) for start in starts)
        return max((float(np.abs(piece).max()) for piece in pieces), default=0.0)

    def read(self, start: int, stop: int) -> Samples:
        """Return samples `start` to `stop` without the offset, shape (channels, samples) in float64."""
        if not self.offset.rumble:
            return self.original.read(start, stop) - self.offset.mean[:, None]
        samples, low = self._low_pass.split(self.original, start, stop)
        return samples - low


class _LowPass:
    """A linear-phase low-pass filter (windowed sinc) that keeps what is below hearing."""

    def __init__(self, sample_rate: int) -> None:
        self._reach = int(np.ceil(_KAISER_WIDTH * sample_rate / _TRANSITION_HZ / 2))
        times = np.arange(-self._reach, self._reach + 1) / sample_rate
        taps = np.sinc(2 * _CUTOFF_HZ * times) * np.kaiser(len(times), _KAISER_BETA)
        self._taps = taps / taps.sum()

    def split(self, source: SampleSource, start: int, stop: int) -> tuple[Samples, Samples]:
        """Return samples `start` to `stop` and the part of them below hearing.

        A recording continues by its mirror image before its start and after its end.
        """
        from scipy.fft import irfft, next_fast_len, rfft  # here, because loading it takes 0.15 s

        first, last = max(0, start - self._reach), min(source.length, stop + self._reach)
        samples = source.read(first, last)
        inside = samples[:, start - first : stop - first]
        if not inside.size:
            return inside, inside
        before, after = self._reach - (start - first), self._reach - (last - stop)
        padded = np.pad(samples, ((0, 0), (before, after)), mode="symmetric")
        size = next_fast_len(padded.shape[1] + len(self._taps) - 1, real=True)
        filtered: Samples = irfft(rfft(padded, size) * rfft(self._taps, size), size)
        return inside, filtered[:, 2 * self._reach : padded.shape[1]]
