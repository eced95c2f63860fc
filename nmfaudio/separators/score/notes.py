"""Notes of a score: from a MIDI file or a CSV table."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nmfaudio.errors import OptionError

_DRUM_CHANNEL = 9
_MIDI_SUFFIXES = {".mid", ".midi", ".smf"}
_COLUMNS = ("onset", "end", "pitch")
_LONGEST = 24 * 3600.0  # seconds: times beyond a day are taken for another unit


@dataclass(frozen=True, order=True)
class Note:
    """One note.

    Attributes
    ----------
    onset, end : float
        Seconds.
    pitch : int
        As in MIDI: 60 is the middle C.
    track : str
        Name of the track that it stands in.
    instrument : str
        Number of its MIDI program, or `drums`.

    Examples
    --------
    >>> Note(0.5, 1.0, 69).frequency
    440.0
    """

    onset: float
    end: float
    pitch: int
    track: str = "notes"
    instrument: str = "program1"

    @property
    def frequency(self) -> float:
        """Of its fundamental, in Hz."""
        return float(440.0 * 2 ** ((self.pitch - 69) / 12))


def read_notes(path: Path) -> tuple[Note, ...]:
    """Read the notes of a MIDI file, or of a CSV file with the columns onset, end, pitch and perhaps track.

    Raises
    ------
    OptionError
        For a file that is not there, cannot be read, or holds no notes.
    """
    if not path.is_file():
        raise OptionError(f"midi={str(path)!r}: there is no such file")
    midi = path.suffix.lower() in _MIDI_SUFFIXES
    if not midi and path.suffix.lower() != ".csv":
        raise OptionError(f"midi={str(path)!r} is neither MIDI (.mid) nor a table of notes (.csv)")
    try:
        notes = sorted(_of_midi(path) if midi else _of_table(path))
    except OptionError:
        raise
    except Exception as error:  # the reader of MIDI raises many kinds for damaged files
        reason = f"{type(error).__name__}: {error}"
        raise OptionError(f"midi={str(path)!r} cannot be read ({reason}): export it again") from None
    if not notes:
        raise OptionError(f"midi={str(path)!r} holds no notes")
    return tuple(notes)


def _of_midi(path: Path) -> Iterator[Note]:
    import mido

    file = mido.MidiFile(path, clip=True)
    tempos = _tempos(file)
    for number, track in enumerate(file.tracks):
        tick, programs, name = 0, dict.fromkeys(range(16), 0), f"track{number + 1}"
        sounding: dict[tuple[int, int], list[tuple[float, str]]] = {}
        for message in track:
            tick += message.time
            if message.type == "track_name" and message.name.strip():
                name = _file_name(message.name)
            elif message.type == "program_change":
                programs[message.channel] = message.program
            elif message.type in ("note_on", "note_off"):
                key, now = (message.channel, message.note), _seconds(tempos, tick, file.ticks_per_beat)
                if message.type == "note_on" and message.velocity:
                    kind = "drums" if key[0] == _DRUM_CHANNEL else f"program{programs[key[0]] + 1}"
                    sounding.setdefault(key, []).append((now, kind))
                elif sounding.get(key):
                    onset, kind = sounding[key].pop(0)
                    yield Note(onset, max(now, onset), message.note, name, kind)


def _tempos(file: Any) -> list[tuple[int, int]]:
    """Return (tick, microseconds a beat) of all changes of tempo, whichever track they stand in."""
    found = {0: 500_000}
    for track in file.tracks:
        tick = 0
        for message in track:
            tick += message.time
            if message.type == "set_tempo":
                found[tick] = message.tempo
    return sorted(found.items())


def _seconds(tempos: list[tuple[int, int]], tick: int, ticks_per_beat: int) -> float:
    seconds = 0.0
    for (start, tempo), (stop, _) in zip(tempos, [*tempos[1:], (tick, 0)], strict=True):
        if start >= tick:
            break
        seconds += (min(stop, tick) - start) * tempo / (1e6 * ticks_per_beat)
    return seconds


def _of_table(path: Path) -> Iterator[Note]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        table = csv.DictReader(file)
        missing = [column for column in _COLUMNS if column not in (table.fieldnames or ())]
        if missing:
            raise OptionError(
                f"midi={str(path)!r} lacks the column {missing[0]!r}: the first line must name the columns "
                "onset, end (seconds), pitch (60 is the middle C) and perhaps track"
            )
        for row in table:
            yield _of_row(path, table.line_num, row)


def _of_row(path: Path, line: int, row: dict[str, str]) -> Note:
    try:
        onset, end, pitch = float(row["onset"]), float(row["end"]), int(row["pitch"])
    except (TypeError, ValueError):
        raise OptionError(f"midi={str(path)!r}, line {line}: onset, end and pitch must be numbers") from None
    if not (0 <= onset <= end < _LONGEST and 0 <= pitch <= 127):
        raise OptionError(
            f"midi={str(path)!r}, line {line}: a note must end after its onset (seconds), "
            "and have a pitch within 0 and 127"
        )
    return Note(onset, end, pitch, _file_name(row.get("track") or "notes"))


def _file_name(name: str) -> str:
    """Return a name without what a file name cannot hold."""
    clean = "".join("_" if c in '/\\:*?"<>|' or not c.isprintable() else c for c in name.strip())
    return clean.lstrip(".") or "notes"
