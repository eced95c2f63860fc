"""Alignment of the times of a score to those of a recording, by dynamic time warping of chroma.

Where the score as a whole begins much earlier or later than the recording, a constant shift is found first.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmfaudio.separators.score.agreement import AGREEING, agreement
from nmfaudio.separators.score.notes import Note
from nmfaudio.separators.score.warping import warping_path
from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.stft import STFT

_WINDOW_SECONDS = 0.093
_LOWEST_HZ, _HIGHEST_HZ = 40.0, 5000.0  # range of the frequencies that make up the chroma
_SMOOTHING_SECONDS = 0.5  # the path is averaged over this time, because tempo does not jump
REACH_SECONDS = 20.0  # largest difference between score and recording that warping finds
_SHORTEST_NOTE_SECONDS = 0.05  # shorter notes count as this long
_DECAY_SECONDS = 0.5  # time in which the chroma of a note falls
_SILENCE = 0.02  # feature value of silence, relative to the loudest frame
_AT_LIMIT = 0.98  # part of the limit from which on the path counts as being at its limit
_MOST_MISPLACED = 0.1  # the alignment failed if more of the notes are at the limit or crowded
_CROWDED = 0.2  # part of the distance between two onsets: no performance is five times faster than its score
_CHORD_SECONDS = 0.05  # notes with onsets nearer than this are played together
_LEAST_INSIDE = 0.5  # the alignment failed if a smaller part of the notes begins inside the recording

Feature = NDArray[np.float64]


@dataclass(frozen=True)
class Alignment:
    """Notes at the times of a recording.

    Attributes
    ----------
    notes : tuple of Note
        As written where the alignment failed.
    distance : float
        Median of the distances in seconds by which the notes were moved.
    agreement : float
        Agreement of these notes with the recording; see `nmfaudio.separators.score.agreement`.
    failed : bool
        Whether no alignment was found within the limits: a constant shift, and 20 s from there.
    """

    notes: tuple[Note, ...]
    distance: float
    agreement: float
    failed: bool = False


def aligned(notes: tuple[Note, ...], mixture: Blocks) -> Alignment:
    """Return the notes at the times at which the recording has them.

    The path has the least distance between chroma and rises of chroma of the recording and of the score; it
    is smoothed. It stays within 20 s of the score as written. Where that fails, or the notes do not agree
    with the recording, a constant shift of the whole score is found by correlation, and the path stays within
    20 s of the shifted score; the alignment with the better agreement is returned.

    References
    ----------
    S. Ewert, M. Muller and P. Grosche, "High resolution audio synchronization using chroma onset features",
    ICASSP 2009.
    """
    analysed = mixture.with_stft(STFT.lasting(_WINDOW_SECONDS, mixture.sample_rate))
    heard = _features(_chroma(analysed))
    alignments = []
    for is_shifted in (False, True):
        constant = _constant_shift(heard, notes, analysed.times) if is_shifted else 0.0
        placed, distance, failed = _aligned_after(constant, notes, heard, analysed)
        if not failed:
            alignments.append(Alignment(placed, distance, agreement(placed, mixture)))
            if alignments[-1].agreement >= AGREEING:
                break
    if alignments:
        return max(alignments, key=lambda alignment: alignment.agreement)
    return Alignment(notes, 0.0, agreement(notes, mixture), failed=True)


def _aligned_after(
    constant: float, notes: tuple[Note, ...], heard: Feature, mixture: Blocks
) -> tuple[tuple[Note, ...], float, bool]:
    """Shift the notes by a constant and warp them; return them, the median distance and whether it failed."""
    times = mixture.times
    shifted = tuple(_moved(note, constant) for note in notes) if constant else notes
    shift, at_limit = _warped_shift(heard, _features(_written_chroma(shifted, times)), mixture)
    shifts = [float(np.interp(note.onset, times, shift)) for note in shifted]
    placed = tuple(_moved(note, by) for note, by in zip(shifted, shifts, strict=True))
    distance = float(np.median(np.abs(np.array(shifts) + constant)))
    return placed, distance, _failed(shifted, placed, times, at_limit)


def _failed(
    written: tuple[Note, ...],
    placed: tuple[Note, ...],
    times: NDArray[np.float64],
    at_limit: NDArray[np.bool_],
) -> bool:
    """Return whether many notes are at the limit or crowded, or most are outside the recording."""
    before, after = (np.array([note.onset for note in notes]) for notes in (written, placed))
    inside = (before >= times[0]) & (before <= times[-1])
    if inside.mean() < _LEAST_INSIDE:
        return True
    frames = np.searchsorted(times, before[inside]).clip(0, len(times) - 1)
    limited = float(at_limit[frames].mean())
    return max(limited, _crowded(before[inside], after[inside])) > _MOST_MISPLACED


def _crowded(before: NDArray[np.float64], after: NDArray[np.float64]) -> float:
    """Return the part of the distances between onsets that the alignment shortened to less than a fifth."""
    order = np.argsort(before, kind="stable")
    written, placed = np.diff(before[order]), np.diff(after[order])
    apart = written > _CHORD_SECONDS
    return float((placed[apart] < _CROWDED * written[apart]).mean()) if apart.any() else 0.0


def _moved(note: Note, seconds: float) -> Note:
    return replace(note, onset=max(0.0, note.onset + seconds), end=max(0.0, note.end + seconds))


def _warped_shift(heard: Feature, written: Feature, mixture: Blocks) -> tuple[Feature, NDArray[np.bool_]]:
    """Return for each frame the shift in seconds from score to recording, and whether it is at the limit."""
    times = mixture.times
    reach = round(REACH_SECONDS * mixture.sample_rate / mixture.stft.hop_length)
    path = warping_path(heard, written, reach, mixture.allocate)
    frame = np.arange(len(times))
    moved = np.interp(frame, *_mean_by(path[:, 1], path[:, 0]))
    width = max(1, round(_SMOOTHING_SECONDS / (times[1] - times[0]))) if len(times) > 1 else 1
    padded = np.pad(moved - frame, width, "edge")
    drift = np.convolve(padded, np.ones(width) / width, "same")[width:-width]
    seconds_per_frame = (times[-1] - times[0]) / max(1, len(times) - 1)
    return drift * seconds_per_frame, np.abs(moved - frame) >= _AT_LIMIT * reach


def _chroma(mixture: Blocks) -> Feature:
    """Return the energy of each pitch class over time, shape (12, frames)."""
    frequencies = mixture.stft.frequencies(mixture.sample_rate)
    inside = (frequencies >= _LOWEST_HZ) & (frequencies <= min(_HIGHEST_HZ, mixture.sample_rate / 2))
    classes = np.round(12 * np.log2(frequencies[inside] / 440) + 69).astype(int) % 12
    membership = (np.arange(12)[:, None] == classes).astype(np.float64)
    return np.hstack([membership @ block.magnitude.mean(axis=0)[inside] for block in mixture])


def _written_chroma(notes: tuple[Note, ...], times: NDArray[np.float64]) -> Feature:
    """Return the chroma that the notes would have, decaying as struck strings do."""
    chroma = np.zeros((12, len(times)))
    for note in notes:
        first = np.searchsorted(times, note.onset)
        last = max(note.end, note.onset + _SHORTEST_NOTE_SECONDS)
        inside = slice(first, np.searchsorted(times, last, "right"))
        chroma[note.pitch % 12, inside] += 0.3 + 0.7 * np.exp(-(times[inside] - note.onset) / _DECAY_SECONDS)
    return chroma


def _features(chroma: Feature) -> Feature:
    """Return chroma above its rises, each frame of unit length; silence is a direction of its own."""
    level = np.maximum(chroma.max(), np.finfo(float).tiny)
    rise = np.maximum(np.diff(chroma, axis=1, prepend=0), 0)
    stacked = np.vstack([chroma / level, 2 * rise / level, np.full((1, chroma.shape[1]), _SILENCE)])
    stacked /= np.linalg.norm(stacked, axis=0)
    return stacked


def _constant_shift(heard: Feature, notes: tuple[Note, ...], times: NDArray[np.float64]) -> float:
    """Return the shift in seconds of the whole score at which it correlates most with the recording."""
    if len(times) < 2:
        return 0.0
    hop = times[1] - times[0]
    last = max(note.onset for note in notes) + 1.0
    grid = times[0] + hop * np.arange(max(len(times), int(np.ceil(last / hop))))
    written = _features(_written_chroma(notes, grid))
    correlation = _correlation(heard[:-1], written[:-1])  # without the feature of silence
    return float((int(correlation.argmax()) + 1 - len(grid)) * hop)


def _correlation(heard: Feature, written: Feature) -> NDArray[np.float64]:
    """Return the sum of the products of all features at each lag, lags from 1 - len(written) on."""
    size = heard.shape[1] + written.shape[1] - 1
    padded = 1 << (size - 1).bit_length()
    total = np.zeros(padded // 2 + 1, complex)
    for one, other in zip(heard, written, strict=True):  # one at a time: memory for a single transform
        total += np.fft.rfft(one, padded) * np.fft.rfft(other, padded).conj()
    circular = np.fft.irfft(total, padded)
    return np.concatenate([circular[1 - written.shape[1] :], circular[: heard.shape[1]]])


def _mean_by(keys: NDArray[Any], values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Return each key once, and the mean of its values."""
    unique, position = np.unique(keys, return_inverse=True)
    return unique, np.bincount(position, values) / np.bincount(position)
