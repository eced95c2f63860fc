"""What a user knows of a mixture: where sources are alone or silent, their notes, their place."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmfaudio.dictionaries.labels import RESIDUAL, check_label
from nmfaudio.dictionaries.pitch import note_frequency
from nmfaudio.errors import DictionaryError, OptionError

_LARGEST_FILE = 1 << 20  # bytes of a TOML file
_KEYS = ("solo", "silent", "range", "pan")
_HALF_SEMITONE = 2 ** (0.5 / 12)


@dataclass(frozen=True)
class Span:
    """A stretch of a mixture in which a source is alone, or silent.

    Attributes
    ----------
    source : str
    start, stop : float
        In seconds; `stop` may lie beyond the end.
    """

    source: str
    start: float
    stop: float

    def covers(self, times: NDArray[np.float64], margin: float = 0.0) -> NDArray[np.bool_]:
        """Say which times lie within it, and so far from its ends."""
        return (times >= self.start + margin) & (times < self.stop - margin)


@dataclass(frozen=True)
class Hints:
    """All that is known of the sources of a mixture.

    Attributes
    ----------
    solos : tuple of Span
        Where a source sounds alone.
    silences : tuple of Span
        Where a source does not sound.
    ranges : dict of str to (float, float)
        Lowest and highest fundamental frequency of a source in Hz.
    pans : dict of str to float
        Place of a source, -1 left to 1 right.

    Examples
    --------
    >>> Hints.parse(solo=["drums=0:00-0:07.5"], range=["piano=C4-C6"]).solos
    (Span(source='drums', start=0.0, stop=7.5),)
    """

    solos: tuple[Span, ...]
    silences: tuple[Span, ...]
    ranges: dict[str, tuple[float, float]]
    pans: dict[str, float]

    @classmethod
    def parse(
        cls,
        *,
        solo: Sequence[str] = (),
        silent: Sequence[str] = (),
        range: Sequence[str] = (),
        pan: Sequence[str] = (),
    ) -> Hints:
        """Read hints in the form `source=0:05-0:12`, `source=C4-C6`, `source=-0.5`.

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
        )

    @property
    def sources(self) -> tuple[str, ...]:
        """Every source that a hint names."""
        named = [*(span.source for span in (*self.solos, *self.silences)), *self.ranges, *self.pans]
        return tuple(dict.fromkeys(named))

    def allowed(self, sources: Sequence[str], times: NDArray[np.float64]) -> NDArray[np.bool_] | None:
        """Return which source may sound when, shape (sources, times), or None where all always may."""
        if not (self.solos or self.silences):
            return None
        may = np.ones((len(sources), len(times)), bool)
        for span in self.silences:
            may[[name == span.source for name in sources]] &= ~span.covers(times)
        for span in self.solos:
            may[[name != span.source for name in sources]] &= ~span.covers(times)
        return may

    def in_range(self, source: str, pitches: NDArray[Any]) -> NDArray[np.bool_]:
        """Say which templates of a source lie in its range; those without a pitch do."""
        low, high = self.ranges.get(source, (0.0, np.inf))
        fits = (pitches >= low / _HALF_SEMITONE) & (pitches <= high * _HALF_SEMITONE)
        return np.asarray((pitches == 0) | fits)


def read_hints(path: str | os.PathLike[str]) -> dict[str, list[str]]:
    """Read a TOML file with a table for each source, as the hints' texts by kind.

    Each table may have `solo` and `silent`, lists of texts such as `"0:05-0:12"`; `range`, such as `"C4-C6"`;
    and `pan`, a number from -1 to 1.

    Raises
    ------
    OptionError
        When it cannot be read, naming the file and the line or table.
    """
    try:
        with open(path, "rb") as file:
            content = tomllib.loads(file.read(_LARGEST_FILE).decode("utf-8"))
    except OSError as error:
        raise OptionError(f"{path}: cannot be opened ({error.strerror or error})") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise OptionError(f"{path}: not TOML ({error})") from None
    found: dict[str, list[str]] = {key: [] for key in _KEYS}
    for source, table in content.items():
        if not isinstance(table, dict) or not set(table) <= set(_KEYS):
            raise OptionError(f"{path}: {source!r} must be a table with {', '.join(_KEYS)}, or some of them")
        for key, value in table.items():
            values = value if isinstance(value, list) else [value]
            found[key] += [f"{source}={item}" for item in values]
    return found


def parse_seconds(text: str) -> float:
    """Return the seconds that a text such as `7.5`, `1:02` or `1:00:05` stands for.

    Raises
    ------
    ValueError
        When it stands for none.

    Examples
    --------
    >>> parse_seconds("1:02.5")
    62.5
    """
    parts = text.strip().split(":")
    if not 1 <= len(parts) <= 3 or not all(part and set(part) <= set("0123456789.") for part in parts):
        raise ValueError(f"{text!r} is no time")
    seconds = 0.0
    for part in parts:
        seconds = 60 * seconds + float(part)
    return seconds


def _split(kind: str, text: str, form: str) -> tuple[str, str]:
    source, equals, rest = text.rpartition("=")
    if not equals or not source.strip() or not rest.strip():
        raise OptionError(f"{kind} {text!r} must be of the form {form}")
    source = source.strip()
    if source != RESIDUAL:
        try:
            check_label(source)
        except DictionaryError as error:
            raise OptionError(f"{kind} {text!r}: {error}") from None
    return source, rest.strip()


def _span(kind: str, text: str) -> Span:
    source, rest = _split(kind, text, "source=0:05-0:12")
    first, _, last = rest.partition("-")
    try:
        span = Span(source, parse_seconds(first), parse_seconds(last))
    except ValueError:
        raise OptionError(f"{kind} {text!r}: write times like 0:05-0:12, minutes and seconds") from None
    if span.stop <= span.start:
        raise OptionError(f"{kind} {text!r}: it ends before it begins")
    return span


def _range(text: str) -> tuple[str, tuple[float, float]]:
    source, rest = _split("range", text, "source=C4-C6")
    first, _, last = rest.partition("-")
    try:
        low, high = note_frequency(first.strip()), note_frequency(last.strip())
    except ValueError:
        raise OptionError(f"range {text!r}: write notes like C4-C6") from None
    if high < low:
        raise OptionError(f"range {text!r}: the lower note comes first")
    return source, (low, high)


def _pan(text: str) -> tuple[str, float]:
    source, rest = _split("pan", text, "source=-0.5")
    try:
        value = float(rest)
    except ValueError:
        value = np.inf
    if not -1 <= value <= 1:
        raise OptionError(f"pan {text!r}: use a number from -1 (left) to 1 (right)")
    return source, value
