"""Label files as hints: label tracks of Audacity, selection tables of Raven, and CSV.

A label track of Audacity has a line for each label: start and end in seconds and the text, with tabs between
them. A label with frequencies is followed by a line that begins with a backslash and holds the lowest and
highest frequency. Tables have a first line with the names of the columns.

A label names the source that sounds alone in its passage, or, with frequencies, in its rectangle. A label
that begins with ``!`` names a source that does not sound there.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from nmfaudio.dictionaries.labels import RESIDUAL, check_label
from nmfaudio.errors import DictionaryError, OptionError
from nmfaudio.separators.score.table_values import parse_number, parse_time
from nmfaudio.separators.score.text import likely_encoding

ENDINGS = (".txt", ".tsv", ".csv", ".tab")  # files with these endings are label files
ABSENT = "!"  # first character of a label whose source does not sound
LEVEL = re.compile(r"\s*\((-?\d+(?:[.,]\d+)? dB|silent)\)$")  # what `--labels audacity` adds to the names

_LARGEST_FILE = 16 << 20  # bytes
_FREQUENCY_LINE = "\\"
_DELIMITERS = ("\t", ";", ",")
# Names of the columns in tables, in small letters; the first that is present counts.
_COLUMNS = {
    "start": ("begin time (s)", "onset", "start", "begin", "start time", "begin time", "tmin"),
    "stop": ("end time (s)", "end", "offset", "stop", "end time", "tmax"),
    "low": ("low freq (hz)", "low", "low frequency", "fmin", "freqlow"),
    "high": ("high freq (hz)", "high", "high frequency", "fmax", "freqhigh"),
    "source": ("annotation", "source", "label", "name", "text", "species", "common name", "tag", "type"),
}


@dataclass(frozen=True)
class Label:
    """A label: a source, a passage, and perhaps a range of frequencies.

    Attributes
    ----------
    source : str
    start, stop : float
        Times in seconds.
    band : (float, float) or None
        Lowest and highest frequency in Hz.
    sounds : bool
        Whether the source sounds alone there; else it does not sound.
    """

    source: str
    start: float
    stop: float
    band: tuple[float, float] | None = None
    sounds: bool = True

    @property
    def hint(self) -> tuple[str, str]:
        """Kind of the hint that the label gives, and its text."""
        passage = f"{self.source}={self.start:.6f}-{self.stop:.6f}"
        if self.band is None:
            return ("solo" if self.sounds else "silent"), passage
        low, high = self.band
        return ("region" if self.sounds else "not_region"), f"{passage}@{low:.3f}-{high:.3f}"


def is_label_file(path: str | os.PathLike[str]) -> bool:
    """Whether the ending of a file is that of a label file."""
    return Path(path).suffix.lower() in ENDINGS


def read_label_hints(path: str | os.PathLike[str]) -> list[tuple[str, str]]:
    """Return the kind and the text of each hint in a label file.

    Where labels of several sources overlap, none of them sounds alone, so only the rest of their passages
    counts.

    Raises
    ------
    OptionError
        When the file cannot be read; the message names the file and the line.
    """
    labels = list(dict.fromkeys(read_labels(path)))  # Raven lists a selection once for each view
    solos = [label for label in labels if label.hint[0] == "solo"]
    rest = [label.hint for label in labels if label.hint[0] != "solo"]
    return [*(label.hint for label in _alone(solos)), *rest]


def read_labels(path: str | os.PathLike[str]) -> list[Label]:
    """Read the labels of a file in the order of its lines.

    Raises
    ------
    OptionError
        When the file cannot be read, or a line is no label; the message names the file and the line.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(_LARGEST_FILE + 1)
    except OSError as error:
        raise OptionError(f"{path}: cannot be opened ({error.strerror or error})", option="hints") from None
    if len(data) > _LARGEST_FILE:
        raise OptionError(f"{path}: it is too large for a file of labels", option="hints")
    try:
        text = data.decode(likely_encoding([data])).lstrip("\ufeff")
    except UnicodeDecodeError as error:
        raise OptionError(f"{path}: is not a text ({error})", option="hints") from None
    return list(_Reader(path, text).labels())


