"""Agreement of a score with a recording: its notes compared with the same notes at other pitches."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nmfaudio.dictionaries.pitch import harmonic_numbers
from nmfaudio.nmf import activate
from nmfaudio.separators.score.instruments import DRUMS
from nmfaudio.separators.score.notes import Note
from nmfaudio.sound.bands import BANDS_PER_OCTAVE, band_starts, sum_in_bands
from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.stft import STFT

# A score whose agreement is lower is probably not that of the recording: 50 scores of their recordings had 12
# and more, 110 scores of other recordings at most 5.
AGREEING = 6.0
_WINDOW_SECONDS = 0.093
_LOWEST, _HIGHEST = 28, 100  # range of the pitches that get energy; lower ones differ by less than a bin
_PITCHES = 128  # number of pitches in MIDI
_ITERATIONS = 15
_RING_SECONDS = 0.1  # time for which a note still sounds after its end
_SHIFTS = tuple(k for k in range(-6, 7) if k)  # semitones


def agreement(notes: tuple[Note, ...], mixture: Blocks) -> float:
    """Return how much more energy of a recording the notes explain than the same notes at other pitches.

    The energy of each frame is shared among all pitches. The part of the notes while they sound is compared
    with the mean part of the same notes, all moved by 1 to 6 semitones up or down: rhythm, number of notes
    and chords are the same. Drums have no pitch and do not count.

    Returns
    -------
    float
        About 1 for notes that have nothing to do with the recording, 10 and more for its own notes. Infinite
        where there is nothing to compare: in silence, or with drums alone.
    """
    mixture = mixture.with_stft(STFT.lasting(_WINDOW_SECONDS, mixture.sample_rate))
    pitched = [note for note in notes if note.instrument != DRUMS]
    frequencies = mixture.stft.frequencies(mixture.sample_rate)
    starts, pitches = band_starts(frequencies, BANDS_PER_OCTAVE), _audible(frequencies)
    W = sum_in_bands(_spectra(pitches, frequencies), starts)
    total, explained = 0.0, np.zeros(1 + len(_SHIFTS))
    for block in mixture:
        V = sum_in_bands(block.magnitude.mean(axis=0), starts)
        energy = np.zeros((_PITCHES, block.frames))
        energy[pitches] = activate(V, W, iterations=_ITERATIONS, tolerance=0).H[:-1].astype(np.float64) ** 2
        sounding = _sounding(pitched, block.times)
        total += energy.sum()
        explained += [energy[np.roll(sounding, shift, axis=0)].sum() for shift in (0, *_SHIFTS)]
    if not pitched or not total:
        return np.inf
    return float(explained[0] / max(explained[1:].mean(), np.finfo(np.float32).eps * total))


def _audible(frequencies: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the pitches whose fundamental frequency is below the highest bin."""
    pitches = np.arange(_LOWEST, _HIGHEST + 1)
    return np.asarray(pitches[440.0 * 2 ** ((pitches - 69) / 12) < frequencies[-1]])


def _spectra(pitches: NDArray[np.intp], frequencies: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a template for each pitch and one for noise, each of unit sum, shape (bins, templates)."""
    numbers = [harmonic_numbers(440.0 * 2 ** ((p - 69) / 12), frequencies) for p in pitches]
    combs = [np.divide(1, n, out=np.zeros(len(n)), where=n > 0) for n in numbers]
    W = np.stack([*combs, np.ones(len(frequencies))], axis=1)
    return np.asarray(W / W.sum(axis=0))


def _sounding(notes: list[Note], times: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which pitches sound at ascending times, shape (pitches, times)."""
    sounding = np.zeros((_PITCHES, len(times)), bool)
    for note in notes:
        if note.end + _RING_SECONDS < times[0] or note.onset > times[-1]:
            continue
        first = np.searchsorted(times, note.onset)
        sounding[note.pitch, first : np.searchsorted(times, note.end + _RING_SECONDS, "right")] = True
    return sounding
