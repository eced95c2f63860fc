"""Which passage of a recording is separated, and where its stems stand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nmfaudio.errors import OptionError
from nmfaudio.pipeline.overlap_add import StemStream
from nmfaudio.sound.passage import Passage, passage_in_seconds
from nmfaudio.sound.source import SampleSource

_SILENCE_SAMPLES = 1 << 16  # samples of silence that are written at a time


@dataclass(frozen=True)
class PassageChoice:
    """The passage of a recording that is separated; all of it unless said otherwise.

    Attributes
    ----------
    start, end : float or None
        Times in seconds; negative times are counted from the end of the recording.
    in_place : bool
        Whether stems are as long as the recording, with silence before and after the passage.

    Examples
    --------
    >>> PassageChoice(start=2.0).settings
    {'start': 2.0}
    """

    start: float | None = None
    end: float | None = None
    in_place: bool = False

    def __post_init__(self) -> None:
        if self.in_place and not self:
            raise OptionError(
                "in_place=True needs a passage: give start=..., end=... or both", option="in_place"
            )

    def __bool__(self) -> bool:
        return self.start is not None or self.end is not None

    @property
    def settings(self) -> dict[str, float | bool]:
        """The choice as it stands in a manifest; empty where the whole recording is separated."""
        times = {"start": self.start, "end": self.end}
        in_place = {"in_place": True} if self.in_place else {}
        return {**{name: time for name, time in times.items() if time is not None}, **in_place}

    def of(self, source: SampleSource) -> SampleSource:
        """Return the passage of a recording.

        Raises
        ------
        AudioFileError
            When the passage is empty or lies outside the recording.
        """
        return passage_in_seconds(source, self.start, self.end)

    def placed(
        self, stems: Callable[[], StemStream], passage: SampleSource
    ) -> tuple[SampleSource, Callable[[], StemStream]]:
        """Return the recording that the stems belong to, and a function that returns their pieces."""
        if not (self.in_place and isinstance(passage, Passage)):
            return passage, stems
        return passage.source, lambda: _with_silence(stems(), passage)


def _with_silence(stems: StemStream, passage: Passage) -> StemStream:
    """Yield silence before the passage, its stems, and silence after it; the mixture is silent there too."""
    first = next(stems)
    names = tuple(first[1])
    yield from _silence(names, passage.channels, passage.start)
    yield first
    yield from stems
    yield from _silence(names, passage.channels, passage.source.length - passage.stop)


def _silence(names: tuple[str, ...], channels: int, length: int) -> StemStream:
    for start in range(0, length, _SILENCE_SAMPLES):
        piece = np.zeros((channels, min(_SILENCE_SAMPLES, length - start)))
        yield piece, dict.fromkeys(names, piece)
