"""Samples with their rate, and what they were encoded as."""

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
    """How samples are kept in a file, in libsndfile's words.

    Examples
    --------
    >>> Encoding("FLAC", "PCM_24").bits
    24
    """

    format: str = "WAV"
    subtype: str = "FLOAT"

    @property
    def bits(self) -> int | None:
        """Bits of an integer sample; None where samples are not integers."""
        return _BITS.get(self.subtype)

    @property
    def exact(self) -> bool:
        """Whether samples come back from such a file as they were written."""
        return self.bits is not None or self.subtype in ("FLOAT", "DOUBLE")


class SampleSource(Protocol):
    """Where a mixture's samples come from: a file read bit by bit, or an array."""

    @property
    def name(self) -> str:
        """What to call it in a message."""

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
        """What it was encoded as."""

    @property
    def peak(self) -> float:
        """The largest absolute sample; all samples are finite."""

    def read(self, start: int, stop: int) -> Samples:
        """Return samples `start` to `stop`, (channels, samples) in float64; both lie within the source."""


@dataclass(frozen=True)
class Audio:
    """Sound in memory.

    Parameters
    ----------
    samples : array_like, shape (channels, samples) or (samples,)
        Full scale is 1. Kept as a read-only view; a vector becomes one channel.
    sample_rate : int
        Samples per second.
    encoding : Encoding
        What it was read from, and what stems made of it are written as.
    name : str
        What to call it: the default folder of its stems.

    Raises
    ------
    AudioFileError
        For samples of another shape or type, for NaN or infinity, or for a rate below 1.

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
        """The largest absolute sample."""
        return float(np.abs(self.samples).max(initial=0.0))

    def read(self, start: int, stop: int) -> Samples:
        """Return a copy of samples `start` to `stop` in float64."""
        return self.samples[:, start:stop].astype(np.float64)

    def __repr__(self) -> str:
        size = f"{self.channels} channels, {self.length} samples"
        return f"Audio({size}, {self.sample_rate} Hz, {self.duration:.3f} s)"


class Recent:
    """A source that remembers what was read last, for readers that follow one another closely.

    Parameters
    ----------
    source : SampleSource
    length : int
        Samples that it remembers before the furthest one that was read.

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
        """Return samples `start` to `stop`, (channels, samples) in float64."""
        end = self._start + self._samples.shape[1]
        if start < self._start or start > end:
            return self._source.read(start, stop)
        if stop > end:
            joined = np.concatenate([self._samples, self._source.read(end, stop)], axis=1)
            forgotten = max(0, joined.shape[1] - max(self._length, stop - start))
            self._start, self._samples = self._start + forgotten, joined[:, forgotten:]
        return self._samples[:, start - self._start : stop - self._start].copy()


def check_finite(samples: NDArray[Any], name: str, start: int, sample_rate: int) -> None:
    """Check samples (channels, samples) of which the first is sample `start` of `name`.

    Raises
    ------
    AudioFileError
        Naming the first sample that is NaN or infinite.
    """
    if np.isfinite(samples).all():
        return
    sample, channel = (int(i) for i in np.argwhere(~np.isfinite(samples).T)[0])
    where = f"sample {start + sample} ({(start + sample) / sample_rate:.3f} s) of channel {channel + 1}"
    raise AudioFileError(f"{name}: {where} is {samples[channel, sample]}: repair or export the file again")
