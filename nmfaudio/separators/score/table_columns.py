"""Columns of a table of notes: recognised by their names, or by their values where they have no names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from nmfaudio.separators.score.table_values import parse_number, parse_pitch, parse_time

# Names of columns, without spaces, marks and units, in the order of preference.
_NAMES = {
    "onset": ("onset", "onsettime", "start", "starttime", "begin", "time", "timestamp", "on", "noteon"),
    "end": ("end", "endtime", "offset", "offsettime", "stop", "stoptime", "finish", "off", "noteoff"),
    "duration": ("duration", "dur", "length"),
    "pitch": ("pitch", "midi", "midipitch", "midinote", "notenumber", "key", "note", "notename", "value"),
    "frequency": ("frequency", "freq", "hz", "f0", "pitchhz"),
    "track": ("track", "part", "instrument", "voice", "source", "stem", "hand", "staff", "channel"),
}
COLUMNS = ("onset", "end", "pitch")
_UNITS = re.compile(r"[\s_(\[]+(ms|milliseconds?|msec|s|secs?|seconds?|hz|midi)[\s)\]]*$")
_MILLISECONDS = ("ms", "msec", "millisecond", "milliseconds")
_LOWEST_KEY, _HIGHEST_PITCH = 21, 127  # pitches of the lowest key of a piano and of MIDI
_LONGEST_DURATION = 60.0  # seconds: no longer notes are expected in a table without names of columns
# Columns of a table without names, by what Sonic Visualiser and Tony write, and as documented.
_LAYOUTS = (("onset", "end", "pitch", "track"), ("onset", "pitch", "duration"))


@dataclass(frozen=True)
class Columns:
    """Positions of the columns of a table.

    Attributes
    ----------
    at : dict of str to int
        Position of ``onset``, ``end`` or ``duration``, ``pitch``, and perhaps ``track``.
    names : tuple of str
        Names in the first line; empty where the table has none.
    seconds : float
        Length in seconds of the unit of time.
    missing : str
        Name of the first column that is missing; empty where none is.
    says_frequency : bool
        Whether the name of the pitch column says that it has frequencies.
    """

    at: dict[str, int]
    names: tuple[str, ...] = ()
    seconds: float = 1.0
    missing: str = ""
    says_frequency: bool = False

    @property
    def has_header(self) -> bool:
        """Whether the first line has the names of the columns."""
        return bool(self.names)

    @property
    def times(self) -> tuple[str, str]:
        """Names of the two columns with times."""
        return ("onset", "end" if "end" in self.at else "duration")

    def has_frequencies(self, rows: Sequence[Sequence[str]]) -> bool:
        """Return whether the pitches are frequencies: by their name, or by a value above 127."""
        column = self.at["pitch"]
        return self.says_frequency or any(
            (number := _number_or_none(row, column)) is not None and number > _HIGHEST_PITCH for row in rows
        )

    def facts(self, *, as_frequencies: bool) -> list[str]:
        """Return phrases on columns that are not in the documented form."""
        if not self.names:
            order = ", ".join(sorted(self.at, key=self.at.__getitem__))
            return [f"no names of columns, taken as {order}"]
        facts = [
            f"{role} from the column {self.names[position]!r}"
            for role, position in self.at.items()
            if self.names[position] != role
        ]
        if "duration" in self.at:
            facts.append("ends from durations")
        if self.seconds != 1:
            facts.append("times in milliseconds")
        if as_frequencies and not self.says_frequency:
            facts.append("pitches above 127 taken as frequencies")
        return facts


def columns_of(first: Sequence[str], others: Sequence[Sequence[str]]) -> Columns:
    """Return the columns of a table from its first row and the other rows.

    Examples
    --------
    >>> columns_of(["Start (s)", "Duration", "MIDI"], []).at
    {'onset': 0, 'duration': 1, 'pitch': 2}
    """
    if _is_data(first):
        return _columns_by_value([first, *others])
    return _columns_by_name(first)


def _is_data(cells: Sequence[str]) -> bool:
    """Return whether a row begins with a time: a row with names of columns does not."""
    try:
        parse_time(cells[0])
    except ValueError:
        return False
    return True


def _columns_by_name(names: Sequence[str]) -> Columns:
    plain = [_plain(name) for name in names]
    at = {}
    for role, known in _NAMES.items():
        position = next((plain.index(name) for name in known if name in plain), None)
        if position is not None:
            at[role] = position
    says_frequency = "frequency" in at and "pitch" not in at
    frequency = at.pop("frequency", None)
    if says_frequency and frequency is not None:
        at["pitch"] = frequency
    says_frequency |= "pitch" in at and _unit(names[at["pitch"]]) == "hz"
    if "end" in at:
        at.pop("duration", None)
    missing = next((c for c in COLUMNS if c not in at and not (c == "end" and "duration" in at)), "")
    units = {_unit(names[at[role]]) for role in ("onset", "end", "duration") if role in at}
    seconds = 1e-3 if units & set(_MILLISECONDS) else 1.0
    return Columns(at, tuple(names), seconds, missing, says_frequency)


def _plain(name: str) -> str:
    """Return the name of a column in lower case, without its unit, spaces and marks."""
    return re.sub(r"[\W_]+", "", _UNITS.sub("", name.strip().lower()))


def _unit(name: str) -> str:
    match = _UNITS.search(name.strip().lower())
    return match[1] if match else ""


def _columns_by_value(rows: Sequence[Sequence[str]]) -> Columns:
    """Return the layout that the values of a table without names fit."""
    for layout in _LAYOUTS:
        at = {role: position for position, role in enumerate(layout)}
        if all(_fits(row, at) for row in rows):
            width = min(len(row) for row in rows)
            return Columns({role: position for role, position in at.items() if position < width})
    return Columns({}, missing=COLUMNS[0])


def _fits(row: Sequence[str], at: dict[str, int]) -> bool:
    """Return whether the values of a row are possible for these columns."""
    try:
        onset = parse_time(row[at["onset"]])
        pitch = row[at["pitch"]]
        if "duration" in at:
            return 0 <= parse_time(row[at["duration"]]) <= _LONGEST_DURATION and _is_pitch(pitch)
        return parse_time(row[at["end"]]) >= onset and _is_pitch(pitch, highest=_HIGHEST_PITCH)
    except (IndexError, ValueError):
        return False


def _is_pitch(text: str, highest: float = float("inf")) -> bool:
    try:
        return _LOWEST_KEY <= parse_number(text) <= highest
    except ValueError:
        parse_pitch(text)
        return True


def _number_or_none(row: Sequence[str], column: int) -> float | None:
    try:
        return parse_number(row[column])
    except (IndexError, ValueError):
        return None
