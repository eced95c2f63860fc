"""Mean timbre of a part: how loud the harmonics of its notes are, and templates made of that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nmfaudio.dictionaries.pitch import harmonic_numbers
from nmfaudio.nmf import Factorization
from nmfaudio.separators.score.instruments import DRUMS
from nmfaudio.separators.score.plan import TEMPLATES_PER_PITCH, Plan

_HARMONICS = 25
_NEAR_PITCHES = 6.0  # semitones: standard deviation of the weights of the pitches that count

Real = NDArray[np.float64]


@dataclass(frozen=True)
class Timbre:
    """Harmonics of the notes of a part.

    Attributes
    ----------
    pitches : ndarray of int, shape (pitches,)
    harmonics : ndarray, shape (pitches, harmonics)
        Level of each harmonic in the whole recording; louder and longer notes have higher levels.
    frequencies : ndarray, shape (bins,)
        Frequencies of the bins in Hz.
    """

    pitches: NDArray[np.intp]
    harmonics: Real
    frequencies: Real

    @classmethod
    def of(cls, part: str, plan: Plan, factorization: Factorization, frequencies: Real) -> Timbre:
        """Measure the harmonics of a part in templates and activations that fit a recording."""
        own = [number for number, (name, _) in enumerate(plan.pitches) if name == part]
        pitches = [plan.pitches[number][1] for number in own]
        rows = []
        for number, pitch in zip(own, pitches, strict=True):
            # The last template of a pitch is the noise of its onsets.
            tones = slice(TEMPLATES_PER_PITCH * number, TEMPLATES_PER_PITCH * (number + 1) - 1)
            spectrum = factorization.W[:, tones] @ factorization.H[tones].sum(axis=1, dtype=np.float64)
            rows.append(np.bincount(numbers_of_harmonics(pitch, frequencies), spectrum, _HARMONICS + 1)[1:])
        return cls(np.array(pitches, np.intp), np.stack(rows), frequencies)

    def template(self, pitch: int) -> Real:
        """Return the template of a pitch with the mean timbre of the pitches near it, shape (bins,).

        Its sum is one; it is zero where no harmonic of the part lies below the highest bin.
        """
        weights = np.exp(-0.5 * ((self.pitches - pitch) / _NEAR_PITCHES) ** 2) + np.finfo(np.float32).eps
        levels = weights @ self.harmonics
        numbers = numbers_of_harmonics(pitch, self.frequencies)
        widths = np.maximum(np.bincount(numbers, minlength=_HARMONICS + 1), 1)
        template = np.concatenate([[0.0], levels])[numbers] / widths[numbers]
        return np.asarray(template / max(template.sum(), np.finfo(np.float64).tiny))


def numbers_of_harmonics(pitch: int, frequencies: Real) -> NDArray[np.intp]:
    """Return the number of the harmonic of a MIDI pitch that each bin belongs to; 0 without a harmonic."""
    return harmonic_numbers(440.0 * 2 ** ((pitch - 69) / 12), frequencies).astype(np.intp)


def mean_timbres(plan: Plan, factorization: Factorization, frequencies: Real) -> dict[str, Timbre]:
    """Return the timbre of each part with pitches: not of drums, whose pitches are no frequencies.

    Parameters
    ----------
    plan : Plan
    factorization : Factorization
        The plan's templates and activations, fitted to a recording.
    frequencies : ndarray, shape (bins,)
        Frequencies of the bins in Hz.
    """
    pitched = {
        part
        for (part, _), notes in zip(plan.pitches, plan.notes, strict=True)
        if any(note.instrument != DRUMS for note in notes)
    }
    return {part: Timbre.of(part, plan, factorization, frequencies) for part in sorted(pitched)}


def with_mean_timbres(W: Real, plan: Plan, timbres: Mapping[str, Timbre]) -> Real:
    """Return starts of templates, (bins, templates), the first of each pitch with its part's mean timbre.

    Notes that always sound together cannot be told from each other by themselves. The other notes of a part
    say how each of them sounds.

    Parameters
    ----------
    W : ndarray, shape (bins, templates)
        Starts of the templates of `plan`.
    plan : Plan
    timbres : mapping of str to Timbre
        Timbre of each part that gets such templates.
    """
    started = W.copy()
    for number, (part, pitch) in enumerate(plan.pitches):
        if part in timbres and (template := timbres[part].template(pitch)).any():
            started[:, TEMPLATES_PER_PITCH * number] = template
    return started
