"""Samples with their sample rate and their encoding."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nmfaudio.errors import AudioFileError

Samples = NDArray[np.float64]

_BITS = {"PCM_S8": 8, "PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32}
_BITS |= {f"ALAC_{bits}": bits for bits in (16, 20, 24, 32)}


@dataclass(frozen=True)
class Encoding:
    """File format and sample type, named as in libsndfile.

    Examples
    --------
    >>> Encoding("FLAC", "PCM_24").bits
    24
    """

    format: str = "WAV"
    subtype: str = "FLOAT"

    @property
    def bits(self) -> int | None:
        """Number of bits of an integer sample; None if samples are not integers."""
        return _BITS.get(self.subtype)

    @property
    def exact(self) -> bool:
        """Whether a file in this encoding returns exactly the samples that were written."""
        return self.bits is not None or self.subtype in ("FLOAT", "DOUBLE")


class SampleSource(Protocol):
    """The samples of a mixture: a file that is read piece by piece, or an array."""

    @property
    def name(self) -> str:
        """Name of the mixture in messages."""

    @property
    def sample_rate(self) -> int:
        """Samples per second."""

    @property
    def channels(self) -> int:
        """Number of channels."""

    @property
    def length(self) -> int:
        """Samples per channel."""

    @property
    def encoding(self) -> Encoding:
        """Encoding of the file that the samples were read from."""

    @property
    def peak(self) -> float:
        """Largest absolute sample; all samples are finite."""

    def read(self, start: int, stop: int) -> Samples:
        """Return samples `start` to `stop` as float64, (channels, samples); 0 <= start <= stop <= length."""


@dataclass(frozen=True)
class Audio:
    """Samples in memory.

    Parameters
    ----------
    samples : array_like, shape (channels, samples) or (samples,)
        Samples with full scale 1. They are stored as a read-only view; a vector becomes one channel.
    sample_rate : int
        Samples per second.
    encoding : Encoding
        Encoding of the file that the samples were read from; stems are written in it by default.
    name : str
        Name of the recording, which is the default name of the folder of its stems.

    Raises
    ------
    AudioFileError
        If the samples have another shape or type or are not finite, or the sample rate is below 1.

    Examples
    --------
    >>> Audio([[0.0, 0.5], [0.0, -0.5]], 44100)
    Audio(2 channels, 2 samples, 44100 Hz, 0.000 s)
    """

    samples: NDArray[Any]
    sample_rate: int
    encoding: Encoding = field(default_factory=Encoding)
    name: str = "audio"

    def __post_init__(self) -> None:
        samples = np.asarray(self.samples)
        if samples.dtype not in (np.float32, np.float64):
            if not np.issubdtype(samples.dtype, np.floating):
                raise AudioFileError(
                    f"samples are {samples.dtype}: scale them to floats with full scale at 1"
                )
            samples = samples.astype(np.float64)
        samples = np.atleast_2d(samples).view()
        if samples.ndim != 2 or samples.shape[0] == 0:
            raise AudioFileError(f"samples have shape {samples.shape}: it must be (channels, samples)")
        if self.sample_rate < 1:
            raise AudioFileError(f"sample_rate={self.sample_rate}: it must be at least 1")
        check_finite(samples, self.name, 0, self.sample_rate)
        samples.flags.writeable = False
        object.__setattr__(self, "samples", samples)

    @property
    def channels(self) -> int:
        """Number of channels."""
        return int(self.samples.shape[0])

    @property
    def length(self) -> int:
        """Samples per channel."""
        return int(self.samples.shape[1])

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return self.length / self.sample_rate

    @property
    def peak(self) -> float:
        """Largest absolute sample."""
        return float(np.abs(self.samples).max(initial=0.0))

    def read(self, start: int, stop: int) -> Samples:
        """Return a copy of samples `start` to `stop` as float64."""
        return self.samples[:, start:stop].astype(np.float64)

    def __repr__(self) -> str:
        size = f"{self.channels} channels, {self.length} samples"
        return f"Audio({size}, {self.sample_rate} Hz, {self.duration:.3f} s)"


class Recent:
    """A source that stores the samples that were read last, for several readers at nearly the same position.

    Parameters
    ----------
    source : SampleSource
        Source of the samples.
    length : int
        Number of stored samples before the last one that was read.

    Examples
    --------
    >>> recent = Recent(Audio([[0.0, 0.25, 0.5, 0.75]], 8000), 3)
    >>> recent.read(1, 4), recent.read(1, 2)
    (array([[0.25, 0.5 , 0.75]]), array([[0.25]]))
    """

    def __init__(self, source: SampleSource, length: int) -> None:
        self._source, self._length = source, length
        self._start, self._samples = 0, np.empty((source.channels, 0))
        self.name, self.sample_rate = source.name, source.sample_rate
        self.channels, self.length = source.channels, source.length
        self.encoding, self.peak = source.encoding, source.peak

    def read(self, start: int, stop: int) -> Samples:
        """Return samples `start` to `stop` as float64, (channels, samples)."""
        end = self._start + self._samples.shape[1]
        if start < self._start or start > end:
            return self._source.read(start, stop)
        if stop > end:
            joined = np.concatenate([self._samples, self._source.read(end, stop)], axis=1)
            dropped = max(0, joined.shape[1] - max(self._length, stop - start))
            self._start, self._samples = self._start + dropped, joined[:, dropped:]
        return self._samples[:, start - self._start : stop - self._start].copy()


def check_finite(samples: NDArray[Any], name: str, start: int, sample_rate: int) -> None:
    """Check that samples (channels, samples) are finite; the first one is sample `start` of `name`.

    Raises
    ------
    AudioFileError
        If a sample is NaN or infinite; the message gives the position of the first one.
    """
    if np.isfinite(samples).all():
        return
    sample, channel = (int(i) for i in np.argwhere(~np.isfinite(samples).T)[0])
    where = f"sample {start + sample} ({(start + sample) / sample_rate:.3f} s) of channel {channel + 1}"
    raise AudioFileError(f"{name}: {where} is {samples[channel, sample]}: repair the file or export it again")
