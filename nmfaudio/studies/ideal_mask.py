"""Estimates by the ideal ratio mask, which no separation by masks of one spectrogram surpasses by much."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nmfaudio.sound.audio import Audio
from nmfaudio.sound.metadata import Metadata
from nmfaudio.sound.source import Encoding, Samples, SampleSource
from nmfaudio.sound.stft import STFT
from nmfaudio.studies.correlations import padded

_WINDOW_SECONDS = 0.046  # as in most studies of masks; the nearest power of two in samples is used
_TINY = 1e-30


class IdealMasks:
    """The mixture times the part of each reference in the sum of all magnitudes.

    What the mixture has beside the references counts as one more source.

    Parameters
    ----------
    references : sequence of SampleSource
        The true stems.
    mixture : SampleSource
        The mixture, with the same sample rate, channels and length.
    """

    def __init__(self, references: Sequence[SampleSource], mixture: SampleSource) -> None:
        self._references, self._mixture = tuple(references), mixture
        self._stft = STFT.lasting(_WINDOW_SECONDS, mixture.sample_rate)
        self._range, self._masked = (0, 0), np.empty((0, 0, 0))

    @property
    def sources(self) -> tuple[SampleSource, ...]:
        """One source for each reference, computed piece by piece."""
        return tuple(_Masked(self, number, self._mixture) for number in range(len(self._references)))

    def read(self, start: int, stop: int) -> Samples:
        """Return samples `start` to `stop` of all estimates, (references, channels, samples)."""
        if self._range != (start, stop):
            self._range, self._masked = (start, stop), self._compute(start, stop)
        return self._masked

    def _compute(self, start: int, stop: int) -> Samples:
        hop, window = self._stft.hop_length, self._stft.win_length
        first = (start - window) // hop * hop
        last = first + -(-(stop + window - first - window) // hop) * hop + window
        channels = self._mixture.channels
        samples = padded([*self._references, self._mixture], first, last)
        samples = samples.reshape(-1, channels, last - first)
        mixture, rest = samples[-1], samples[-1] - samples[:-1].sum(axis=0)
        magnitudes = [np.abs(self._stft.analyse(part)) for part in (*samples[:-1], rest)]
        spectrum = self._stft.analyse(mixture) / np.maximum(sum(magnitudes), _TINY)
        parts = [self._stft.synthesise(spectrum * magnitude) for magnitude in magnitudes[:-1]]
        return np.stack(parts)[:, :, start - first : stop - first]


class _Masked:
    """One estimate of `IdealMasks` as a source of samples."""

    def __init__(self, masks: IdealMasks, number: int, mixture: SampleSource) -> None:
        self._masks, self._number = masks, number
        self.name, self.sample_rate = mixture.name, mixture.sample_rate
        self.channels, self.length = mixture.channels, mixture.length
        self.encoding, self.peak = Encoding(), mixture.peak
        self.warnings: tuple[str, ...] = ()
        self.metadata = Metadata()

    def read(self, start: int, stop: int) -> Samples:
        """Return samples `start` to `stop` as float64, (channels, samples)."""
        return np.asarray(self._masks.read(start, stop)[self._number])


class SumOfSources:
    """The sum of several sources, as a source: the mixture where none is given.

    Parameters
    ----------
    sources : sequence of SampleSource
        Sources with the same sample rate, channels and length.

    Examples
    --------
    >>> a = Audio([0.25, 0.5], 8000)
    >>> SumOfSources([a, a]).read(0, 2)
    array([[0.5, 1. ]])
    """

    def __init__(self, sources: Sequence[SampleSource]) -> None:
        self._sources, first = tuple(sources), sources[0]
        self.name, self.sample_rate = "sum of the references", first.sample_rate
        self.channels, self.length = first.channels, first.length
        self.encoding, self.peak = Encoding(), sum(source.peak for source in sources)
        self.warnings: tuple[str, ...] = ()
        self.metadata = Metadata()

    def read(self, start: int, stop: int) -> Samples:
        """Return samples `start` to `stop` as float64, (channels, samples)."""
        return np.asarray(sum(source.read(start, stop) for source in self._sources))


def silence_like(source: SampleSource) -> SampleSource:
    """Return silence of the same shape, which takes no memory."""
    return Audio(np.broadcast_to(np.zeros(1), (source.channels, source.length)), source.sample_rate)
