"""What a source of samples is: its samples, its encoding, and how it is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nmfaudio.errors import AudioFileError
from nmfaudio.sound.metadata import Metadata

Samples = NDArray[np.float64]

_BITS = {"PCM_S8": 8, "PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32}
_BITS |= {f"ALAC_{bits}": bits for bits in (16, 20, 24, 32)}

_MOST_STORED_VALUES = 1 << 24  # values that `CachedSource` stores at most: 134 MB


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

    @property
    def warnings(self) -> tuple[str, ...]:
        """Defects of the file that the user should know."""

    @property
    def metadata(self) -> Metadata:
        """Tags, positions on a timeline, speakers and pictures, which stems inherit."""

    def read(self, start: int, stop: int) -> Samples:
        """Return samples `start` to `stop` as float64, (channels, samples); 0 <= start <= stop <= length."""


class CachedSource:
    """A source that stores the samples that were read last, for several readers at nearly the same position.

    Parameters
    ----------
    source : SampleSource
        Source of the samples.
    length : int
        Number of stored samples before the last one that was read.

    Examples
    --------
    >>> from nmfaudio import Audio
    >>> recent = CachedSource(Audio([[0.0, 0.25, 0.5, 0.75]], 8000), 3)
    >>> recent.read(1, 4), recent.read(1, 2)
    (array([[0.25, 0.5 , 0.75]]), array([[0.25]]))
    """

    def __init__(self, source: SampleSource, length: int) -> None:
        self._source = source
        self._length = min(length, _MOST_STORED_VALUES // source.channels)
        self._start, self._samples = 0, np.empty((source.channels, 0))
        self.name, self.sample_rate = source.name, source.sample_rate
        self.channels, self.length = source.channels, source.length
        self.encoding, self.peak, self.warnings = source.encoding, source.peak, source.warnings
        self.metadata = source.metadata

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


def check_passage(source: SampleSource, start: int, stop: int) -> None:
    """Raise AudioFileError if a passage is empty or lies outside the recording."""
    if not 0 <= start < stop <= source.length:
        rate = source.sample_rate
        raise AudioFileError(
            f"{source.name}: the passage from {start / rate:.3f} s to {stop / rate:.3f} s must have samples "
            f"and lie within 0 and {source.length / rate:.3f} s: choose another start or end"
        )


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
