"""The pitch of a template: whether its spectrum is a harmonic series, and of what fundamental frequency."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

LOWEST_HZ, HIGHEST_HZ = 27.5, 4200.0  # the keys of a piano
_HARMONICS = 12
_STEPS = 8  # candidates a semitone
_WIDTH = 0.3  # semitones either side of a harmonic that count as its own
_PITCHED = 0.6  # part of the power that the harmonics must hold
_NEARLY = 0.9  # part of the most that any candidate holds: above it a higher one is preferred
_LEAST_SPACING = 5.0  # bins between two harmonics, or they cannot be told apart

_SERIES = 25  # harmonics of a note that count
_REACH = 0.5  # semitones either side of a harmonic that a note may fill

_NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


def template_pitches(templates: NDArray[Any], frequencies: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the fundamental frequency of each template in Hz, 0 for those that are no harmonic series.

    A candidate is scored by the power within a third of a semitone of its harmonics; the highest that holds
    nearly as much as any is taken, if that is most of the power.

    Parameters
    ----------
    templates : ndarray, shape (bins, components)
        Magnitudes.
    frequencies : ndarray, shape (bins,)
        In Hz.

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
    held = comb @ power / np.maximum(power.sum(axis=0), np.finfo(float).tiny)
    found = [_highest(candidates, column) for column in held.T]
    return np.array(found, np.float32)


def _highest(candidates: NDArray[np.float64], held: NDArray[np.float64]) -> float:
    """Return the highest candidate that holds nearly as much as any: the lower ones are its subharmonics."""
    most = held.max()
    if most < _PITCHED:
        return 0.0
    top = int(np.flatnonzero(held >= _NEARLY * most)[-1])
    first = max(0, top - _STEPS)
    near = np.arange(first, top + 1)
    near = near[held[near] >= 0.98 * held[near].max()]
    return float(np.exp(np.log(candidates[near]).mean()))


def _comb(candidates: NDArray[np.float64], frequencies: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return which bins belong to harmonics of which candidates, shape (candidates, bins), from 0 to 1."""
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
    """Return the frequency of a note such as `C4`, `F#3` or `Bb2`, in equal temperament with A4 at 440 Hz.

    Raises
    ------
    ValueError
        When it is no note.

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
        raise ValueError(f"{name!r} is no note: write it like C4, F#3 or Bb2")
    number = steps[letter] + shift + 12 * (int(rest) + 1)
    return float(440.0 * 2 ** ((number - 69) / 12))


def harmonic_numbers(fundamental: float, frequencies: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return which harmonic of a note each bin belongs to; 0 for none.

    Parameters
    ----------
    fundamental : float
        In Hz.
    frequencies : ndarray, shape (bins,)
        In Hz, evenly spaced from 0.

    Examples
    --------
    >>> harmonic_numbers(300.0, np.arange(10) * 100.0).astype(int)
    array([0, 0, 1, 1, 1, 2, 2, 2, 3, 3])
    """
    number = np.maximum(np.round(frequencies / fundamental), 1)
    reach = number * fundamental * (2 ** (_REACH / 12) - 1)
    # Low harmonics lie closer than a bin: the two nearest bins always belong to one.
    inside = np.abs(frequencies - number * fundamental) <= np.maximum(reach, frequencies[1])
    return np.where(inside & (number <= _SERIES), number, 0.0)
