"""Bring the times of a score to those of a recording, by dynamic time warping of chroma."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmfaudio.notes import Note
from nmfaudio.sound.stft import STFT, Blocks

_WINDOW = 0.093  # seconds
_LOWEST, _HIGHEST = 40.0, 5000.0  # Hz: what tells pitches
_SMOOTH = 0.5  # seconds over which the path is averaged: tempo does not jump


def aligned(notes: tuple[Note, ...], mixture: Blocks) -> tuple[tuple[Note, ...], float]:
    """Return the notes at the times at which the recording has them, and by how much they moved (median, s).

    The path is that of least distance between chroma and rises of chroma, recording against score, smoothed.

    References
    ----------
    S. Ewert, M. Muller and P. Grosche, "High resolution audio synchronization using chroma onset features",
    ICASSP 2009.
    """
    import librosa

    mixture = mixture.with_stft(STFT.lasting(_WINDOW, mixture.sample_rate))
    times = np.concatenate([block.times for block in mixture])
    heard, written = _features(_chroma(mixture)), _features(_written(notes, times))
    path = librosa.sequence.dtw(C=1 - heard.T @ written, backtrack=True, subseq=False)[1][::-1]
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
        inside = (times >= note.onset) & (times <= max(note.end, note.onset + 0.05))
        chroma[note.pitch % 12, inside] += 0.3 + 0.7 * np.exp(-(times[inside] - note.onset) / 0.5)
    return chroma


def _features(chroma: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return chroma over its rises, each frame of unit length; silence is a direction of its own."""
    level = np.maximum(chroma.max(), np.finfo(float).tiny)
    rise = np.maximum(np.diff(chroma, axis=1, prepend=0), 0)
    stacked = np.vstack([chroma / level, 2 * rise / level, np.full((1, chroma.shape[1]), 0.02)])
    return np.asarray(stacked / np.linalg.norm(stacked, axis=0))


def _mean_by(keys: NDArray[Any], values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Return each key once, and the mean of its values."""
    unique, position = np.unique(keys, return_inverse=True)
    return unique, np.bincount(position, values) / np.bincount(position)
