"""Pitch of templates: whether a spectrum is a harmonic series, and its fundamental frequency."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

LOWEST_HZ, HIGHEST_HZ = 27.5, 4200.0  # range of a piano
_HARMONICS = 12  # harmonics that a candidate is scored by
_STEPS = 8  # candidates for each semitone
_WIDTH = 0.3  # semitones on either side of a harmonic that belong to it
_PITCHED = 0.6  # least part of the power in the harmonics of a template with a pitch
# A candidate with at least this part of the best candidate's power can be chosen; the highest of them is.
_NEARLY = 0.9
_LEAST_SPACING = 5.0  # least distance of two harmonics in bins at which they can be distinguished

_SERIES = 25  # harmonics of a note that are used
_REACH = 0.5  # semitones on either side of a harmonic that belong to a note

_NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


def template_pitches(templates: NDArray[Any], frequencies: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the fundamental frequency of each template in Hz; 0 for templates without a harmonic series.

    Each candidate frequency is scored by the part of the power that lies within a third of a semitone of its
    harmonics. Among the candidates with nearly the greatest score, the highest is chosen, because lower ones
    are its subharmonics. The template has no pitch when the score is below 0.6.

    Parameters
    ----------
    templates : ndarray, shape (bins, components)
        Templates of magnitudes.
    frequencies : ndarray, shape (bins,)
        Frequencies of the bins in Hz.

    Returns
    -------
    ndarray of float32, shape (components,)

    Examples
    --------
    >>> frequencies = np.arange(2049) * 44100 / 4096
    >>> tone = sum(np.exp(-0.5 * ((frequencies - h * 440) / 10) ** 2) / h for h in range(1, 9))
    >>> abs(float(template_pitches(tone[:, None], frequencies)[0]) - 440) < 5
    True
    """
    spacing = frequencies[1] - frequencies[0]
    lowest = max(LOWEST_HZ, _LEAST_SPACING * spacing)
    highest = min(HIGHEST_HZ, frequencies[-1] / 2)
    if highest <= lowest:
        return np.zeros(templates.shape[1], np.float32)
    count = int(12 * _STEPS * np.log2(highest / lowest)) + 1
    candidates = lowest * 2 ** (np.arange(count) / (12 * _STEPS))
    comb = _comb(candidates, frequencies)
    power = np.asarray(templates, np.float64) ** 2
    scores = comb @ power / np.maximum(power.sum(axis=0), np.finfo(float).tiny)
    return np.array([_chosen_frequency(candidates, column) for column in scores.T], np.float32)


def _chosen_frequency(candidates: NDArray[np.float64], scores: NDArray[np.float64]) -> float:
    """Return the highest candidate with nearly the greatest score, or 0 when no score is high enough."""
    greatest = scores.max()
    if greatest < _PITCHED:
        return 0.0
    top = int(np.flatnonzero(scores >= _NEARLY * greatest)[-1])
    first = max(0, top - _STEPS)
    near = np.arange(first, top + 1)
    near = near[scores[near] >= 0.98 * scores[near].max()]
    return float(np.exp(np.log(candidates[near]).mean()))


def _comb(candidates: NDArray[np.float64], frequencies: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return for each candidate the bins of its harmonics, shape (candidates, bins), with values 0 and 1."""
    spacing = frequencies[1] - frequencies[0]
    comb = np.zeros((len(candidates), len(frequencies)))
    for harmonic in range(1, _HARMONICS + 1):
        middle = harmonic * candidates[:, None]
        width = np.maximum(middle * (2 ** (_WIDTH / 12) - 1), 1.2 * spacing)
        np.maximum(comb, np.abs(frequencies - middle) <= width, out=comb)
    return comb


def note_name(frequency: float) -> str:
    """Return the name of the note nearest to a frequency.

    Examples
    --------
    >>> note_name(261.6), note_name(440.0)
    ('C4', 'A4')
    """
    number = round(69 + 12 * np.log2(frequency / 440.0))
    return f"{_NAMES[number % 12]}{number // 12 - 1}"


def note_frequency(name: str) -> float:
    """Return the frequency in Hz of a note such as `C4`, `F#3` or `Bb2`: equal temperament, A4 at 440 Hz.

    Raises
    ------
    ValueError
        When the name is not the name of a note.

    Examples
    --------
    >>> round(note_frequency("A4")), round(note_frequency("Bb3"), 1)
    (440, 233.1)
    """
    letter, rest = name[:1].upper(), name[1:]
    steps = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
    shift = 0
    while rest[:1] in ("#", "b"):
        shift += 1 if rest[0] == "#" else -1
        rest = rest[1:]
    if letter not in steps or not rest.lstrip("-").isdigit():
        raise ValueError(f"{name!r} is not a note: write it like C4, F#3 or Bb2")
    number = steps[letter] + shift + 12 * (int(rest) + 1)
    return float(440.0 * 2 ** ((number - 69) / 12))


def harmonic_numbers(fundamental: float, frequencies: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the number of the harmonic that each bin belongs to; 0 for bins without a harmonic.

    Parameters
    ----------
    fundamental : float
        Fundamental frequency of the note in Hz.
    frequencies : ndarray, shape (bins,)
        Frequencies of the bins in Hz, evenly spaced from 0.

    Examples
    --------
    >>> harmonic_numbers(300.0, np.arange(10) * 100.0).astype(int)
    array([0, 0, 1, 1, 1, 2, 2, 2, 3, 3])
    """
    number = np.maximum(np.round(frequencies / fundamental), 1)
    reach = number * fundamental * (2 ** (_REACH / 12) - 1)
    # Low harmonics are narrower than a bin: the two nearest bins always belong to a harmonic.
    inside = np.abs(frequencies - number * fundamental) <= np.maximum(reach, frequencies[1])
    return np.where(inside & (number <= _SERIES), number, 0.0)
