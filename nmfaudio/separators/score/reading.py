"""Reading the notes of a score from a file."""

from __future__ import annotations

from pathlib import Path

from nmfaudio.errors import OptionError
from nmfaudio.separators.score.midi import is_midi, read_midi
from nmfaudio.separators.score.notes import WrittenScore
from nmfaudio.separators.score.table import read_table

_TABLE_SUFFIXES = {".csv", ".tsv", ".txt"}
_MIDI_SUFFIXES = {".mid", ".midi", ".smf", ".kar", ".rmi"}


def read_score(path: Path, *, merge_same_names: bool = False) -> WrittenScore:
    """Read the notes of a MIDI file, or of a table with the columns onset, end, pitch and perhaps track.

    Parameters
    ----------
    path : Path
    merge_same_names : bool
        Whether tracks of the same name become one track. Otherwise they are numbered.

    Raises
    ------
    OptionError
        For a file that does not exist, cannot be read, or has no notes.
    """
    if not path.is_file():
        raise OptionError(f"midi={str(path)!r}: there is no such file", option="midi")
    try:
        data = path.read_bytes()
        score = _read(path, data, merge_same_names)
    except OptionError:
        raise
    except Exception as error:  # mido raises many kinds of exceptions for damaged files
        reason = f"{type(error).__name__}: {error}".rstrip(": ")
        raise OptionError(
            f"midi={str(path)!r} cannot be read ({reason}): export it again", option="midi"
        ) from None
    if not score.notes:
        raise OptionError(f"midi={str(path)!r} has no notes", option="midi")
    return score


def _read(path: Path, data: bytes, merge_same_names: bool) -> WrittenScore:
    if is_midi(data) or path.suffix.lower() in _MIDI_SUFFIXES:
        notes, messages = read_midi(data, merge_same_names=merge_same_names)
    elif path.suffix.lower() in _TABLE_SUFFIXES:
        notes, messages = read_table(path, data)
    else:
        raise OptionError(
            f"midi={str(path)!r} is neither a MIDI file (.mid) nor a table of notes (.csv, .tsv, .txt)",
            option="midi",
        )
    return WrittenScore(tuple(sorted(notes)), tuple(messages))
