"""Notes of a score."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Note:
    """One note.

    Attributes
    ----------
    onset : float
        Time in seconds at which the note begins.
    end : float
        Time in seconds at which the note ends, at most; infinite for a note that may last to the end of the
        recording.
    pitch : int
        MIDI number of the pitch; 60 is the middle C.
    track : str
        Name of the track that the note stands in.
    instrument : str
        ``program`` and the number of the MIDI program, counted from 1, or ``drums``.

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
        """Fundamental frequency in Hz."""
        return float(440.0 * 2 ** ((self.pitch - 69) / 12))


@dataclass(frozen=True)
class WrittenScore:
    """The notes of a score, and messages about how its file was read.

    Attributes
    ----------
    notes : tuple of Note
        Sorted by onset.
    messages : tuple of str
    """

    notes: tuple[Note, ...]
    messages: tuple[str, ...] = ()

    @property
    def tracks(self) -> tuple[str, ...]:
        """Names of the tracks, sorted."""
        return tuple(sorted({note.track for note in self.notes}))
