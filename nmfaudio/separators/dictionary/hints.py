"""Hints about a mixture: passages of sources alone or silent, their notes, pan positions and regions."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmfaudio.dictionaries.pitch import note_frequency
from nmfaudio.errors import OptionError
from nmfaudio.separators.dictionary.label_files import is_label_file, read_label_hints
from nmfaudio.separators.regions.region import Regions
from nmfaudio.separators.regions.text import source_and_rest
from nmfaudio.sound.times import parse_seconds

_LARGEST_FILE = 1 << 20  # bytes that are read of a TOML file
_KEYS = ("solo", "silent", "range", "pan", "region", "not_region")
_HALF_SEMITONE = 2 ** (0.5 / 12)


@dataclass(frozen=True)
class Span:
    """A passage of a mixture in which a source is alone, or silent.

    Attributes
    ----------
    source : str
    start, stop : float
        Times in seconds; `stop` may lie beyond the end of the mixture.
    """

    source: str
    start: float
    stop: float

    def covers(self, times: NDArray[np.float64], margin: float = 0.0) -> NDArray[np.bool_]:
        """Return which times lie inside the passage, at least `margin` seconds from its ends."""
        return (times >= self.start + margin) & (times < self.stop - margin)


@dataclass(frozen=True)
class Hints:
    """Everything that the user says about the sources of a mixture.

    Attributes
    ----------
    solos : tuple of Span
        Passages in which a source sounds alone.
    silences : tuple of Span
        Passages in which a source does not sound.
    ranges : dict of str to (float, float)
        Lowest and highest fundamental frequency of a source in Hz.
    pans : dict of str to float
        Pan position of a source, from -1 (left) to 1 (right).
    regions : Regions
        Rectangles of time and frequency in which sources sound, or do not sound.

    Examples
    --------
    >>> Hints.parse(solo=["drums=0:00-0:07.5"], range=["piano=C4-C6"]).solos
    (Span(source='drums', start=0.0, stop=7.5),)
    """

    solos: tuple[Span, ...]
    silences: tuple[Span, ...]
    ranges: dict[str, tuple[float, float]]
    pans: dict[str, float]
    regions: Regions = Regions()

    @classmethod
    def parse(
        cls,
        *,
        solo: Sequence[str] = (),
        silent: Sequence[str] = (),
        range: Sequence[str] = (),
        pan: Sequence[str] = (),
        region: Sequence[str] = (),
        not_region: Sequence[str] = (),
    ) -> Hints:
        """Read hints in the form `source=0:05-0:12`, `source=C4-C6`, `source=-0.5`, `source=1-2@80-400`.

        Raises
        ------
        OptionError
            For a hint that cannot be read.
        """
        return cls(
            tuple(_span("solo", text) for text in solo),
            tuple(_span("silent", text) for text in silent),
            dict(_range(text) for text in range),
            dict(_pan(text) for text in pan),
            Regions.parse(region, not_region),
        )

    @property
    def sources(self) -> tuple[str, ...]:
        """Sources that the hints name, each once."""
        spans = (*self.solos, *self.silences)
        named = [*(span.source for span in spans), *self.ranges, *self.pans, *self.regions.sources]
        return tuple(dict.fromkeys(named))

    def allowed(self, sources: Sequence[str], times: NDArray[np.float64]) -> NDArray[np.bool_] | None:
        """Return when each source may sound, shape (sources, times), or None without solos and silences."""
        if not (self.solos or self.silences):
            return None
        allowed = np.ones((len(sources), len(times)), bool)
        for span in self.silences:
            allowed[[name == span.source for name in sources]] &= ~span.covers(times)
        for span in self.solos:
            allowed[[name != span.source for name in sources]] &= ~span.covers(times)
        return allowed

    def in_range(self, source: str, pitches: NDArray[Any]) -> NDArray[np.bool_]:
        """Return which pitches (Hz) lie in the range of a source; 0, for no pitch, counts as inside."""
        low, high = self.ranges.get(source, (0.0, np.inf))
        fits = (pitches >= low / _HALF_SEMITONE) & (pitches <= high * _HALF_SEMITONE)
        return np.asarray((pitches == 0) | fits)


def read_hints(path: str | os.PathLike[str]) -> dict[str, list[str]]:
    """Read a file of hints; return the texts of the hints by kind.

    A file that ends in .txt, .tsv, .csv or .tab is read by `read_label_hints`. Any other file is TOML with a
    table for each source.

    Each table may have `solo` and `silent`, lists of texts such as `"0:05-0:12"`; `range`, such as `"C4-C6"`
    or `"3000-7000"` in Hz; `pan`, a number from -1 to 1; `region` and `not_region`, lists of texts such as
    `"1.20-1.32@150-9000"`.

    Raises
    ------
    OptionError
        When the file cannot be read; the message names the file and the line or table.
    """
    texts: dict[str, list[str]] = {key: [] for key in _KEYS}
    if is_label_file(path):
        for kind, text in read_label_hints(path):
            texts[kind].append(text)
        return texts
    for source, table in _tables(path).items():
        if not isinstance(table, dict) or not set(table) <= set(_KEYS):
            raise OptionError(
                f"{path}: {source!r} must be a table with some of the keys {', '.join(_KEYS)}", option="hints"
            )
        for key, value in table.items():
            values = value if isinstance(value, list) else [value]
            texts[key] += [f"{source}={item}" for item in values]
    return texts


def _tables(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the content of a TOML file."""
    try:
        with open(path, "rb") as file:
            content: dict[str, Any] = tomllib.loads(file.read(_LARGEST_FILE).decode("utf-8"))
    except OSError as error:
        raise OptionError(f"{path}: cannot be opened ({error.strerror or error})", option="hints") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise OptionError(f"{path}: is not valid TOML ({error})", option="hints") from None
    return content


