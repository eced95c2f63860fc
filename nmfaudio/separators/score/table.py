"""Notes in a table: CSV files of spreadsheets, of annotation tools and of other programs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from nmfaudio.errors import OptionError
from nmfaudio.separators.score.notes import Note
from nmfaudio.separators.score.table_columns import Columns, columns_of
from nmfaudio.separators.score.table_values import parse_number, parse_pitch, parse_time
from nmfaudio.separators.score.text import distinct, file_name_part, likely_encoding

_DELIMITERS = (";", "\t", ",", "|")
_COMMENT_MARKS = ("#", "%")
_LONGEST = 24 * 3600.0  # seconds: longer times are most likely in another unit
_HIGHEST_PITCH = 127
_LONGEST_NAME = 90  # bytes of a track's name
_ENCODING_NAMES = {
    "utf-16": "UTF-16",
    "utf-16-le": "UTF-16",
    "utf-16-be": "UTF-16",
    "cp932": "Shift-JIS",
    "cp1252": "Latin-1",
    "latin-1": "Latin-1",
}
_DELIMITER_NAMES = {";": "semicolons", "\t": "tabs", "|": "vertical bars", " ": "spaces"}


@dataclass(frozen=True)
class _Row:
    """A row that is not empty, and the number of its line in the file."""

    line: int
    cells: tuple[str, ...]


def read_table(path: Path, data: bytes) -> tuple[list[Note], list[str]]:
    """Return the notes of a table, and a message where it is not in the documented form.

    The documented form is a CSV file in UTF-8 whose first line names the columns ``onset``, ``end``,
    ``pitch`` and perhaps ``track``. Other names, delimiters, encodings, decimal commas, durations, names of
    notes and frequencies are understood too.

    Raises
    ------
    OptionError
        When columns are missing or a value cannot be used; the message names the line.
    """
    encoding = likely_encoding([data])
    text = data.decode(encoding)
    delimiter = _delimiter(text)
    rows = list(_rows(text, delimiter))
    if not rows:
        return [], []
    columns = columns_of(rows[0].cells, [row.cells for row in rows[1:]])
    if columns.missing:
        _refuse(
            path,
            f" lacks the column {columns.missing!r}: the first line must name the columns "
            "onset, end (seconds), pitch (60 is the middle C) and perhaps track",
        )
    body = rows[1:] if columns.has_header else rows
    as_frequencies = columns.has_frequencies([row.cells for row in body])
    notes = [_note(path, row, columns, as_frequencies) for row in body]
    reading = _Reading(encoding, delimiter, columns, as_frequencies)
    return _with_file_names(notes), reading.messages([row.cells for row in body])


def _refuse(path: Path, fault: str) -> NoReturn:
    raise OptionError(f"midi={str(path)!r}{fault}", option="midi")


def _delimiter(text: str) -> str:
    """Return the delimiter that appears in the first line; spaces where none does."""
    lines = (line for line in text.splitlines() if line.strip() and not line.startswith(_COMMENT_MARKS))
    first = next(lines, "")
    if first.lower().startswith("sep=") and len(first.strip()) == 5:  # written by and for Excel
        return first[4]
    counts = {delimiter: first.count(delimiter) for delimiter in _DELIMITERS}
    for delimiter in (";", "\t", "|", ","):  # a comma can also be a decimal comma
        if counts[delimiter] >= 2:
            return delimiter
    return next((delimiter for delimiter in _DELIMITERS if counts[delimiter]), " ")


def _rows(text: str, delimiter: str) -> Iterator[_Row]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    for row in reader:
        cells = tuple(cell.strip().strip("\ufeff") for cell in row)
        is_directive = len(cells) and cells[0].lower().startswith("sep=")
        if any(cells) and not is_directive and not cells[0].startswith(_COMMENT_MARKS):
            yield _Row(reader.line_num, cells)


def _note(path: Path, row: _Row, columns: Columns, as_frequencies: bool) -> Note:
    where = f", line {row.line}"
    try:
        onset = parse_time(row.cells[columns.at["onset"]]) * columns.seconds
        if "end" in columns.at:
            end = parse_time(row.cells[columns.at["end"]]) * columns.seconds
        else:
            end = onset + parse_time(row.cells[columns.at["duration"]]) * columns.seconds
    except (IndexError, ValueError):
        _refuse(path, f"{where}: {' and '.join(columns.times)} must be numbers (seconds)")
    try:
        pitch = parse_pitch(row.cells[columns.at["pitch"]], is_frequency=as_frequencies)
    except (IndexError, ValueError):
        _refuse(path, f"{where}: the pitch must be a number (60 is the middle C) or a note such as C4")
    if not (0 <= onset <= end < _LONGEST and 0 <= pitch <= _HIGHEST_PITCH):
        _refuse(
            path,
            f"{where}: a note must end after its onset (seconds), and have a pitch within 0 and 127",
        )
    track = columns.at.get("track", len(row.cells))
    return Note(onset, end, pitch, row.cells[track] if track < len(row.cells) else "")


def _with_file_names(notes: Sequence[Note]) -> list[Note]:
    """Return the notes with names of tracks that can be names of files; different tracks stay different."""
    written = list(dict.fromkeys(note.track for note in notes))
    names = distinct([file_name_part(name, _LONGEST_NAME) or "notes" for name in written])
    by_track = dict(zip(written, names, strict=True))
    return [Note(note.onset, note.end, note.pitch, by_track[note.track]) for note in notes]


@dataclass(frozen=True)
class _Reading:
    """How a table was read."""

    encoding: str
    delimiter: str
    columns: Columns
    as_frequencies: bool

    def messages(self, cells: Sequence[Sequence[str]]) -> list[str]:
        """Return a message that says how the table was read; none for a table in the documented form."""
        facts = [
            *([_ENCODING_NAMES[self.encoding]] if self.encoding in _ENCODING_NAMES else []),
            *([f"separated by {name}"] if (name := _DELIMITER_NAMES.get(self.delimiter)) else []),
            *(["decimal commas"] if self._has_decimal_commas(cells) else []),
            *self.columns.facts(as_frequencies=self.as_frequencies),
            *self._pitch_facts(cells),
        ]
        return [f"the table of notes was read as: {', '.join(facts)}"] if facts else []

    def _has_decimal_commas(self, cells: Sequence[Sequence[str]]) -> bool:
        number = self.columns.at["onset"]
        return any("," in row[number] for row in cells)

    def _pitch_facts(self, cells: Sequence[Sequence[str]]) -> list[str]:
        pitches = [row[self.columns.at["pitch"]] for row in cells]
        if self.as_frequencies:
            return ["frequencies rounded to the nearest pitch"]
        if any(_is_note_name(pitch) for pitch in pitches):
            return ["names of notes, with C4 as the middle C"]
        if any(parse_number(pitch) % 1 for pitch in pitches):
            return ["fractions of a semitone rounded"]
        return []


def _is_note_name(text: str) -> bool:
    try:
        parse_number(text)
    except ValueError:
        return True
    return False
