"""Bring the times of a score to those of a recording, by dynamic time warping of chroma.

The path keeps near the diagonal, so that an hour takes seconds and little memory: the costs of all pairs of
frames, which librosa's warping makes, would take 200 GB.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmfaudio.separators.score.notes import Note
from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.stft import STFT

_WINDOW = 0.093  # seconds
_LOWEST, _HIGHEST = 40.0, 5000.0  # Hz: what tells pitches
_SMOOTH = 0.5  # seconds over which the path is averaged: tempo does not jump
_REACH = 20.0  # seconds that the score may be off
_STEPS = (
    (1, 1),
    (0, 1),
    (1, 0),
)  # frames of the recording, and of the score, that a step of the path goes on

Feature = NDArray[np.float64]


def aligned(notes: tuple[Note, ...], mixture: Blocks) -> tuple[tuple[Note, ...], float]:
    """Return the notes at the times at which the recording has them, and by how much they moved (median, s).

    The path is that of least distance between chroma and rises of chroma, recording against score, smoothed;
    it keeps within 20 s of the score as written.

    References
    ----------
    S. Ewert, M. Muller and P. Grosche, "High resolution audio synchronization using chroma onset features",
    ICASSP 2009.
    """
    mixture = mixture.with_stft(STFT.lasting(_WINDOW, mixture.sample_rate))
    times, reach = mixture.times, round(_REACH * mixture.sample_rate / mixture.stft.hop_length)
    heard, written = _features(_chroma(mixture)), _features(_written(notes, times))
    path = warped(heard, written, reach, mixture.allocate)
    frame = np.arange(len(times))
    moved = np.interp(frame, *_mean_by(path[:, 1], path[:, 0]))
    width = max(1, round(_SMOOTH / (times[1] - times[0]))) if len(times) > 1 else 1
    drift = np.convolve(np.pad(moved - frame, width, "edge"), np.ones(width) / width, "same")[width:-width]
    shift = drift * ((times[-1] - times[0]) / max(1, len(times) - 1))
    at = [float(np.interp(note.onset, times, shift)) for note in notes]
    placed = [
        replace(n, onset=max(0.0, n.onset + s), end=max(0.0, n.end + s))
        for n, s in zip(notes, at, strict=True)
    ]
    return tuple(placed), float(np.median(np.abs(at)))


def _chroma(mixture: Blocks) -> NDArray[np.float64]:
    """Return the energy of each pitch class over time, shape (12, frames)."""
    frequencies = mixture.stft.frequencies(mixture.sample_rate)
    inside = (frequencies >= _LOWEST) & (frequencies <= min(_HIGHEST, mixture.sample_rate / 2))
    classes = np.round(12 * np.log2(frequencies[inside] / 440) + 69).astype(int) % 12
    which = (np.arange(12)[:, None] == classes).astype(np.float64)
    return np.hstack([which @ block.magnitude.mean(axis=0)[inside] for block in mixture])


def _written(notes: tuple[Note, ...], times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what the chroma of the notes would be, fading as struck strings do."""
    chroma = np.zeros((12, len(times)))
    for note in notes:
        first = np.searchsorted(times, note.onset)
        inside = slice(first, np.searchsorted(times, max(note.end, note.onset + 0.05), "right"))
        chroma[note.pitch % 12, inside] += 0.3 + 0.7 * np.exp(-(times[inside] - note.onset) / 0.5)
    return chroma


def _features(chroma: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return chroma over its rises, each frame of unit length; silence is a direction of its own."""
    level = np.maximum(chroma.max(), np.finfo(float).tiny)
    rise = np.maximum(np.diff(chroma, axis=1, prepend=0), 0)
    stacked = np.vstack([chroma / level, 2 * rise / level, np.full((1, chroma.shape[1]), 0.02)])
    stacked /= np.linalg.norm(stacked, axis=0)
    return stacked


def warped(
    heard: Feature, written: Feature, reach: int, allocate: Callable[..., NDArray[Any]]
) -> NDArray[np.intp]:
    """Return the path of least total distance between unit vectors, no frame further off than `reach`.

    Parameters
    ----------
    heard, written : ndarray, shape (features, frames)
    reach : int
        Frames.
    allocate : callable
        Gives an array of a shape and a dtype, as `Blocks.allocate` does; a byte for each pair within reach.

    Returns
    -------
    ndarray of int, shape (steps, 2)
        Frames of the recording and of the score, from the first to the last.

    Examples
    --------
    >>> heard = np.eye(4)[:, [0, 0, 1, 2, 3, 3]]
    >>> written = np.eye(4)[:, [0, 1, 1, 2, 2, 3]]
    >>> warped(heard, written, 3, lambda *shape, dtype: np.empty(shape, dtype)).tolist()
    [[0, 0], [1, 0], [2, 1], [2, 2], [3, 3], [3, 4], [4, 5], [5, 5]]
    """
    frames = heard.shape[1]
    reach = min(reach, frames - 1)
    steps = np.asarray(allocate(2 * frames - 1, reach + 1, dtype=np.uint8))
    backwards = np.ascontiguousarray(written[:, ::-1])
    # Least totals up to each pair, by frame of the recording, on the two diagonals of the matrix of pairs
    # before the one at hand; infinite on either side of those within reach.
    earlier, before = (np.full(frames + 2, np.inf) for _ in range(2))
    earlier[0] = 0  # where the path comes from
    for diagonal in range(2 * frames - 1):
        first, stop = _within(diagonal, frames, reach)
        back = frames - 1 - diagonal
        near = np.einsum("fn,fn->n", heard[:, first:stop], backwards[:, back + first : back + stop])
        came = earlier[first:stop], before[first + 1 : stop + 1], before[first:stop]  # by each of the steps
        least = _least(came, steps[diagonal, : stop - first])
        earlier[first + 1 : stop + 1] = least + (1 - near)
        earlier[first] = earlier[stop + 1] = np.inf
        earlier, before = before, earlier
    return _traced(steps, frames, reach)


def _within(diagonal: int, frames: int, reach: int) -> tuple[int, int]:
    """Return the first frame of the recording within reach on a diagonal, and the one after the last."""
    first = max(0, diagonal - frames + 1, (diagonal - reach + 1) // 2)
    return first, min(diagonal, frames - 1, (diagonal + reach) // 2) + 1


def _least(came: tuple[Feature, ...], steps: NDArray[np.uint8]) -> Feature:
    """Return the least of the totals by each step, and note which; the first of equals."""
    least = came[0].copy()
    steps[:] = 0
    for number, total in enumerate(came[1:], 1):
        np.copyto(steps, number, where=total < least)
        np.minimum(least, total, out=least)
    return least


def _traced(steps: NDArray[np.uint8], frames: int, reach: int) -> NDArray[np.intp]:
    """Follow the steps back from the last pair."""
    frame, diagonal = frames - 1, 2 * frames - 2
    path = [(frame, diagonal - frame)]
    while diagonal:
        ours, theirs = _STEPS[steps[diagonal, frame - _within(diagonal, frames, reach)[0]]]
        frame, diagonal = frame - ours, diagonal - ours - theirs
        path.append((frame, diagonal - frame))
    return np.array(path[::-1])


def _mean_by(keys: NDArray[Any], values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Return each key once, and the mean of its values."""
    unique, position = np.unique(keys, return_inverse=True)
    return unique, np.bincount(position, values) / np.bincount(position)