def _span(kind: str, text: str) -> Span:
    source, rest = source_and_rest(kind, text, "source=0:05-0:12")
    first, _, last = rest.partition("-")
    try:
        span = Span(source, parse_seconds(first), parse_seconds(last))
    except ValueError:
        raise OptionError(
            f"{kind} {text!r}: write times like 0:05-0:12, in minutes and seconds", option=kind
        ) from None
    if span.stop <= span.start:
        raise OptionError(f"{kind} {text!r}: the passage ends before it begins", option=kind)
    return span


def _range(text: str) -> tuple[str, tuple[float, float]]:
    source, rest = source_and_rest("range", text, "source=C4-C6")
    first, _, last = rest.partition("-")
    try:
        low, high = _frequency(first), _frequency(last)
    except ValueError:
        way_out = "write notes like C4-C6, or frequencies in Hz like 3000-7000"
        raise OptionError(f"range {text!r}: {way_out}", option="range") from None
    if high < low:
        raise OptionError(f"range {text!r}: write the lower note first", option="range")
    return source, (low, high)


def _frequency(text: str) -> float:
    """Return the frequency in Hz of a note such as `C4`, or of a number such as `3000` or `3kHz`."""
    number, factor = text.strip().lower().removesuffix("hz"), 1.0
    if number.endswith("k"):
        number, factor = number[:-1], 1000.0
    try:
        frequency = factor * float(number)
    except ValueError:
        return note_frequency(text.strip())
    if not 0 < frequency < np.inf:
        raise ValueError(f"{text!r} is not a frequency")
    return frequency


def _pan(text: str) -> tuple[str, float]:
    source, rest = source_and_rest("pan", text, "source=-0.5")
    try:
        value = float(rest)
    except ValueError:
        value = np.inf
    if not -1 <= value <= 1:
        raise OptionError(f"pan {text!r}: use a number from -1 (left) to 1 (right)", option="pan")
    return source, value
