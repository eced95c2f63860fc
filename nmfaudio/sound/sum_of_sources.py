"""The sum of several recordings of the same length."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from nmfaudio.sound.metadata import Metadata
from nmfaudio.sound.source import Encoding, Samples, SampleSource

_SAMPLES_AT_A_TIME = 1 << 18


class SumOfSources:
    """The sum of recordings, such as the mixture as the sum of its stems.

    Parameters
    ----------
    sources : sequence of SampleSource
        Recordings of the same length, channels and sample rate; encoding and metadata are those of the first.
    name : str
        Name of the sum.

    Examples
    --------
    >>> from nmfaudio import Audio
    >>> SumOfSources([Audio([0.25, 0.5], 8000), Audio([0.25, 0.0], 8000)], "both").read(0, 2)
    array([[0.5, 0.5]])
    """

    def __init__(self, sources: Sequence[SampleSource], name: str) -> None:
        self.sources, self.name = tuple(sources), name
        first = self.sources[0]
        self.sample_rate, self.channels, self.length = first.sample_rate, first.channels, first.length
        self.encoding: Encoding = first.encoding
        self.metadata: Metadata = first.metadata
        self.warnings: tuple[str, ...] = ()

    @cached_property
    def peak(self) -> float:
        """Largest absolute sample."""
        starts = range(0, self.length, _SAMPLES_AT_A_TIME)
        pieces = (self.read(start, min(start + _SAMPLES_AT_A_TIME, self.length)) for start in starts)
        return max((float(np.abs(piece).max(initial=0.0)) for piece in pieces), default=0.0)

    def read(self, start: int, stop: int) -> Samples:
        """Return samples `start` to `stop` as float64, shape (channels, samples)."""
        return np.asarray(np.sum([source.read(start, stop) for source in self.sources], axis=0))
