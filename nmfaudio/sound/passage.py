"""A passage of a recording as a source of samples."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import numpy as np

from nmfaudio.errors import AudioFileError
from nmfaudio.sound.source import Samples, SampleSource, check_passage

_CHUNK_VALUES = 1 << 19  # number of values (samples times channels) that are read at a time


class Passage:
    """A passage of another source, which is read only when its samples are needed.

    Positions in its metadata are counted from the start of the passage, and its time reference is that of its
    first sample.

    Parameters
    ----------
    source : SampleSource
        The whole recording, such as an `AudioFile`.
    start, stop : int
        First sample of the passage, and the sample after its last one.

    Raises
    ------
    AudioFileError
        If the passage is empty or lies outside the recording.

    Examples
    --------
    >>> from nmfaudio import Audio
    >>> Passage(Audio([0.0, 0.25, 0.5, 0.75], 8000), 1, 3).read(0, 2)
    array([[0.25, 0.5 ]])
    """

    def __init__(self, source: SampleSource, start: int, stop: int) -> None:
        check_passage(source, start, stop)
        self.source, self.start, self.stop = source, start, stop
        self.name, self.sample_rate, self.channels = source.name, source.sample_rate, source.channels
        self.length = self.declared_length = stop - start
        self.encoding, self.warnings = source.encoding, source.warnings
        self.metadata = source.metadata.of_passage(start, stop)
        self.path: Path | None = getattr(source, "path", None)

    @cached_property
    def peak(self) -> float:
        """The largest absolute sample."""
        return max(float(np.abs(samples).max(initial=0.0)) for samples in self._pieces())

    @property
    def tags(self) -> dict[str, str]:
        """Tags of the recording, such as `artist`."""
        return dict(self.metadata.tags)

    def read(self, start: int, stop: int) -> Samples:
        """Return samples `start` to `stop` as float64, counted from the start of the passage."""
        return self.source.read(self.start + start, self.start + stop)

    def sha256(self) -> str | None:
        """Return the hash of the whole file; None if the recording is not a file."""
        digest = getattr(self.source, "sha256", None)
        return digest() if digest else None

    def __repr__(self) -> str:
        return f"Passage({self.source!r}, {self.start}, {self.stop})"

    def _pieces(self) -> Iterator[Samples]:
        size = max(1, _CHUNK_VALUES // self.channels)
        for start in range(0, self.length, size):
            yield self.read(start, min(start + size, self.length))


def passage_in_seconds(
    source: SampleSource, start: float | None = None, end: float | None = None
) -> SampleSource:
    """Return the passage between two times; the source itself if both are None.

    Parameters
    ----------
    source : SampleSource
        The whole recording.
    start, end : float, optional
        Times in seconds; by default the start and the end of the recording. Negative times are counted from
        the end. An end after that of the recording stands for its end.

    Raises
    ------
    AudioFileError
        If the passage is empty or lies outside the recording.

    Examples
    --------
    >>> from nmfaudio import Audio
    >>> passage_in_seconds(Audio(np.zeros(8000), 8000), 0.25, -0.25).length
    4000
    """
    if start is None and end is None:
        return source
    first = _sample(source, start, 0)
    last = min(_sample(source, end, source.length), source.length)
    return Passage(source, first, last)


def _sample(source: SampleSource, time: float | None, default: int) -> int:
    """Return the number of the sample at a time; negative times are counted from the end."""
    if time is None:
        return default
    if not np.isfinite(time):
        raise AudioFileError(f"{source.name}: {time} is not a time: give seconds from the start")
    position = round(time * source.sample_rate)
    return position + source.length if time < 0 else position
