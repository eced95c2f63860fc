"""Notes that sound in a recording and are not in its score.

Without them, the notes of the score take their sound: a tenth of missing notes costs some dB. Each part may
play any pitch near its own ones, with the mean timbre of its notes. What these templates explain beside the
notes of the score, for long enough and loud enough, is a note.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nmfaudio.nmf import Factorization, factorize
from nmfaudio.separators.score.instruments import DRUMS
from nmfaudio.separators.score.model import first_activations
from nmfaudio.separators.score.notes import Note
from nmfaudio.separators.score.plan import Plan
from nmfaudio.separators.score.timbre import Timbre, numbers_of_harmonics
from nmfaudio.sound.bands import BANDS_PER_OCTAVE, band_starts, sum_in_bands
from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.spectrogram import Spectrogram

_LOWEST, _HIGHEST = 24, 108  # range of the pitches that are looked for
_BEYOND = 12  # semitones below the lowest and above the highest note of a part in which it may play
_START = 0.02  # part of the level with which unwritten notes start: they grow where nothing else explains it
_RESTING = 4.0  # factor of the start while the part has no note
_PITCH_DISTANCE = 5.0  # semitones from the notes of the part nearby in which the start falls to 1 / e
_TIME_DISTANCE = 1.5  # seconds: standard deviation of the weights of notes nearby
_EARLY_SECONDS, _LATE_SECONDS = 0.35, 0.5  # around a written note, its pitch is not unwritten in its part
_SPREAD_SECONDS = 0.15  # around a written note, the pitches next to it hold what its onset and end spread
_ITERATIONS = 40  # updates of the activations
_LOUD = 0.05  # least level of a note, relative to half the loudest frame within _AROUND_SECONDS
_QUIET = 0.3  # part of the mean level of the recording that the reference is at least
_AROUND_SECONDS = 0.6
_EDGE = 1 / 3  # part of the least level down to which a note lasts
_GAP_FRAMES = 2  # a shorter pause does not end a note
_SHORTEST_SECONDS = 0.08
_WINDOW_FRAMES = 4  # an onset spreads over the window, to the pitches beside
_LEAST_PART = 0.015  # found notes count if they last for at least this part of the written ones
_FUNDAMENTAL = 0.5  # part of a note's fundamental that the recording must have at least
_FRAMES = 512  # frames that are searched together; a note that crosses their border becomes two notes

Real = NDArray[np.float64]


def unwritten_notes(
    notes: Sequence[tuple[str, Note]],
    plan: Plan,
    factorization: Factorization,
    timbres: Mapping[str, Timbre],
    mixture: Blocks,
) -> tuple[tuple[str, Note], ...]:
    """Return notes, each with its part, that sound in a recording and are not in its score.

    Parameters
    ----------
    notes : sequence of (str, Note)
        Notes of the score at the times of the recording, each with its part.
    plan : Plan
        Plan of these notes.
    factorization : Factorization
        The plan's templates, fitted to the recording.
    timbres : mapping of str to Timbre
        Timbre of each part that may have unwritten notes.
    mixture : Blocks
        The recording, with the STFT settings of the templates.

    Returns
    -------
    tuple of (str, Note)
        Empty where all found notes together last for less than 1.5 % of the written ones: they are
        more likely errors.
    """
    candidates = _Candidates.of(notes, plan, factorization, timbres, mixture)
    if not candidates.pitches:
        return ()
    pieces = (mixture.block(k, min(k + _FRAMES, mixture.frames)) for k in range(0, mixture.frames, _FRAMES))
    found = [note for piece in pieces for note in candidates.notes_in(piece)]
    end = mixture.times[-1]
    written = sum(max(0.0, min(note.end, end) - note.onset) for _, note in notes)
    lasting = sum(note.end - note.onset for _, note in found)
    return tuple(found) if lasting >= _LEAST_PART * written else ()


@dataclass(frozen=True)
class _Candidates:
    """Pitches that parts may play, and the templates of all notes in bands.

    Attributes
    ----------
    notes : dict of str to list of Note
        Notes of each part with pitches.
    pitches : tuple of (str, int)
        Part and pitch of each candidate.
    plan : Plan
    starts : ndarray of int, shape (bands,)
        First bin of each band.
    templates : ndarray, shape (bands, templates)
        Templates of the score, then those of the candidates.
    fundamentals : dict of int to ndarray of int
        Bands of the fundamental of each pitch.
    level : float
        Mean sum of the magnitudes of a frame.
    """

    notes: dict[str, list[Note]]
    pitches: tuple[tuple[str, int], ...]
    plan: Plan
    starts: NDArray[np.intp]
    templates: NDArray[np.float32]
    fundamentals: dict[int, NDArray[np.intp]]
    level: float

    @classmethod
    def of(
        cls,
        notes: Sequence[tuple[str, Note]],
        plan: Plan,
        factorization: Factorization,
        timbres: Mapping[str, Timbre],
        mixture: Blocks,
    ) -> _Candidates:
        """Make the templates of all candidates."""
        by_part: dict[str, list[Note]] = {}
        for part, note in notes:
            if part in timbres and note.instrument != DRUMS:
                by_part.setdefault(part, []).append(note)
        frequencies = mixture.stft.frequencies(mixture.sample_rate)
        starts = band_starts(frequencies, BANDS_PER_OCTAVE)
        pitches, columns = [], [factorization.W]
        for part, own in by_part.items():
            for pitch in _playable(own, frequencies):
                pitches.append((part, pitch))
                columns.append(timbres[part].template(pitch)[:, None])
        templates = sum_in_bands(np.hstack(columns), starts)
        level = float((factorization.W.sum(axis=0) @ factorization.H).mean())
        fundamentals = {pitch: _fundamental_bands(pitch, frequencies, starts) for _, pitch in pitches}
        return cls(by_part, tuple(pitches), plan, starts, templates, fundamentals, level)

    def notes_in(self, block: Spectrogram) -> Iterator[tuple[str, Note]]:
        """Yield the unwritten notes of a block."""
        times, starting = block.times, self._starting_levels(block.times)
        V = sum_in_bands(block.magnitude.mean(axis=0), self.starts)
        levels = self._levels(V, starting, times)
        step = float(times[1] - times[0]) if len(times) > 1 else np.inf
        reference = self._reference(V, step)
        rows = {
            pitch: [k for k, (_, p) in enumerate(self.pitches) if p == pitch] for _, pitch in self.pitches
        }
        totals = {pitch: levels[own].sum(axis=0) for pitch, own in rows.items()}
        for pitch, own in rows.items():
            for first, stop in _runs(totals[pitch] / reference, _least_frames(step)):
                run = slice(first, stop)
                if _is_beside_louder(pitch, totals, run) or not self._has_fundamental(own, V, levels, run):
                    continue
                trust = _distinctness(self.templates[:, -len(self.pitches) :][:, own])
                likely = levels[own, run].sum(axis=1) ** trust * starting[own, run].sum(axis=1)
                part = self.pitches[own[int(likely.argmax())]][0]
                instrument = self.notes[part][0].instrument
                yield part, Note(float(times[first]), float(times[stop - 1]) + step, pitch, part, instrument)

    def _reference(self, V: NDArray[np.float32], step: float) -> Real:
        """Return half the level of the loudest frame around each frame of V, (frames,); `step` in seconds."""
        from scipy.ndimage import maximum_filter1d  # here, because loading it takes 0.1 s

        width = 1 + 2 * round(_AROUND_SECONDS / 2 / step)
        around = np.asarray(maximum_filter1d(V.sum(axis=0, dtype=np.float64), width), np.float64)
        return np.maximum(around / 2, max(_QUIET * self.level, float(np.finfo(np.float32).tiny)))

    def _has_fundamental(self, rows: Sequence[int], V: NDArray[np.float32], levels: Real, run: slice) -> bool:
        """Return whether the recording has a part of the fundamental that candidates of one pitch explain."""
        columns = self.templates[:, -len(self.pitches) :][:, rows]
        inside = self.fundamentals[self.pitches[rows[0]][1]]
        explained = float((columns[inside] @ levels[rows, run].sum(axis=1)).sum())
        return float(V[inside, run].sum()) >= _FUNDAMENTAL * explained

    def _levels(self, V: NDArray[np.float32], starting: Real, times: Real) -> Real:
        """Return the level of each candidate in each frame of V, (bands, frames)."""
        windows = np.concatenate([self.plan.windows(times), starting], dtype=np.float32)
        H = factorize(
            V,
            self.templates.shape[1],
            init=(self.templates, first_activations(V, windows)),
            frozen=self.templates,
            solver="mu",  # extrapolation would make frames depend on each other
            iterations=_ITERATIONS,
            tolerance=0,
        ).H
        own = slice(-len(self.pitches), None)
        return np.asarray(H[own] * self.templates[:, own].sum(axis=0)[:, None], np.float64)

    def _starting_levels(self, times: Real) -> Real:
        """Return how likely each candidate sounds at each time, shape (candidates, times)."""
        rows = []
        everyone = [note for own in self.notes.values() for note in own]
        for part, own in self.notes.items():
            resting = np.where(_sounding(own, times, 0.05, 0.05), 1.0, _RESTING)
            near = _mean_pitch_nearby(own, times)
            for pitch in (pitch for name, pitch in self.pitches if name == part):
                same = [note for note in own if note.pitch == pitch]
                beside = [note for note in everyone if abs(note.pitch - pitch) == 1]
                free = ~_sounding(same, times, _EARLY_SECONDS, _LATE_SECONDS)
                free &= ~_sounding(beside, times, _SPREAD_SECONDS, _SPREAD_SECONDS)
                rows.append(_START * free * resting * np.exp(-np.abs(pitch - near) / _PITCH_DISTANCE))
        return np.stack(rows)


def _playable(notes: Sequence[Note], frequencies: Real) -> range:
    """Return the pitches that a part may play: an octave beyond its own ones, below the highest bin."""
    highest_audible = int(69 + 12 * np.log2(frequencies[-1] / 2 / 440.0))
    lowest, highest = min(note.pitch for note in notes), max(note.pitch for note in notes)
    return range(max(_LOWEST, lowest - _BEYOND), min(_HIGHEST, highest + _BEYOND, highest_audible) + 1)


def _fundamental_bands(pitch: int, frequencies: Real, starts: NDArray[np.intp]) -> NDArray[np.intp]:
    return np.flatnonzero(np.logical_or.reduceat(numbers_of_harmonics(pitch, frequencies) == 1, starts))


def _sounding(notes: Sequence[Note], times: Real, early: float, late: float) -> NDArray[np.bool_]:
    """Return whether one of the notes sounds at ascending times, with some seconds before and after it."""
    sounding = np.zeros(len(times), bool)
    for note in notes:
        first, stop = np.searchsorted(times, (note.onset - early, note.end + late))
        sounding[first:stop] = True
    return sounding


def _mean_pitch_nearby(notes: Sequence[Note], times: Real) -> Real:
    """Return the mean pitch of the notes around each time; the nearest in time count most."""
    onsets, pitches = (
        np.array([getattr(note, name) for note in notes], float) for name in ("onset", "pitch")
    )
    weights = np.exp(-0.5 * ((times[:, None] - onsets) / _TIME_DISTANCE) ** 2) + np.finfo(np.float32).eps
    return np.asarray(weights @ pitches / weights.sum(axis=1))


def _distinctness(templates: NDArray[np.float32]) -> float:
    """Return how much the templates of one pitch differ, 0 to 1: so far is their timbre a sign of the part.

    The value is one minus their mean cosine similarity; 1 for a single template. Templates that are nearly
    equal, as those of the two hands of a piano, share the sound of a note by chance.

    Examples
    --------
    >>> _distinctness(np.eye(3, 2, dtype=np.float32)), round(_distinctness(np.ones((3, 2), np.float32)), 3)
    (1.0, 0.0)
    """
    count = templates.shape[1]
    if count == 1:
        return 1.0
    unit = templates / np.maximum(np.linalg.norm(templates, axis=0), np.finfo(np.float32).tiny)
    similarity = (float((unit.T @ unit).sum()) - count) / (count * (count - 1))
    return float(min(max(1.0 - similarity, 0.0), 1.0))


def _is_beside_louder(pitch: int, totals: Mapping[int, Real], run: slice) -> bool:
    """Return whether a pitch a semitone away has a higher level in a run of frames, or a window away."""
    near = slice(max(0, run.start - _WINDOW_FRAMES), run.stop + _WINDOW_FRAMES)
    beside = [totals[p][near].max() for p in (pitch - 1, pitch + 1) if p in totals]
    return bool(max(beside, default=0.0) > totals[pitch][run].max())


def _least_frames(step: float) -> int:
    """Return the number of frames, `step` seconds apart, that the shortest note lasts."""
    return max(1, int(np.ceil(_SHORTEST_SECONDS / step)))


def _runs(relative: Real, shortest: int) -> Iterator[tuple[int, int]]:
    """Yield start and stop of the runs of frames that are loud enough, extended to their quiet edges.

    Examples
    --------
    >>> levels = np.array([0, 0.02, 0.2, 0.2, 0.0, 0.2, 0.0, 0.0, 0.0, 0.2])
    >>> list(_runs(levels, 2))
    [(1, 6)]
    """
    loud = np.flatnonzero(relative > _LOUD)
    if not loud.size:
        return
    for run in np.split(loud, np.flatnonzero(np.diff(loud) > _GAP_FRAMES + 1) + 1):
        first, stop = int(run[0]), int(run[-1]) + 1
        if stop - first < shortest:
            continue
        while first > 0 and relative[first - 1] > _EDGE * _LOUD:
            first -= 1
        while stop < len(relative) and relative[stop] > _EDGE * _LOUD:
            stop += 1
        yield first, stop