class _Reader:
    """Reads the lines of one label file."""

    def __init__(self, path: str | os.PathLike[str], text: str) -> None:
        self._path = path
        lines = text.splitlines()
        self._lines = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]

    def labels(self) -> Iterator[Label]:
        """Yield the labels."""
        if not self._lines:
            self._refuse(1, "there are no labels: write one a line, such as 1.2<tab>1.8<tab>snare")
        delimiter, names = self._header()
        yield from self._table(delimiter, names) if names else self._track()

    def _header(self) -> tuple[str, dict[str, int]]:
        """Return the delimiter of a table and the number of each column; no columns for a label track."""
        first = self._lines[0][1]
        delimiter = next((mark for mark in _DELIMITERS if mark in first), "\t")
        cells = [cell.strip().lower() for cell in next(csv.reader([first], delimiter=delimiter))]
        columns = {
            kind: next((cells.index(name) for name in names if name in cells), -1)
            for kind, names in _COLUMNS.items()
        }
        found = {kind: number for kind, number in columns.items() if number >= 0}
        if not found:
            return delimiter, {}
        for kind, name in (("start", "start"), ("stop", "end"), ("source", "source")):
            if kind not in found:
                self._refuse(
                    self._lines[0][0],
                    f"the table has no column {name!r} among {', '.join(cells)}: add it"
                    + (" (in Raven: a column Annotation)" if kind == "source" else ""),
                )
        return delimiter, found

    def _table(self, delimiter: str, columns: dict[str, int]) -> Iterator[Label]:
        for number, line in self._lines[1:]:
            row = next(csv.reader(io.StringIO(line), delimiter=delimiter), [])
            if max(columns.values()) >= len(row):
                self._refuse(number, f"it has {len(row)} cells, but the first line names more columns")
            cells = {kind: row[column].strip() for kind, column in columns.items()}
            band = (cells.get("low", ""), cells.get("high", ""))
            yield self._label(number, cells["start"], cells["stop"], cells["source"], band)

    def _track(self) -> Iterator[Label]:
        """Read a label track; the line after a label may hold its frequencies."""
        waiting: tuple[int, str, str, str] | None = None
        for number, line in self._lines:
            cells = line.strip("\r\n").split("\t", 2)
            if cells[0].strip() == _FREQUENCY_LINE:
                if waiting is None or len(cells) < 3:
                    self._refuse(number, "it holds frequencies, but they belong to no label before it")
                yield self._label(*waiting, (cells[1], cells[2]))
                waiting = None
                continue
            if waiting:
                yield self._label(*waiting)
            if len(cells) < 2:
                cells = self._without_tabs(number, line)
            waiting = number, cells[0], cells[1], cells[2] if len(cells) > 2 else ""
        if waiting:
            yield self._label(*waiting)

    def _without_tabs(self, number: int, line: str) -> list[str]:
        """Return the cells of a line of a CSV file without names of columns."""
        delimiter = ";" if ";" in line else ","
        cells = next(csv.reader(io.StringIO(line), delimiter=delimiter), [])
        if len(cells) != 3:
            self._refuse(number, "write start, end and source with tabs between them, or a CSV with a header")
        return cells

    def _label(
        self, number: int, start: str, stop: str, text: str, band: tuple[str, str] = ("", "")
    ) -> Label:
        """Return a label from its texts, or refuse its line."""
        name = LEVEL.sub("", text.strip()).strip()
        sounds = not name.startswith(ABSENT)
        name = name.removeprefix(ABSENT).strip()
        if not name:
            self._refuse(number, "the label is empty: write the name of the source, or delete the label")
        try:
            name = name if name == RESIDUAL else check_label(name)
        except DictionaryError as error:
            self._refuse(number, str(error))
        first, last = self._number(number, start, "a time"), self._number(number, stop, "a time")
        if last == first:
            self._refuse(number, f"the label {name!r} is a point: give it a length, or delete it")
        if last < first or first < 0:
            passage = f"{start.strip()} to {stop.strip()}"
            self._refuse(number, f"{passage} is no passage: the end must follow the start")
        return Label(name, first, last, self._band(number, band), sounds)

    def _band(self, number: int, texts: tuple[str, str]) -> tuple[float, float] | None:
        if not any(text.strip() for text in texts):
            return None
        low, high = (self._number(number, text, "a frequency") for text in texts)
        if low < 0 and high < 0:  # Audacity's mark of an unknown frequency
            return None
        low = max(0.0, low)
        if high <= low:
            self._refuse(number, f"{low:g} to {high:g} Hz is no range: the higher frequency must come second")
        return low, high

    def _number(self, number: int, text: str, kind: str) -> float:
        try:
            return parse_time(text.strip()) if kind == "a time" else parse_number(text.strip())
        except ValueError:
            self._refuse(number, f"{text.strip()!r} is not {kind}")

    def _refuse(self, number: int, fault: str) -> NoReturn:
        raise OptionError(f"{self._path}, line {number}: {fault}", option="hints")


def _alone(labels: Iterable[Label]) -> list[Label]:
    """Return the passages in which labels of exactly one source lie."""
    edges: dict[float, list[tuple[str, int]]] = {}
    for label in labels:
        edges.setdefault(label.start, []).append((label.source, 1))
        edges.setdefault(label.stop, []).append((label.source, -1))
    found: list[Label] = []
    sounding: Counter[str] = Counter()
    start = 0.0
    for stop in sorted(edges):
        if len(sounding) == 1:
            (source,) = sounding
            joins = bool(found) and found[-1].source == source and found[-1].stop == start
            found.append(Label(source, found.pop().start if joins else start, stop))
        for source, change in edges[stop]:
            sounding[source] += change
        sounding = +sounding  # without sources whose labels have ended
        start = stop
    return found
