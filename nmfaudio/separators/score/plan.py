"""When each template of a score may be active: around the notes of its pitch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nmfaudio.dictionaries.pitch import harmonic_numbers
from nmfaudio.separators.score.notes import Note

_EARLY_SECONDS, _LATE_SECONDS = 0.12, 0.5  # a note may sound fully this long before its onset, after its end
# Earlier than that, activations start lower the further they are from the onset. They grow where nothing else
# explains the recording: a score with exact onsets loses very little, and notes that are written late keep
# their beginning.
_FADE_SECONDS = 0.025  # time in which the start of the activations falls to 1 / e
_EARLIEST_SECONDS, _EARLIEST_STRIKE_SECONDS = 0.35, 0.2  # before an onset: nothing may sound earlier
_STRIKE_SECONDS = 0.2  # after an onset: the noise of the onset may sound this long
_ROLL_OFFS = (1.0, 2.0)  # exponents of 1 / harmonic number: a bright and a dull template for each pitch
TEMPLATES_PER_PITCH = len(_ROLL_OFFS) + 1  # the last one is the noise of the onsets


@dataclass(frozen=True)
class Plan:
    """Which template may be active when.

    Attributes
    ----------
    pitches : tuple of (str, int)
        Part and pitch; each of them has several templates, one after another.
    notes : tuple of tuple of Note
        Notes of each part and pitch.
    """

    pitches: tuple[tuple[str, int], ...]
    notes: tuple[tuple[Note, ...], ...]

    @classmethod
    def of(cls, notes: Iterable[tuple[str, Note]]) -> Plan:
        """Sort notes, each with its part, by part and pitch."""
        by_pitch: dict[tuple[str, int], list[Note]] = {}
        for part, note in notes:
            by_pitch.setdefault((part, note.pitch), []).append(note)
        pitches = tuple(sorted(by_pitch))
        return cls(pitches, tuple(tuple(by_pitch[pitch]) for pitch in pitches))

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the parts, in order."""
        return tuple(sorted({part for part, _ in self.pitches}))

    @property
    def labels(self) -> NDArray[np.intp]:
        """Index of the part of each template."""
        numbers = [self.parts.index(part) for part, _ in self.pitches]
        return np.repeat(np.array(numbers, np.intp), TEMPLATES_PER_PITCH)

    def templates(self, frequencies: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the start of the templates, each with the sum 1, shape (bins, templates)."""
        W = np.hstack([_pitch_templates(pitch, frequencies) for _, pitch in self.pitches])
        return np.asarray(W / W.sum(axis=0))

    def windows(self, times: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return how likely each template is active at ascending times, 0 to 1, shape (templates, times)."""
        windows = np.zeros((len(self.pitches), TEMPLATES_PER_PITCH, len(times)), np.float32)
        for rows, notes in zip(windows, self.notes, strict=True):
            for note in notes:
                if note.end + _LATE_SECONDS < times[0] or note.onset - _EARLIEST_SECONDS > times[-1]:
                    continue  # in a long recording, most notes are outside a block
                _open(rows[:-1], times, note.onset, _EARLIEST_SECONDS, note.end + _LATE_SECONDS)
                _open(rows[-1:], times, note.onset, _EARLIEST_STRIKE_SECONDS, note.onset + _STRIKE_SECONDS)
        return windows.reshape(-1, len(times))


def _pitch_templates(pitch: int, frequencies: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the start of the templates of a pitch: harmonics, and noise; shape (bins, templates)."""
    number = harmonic_numbers(440.0 * 2 ** ((pitch - 69) / 12), frequencies)
    combs = [np.where(number > 0, np.maximum(number, 1) ** -power, 0.0) for power in _ROLL_OFFS]
    return np.stack([*combs, np.ones(len(number))], axis=1)


def _open(
    rows: NDArray[np.float32], times: NDArray[np.float64], onset: float, earliest: float, until: float
) -> None:
    """Raise rows to how likely a note sounds: fully from just before its onset on, less before that."""
    inside = slice(np.searchsorted(times, onset - earliest), np.searchsorted(times, until, "right"))
    likely = np.exp(np.minimum(0, (times[inside] - onset + _EARLY_SECONDS) / _FADE_SECONDS))
    np.maximum(rows[:, inside], likely, out=rows[:, inside], casting="same_kind")
