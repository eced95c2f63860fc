"""Sounds of a mixture that no template of a dictionary covers, and the sources to record more of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nmfaudio.dictionaries.dictionary import Dictionary
from nmfaudio.dictionaries.pitch import note_name, template_pitches
from nmfaudio.nmf import factorize

FRAMES = 160  # number of frames that are analysed: those that the templates explain worst
LEAST = 0.05  # share of the level of these frames; sounds below it are not worth a recording
_SOUNDS = 8  # number of free templates that model the uncovered sounds
_ITERATIONS = 25
MOST = 6  # largest number of uncovered sounds that are reported
_SIMILAR_SEMITONES = 2.0  # sources whose notes are at most this much further away are equally likely
_LOW_HARMONICS_SHARE = 0.1  # smallest share of a note's power in its three lowest harmonics
_REACH_SEMITONES = 12.0  # notes further than this from all notes of a source are not attributed to it
_USUAL = 0.1  # energy relative to a source's loudest template; pitches of quieter ones are often wrong
_THIRD_OCTAVE = 2 ** (1 / 6)  # frequency ratio on either side

Real = NDArray[np.float64]


@dataclass(frozen=True)
class Gap:
    """A sound of the mixture that no template covers.

    Attributes
    ----------
    source : str
        The source that most likely makes the sound, or several that are equally likely.
    frequency : float
        Fundamental frequency in Hz; for a sound without pitch, the frequency at which it is strongest.
    pitched : bool
        Whether the sound has a pitch.
    share : float
        Part of the level of the frames that are explained worst.

    Examples
    --------
    >>> Gap("flute", 440.0, True, 0.1).name, Gap("hihat", 9000.0, False, 0.1).name
    ('A4', 'sounds near 9000 Hz')
    """

    source: str
    frequency: float
    pitched: bool
    share: float

    @property
    def name(self) -> str:
        """Name of the note, or the frequency range of a sound without pitch."""
        if self.pitched:
            return note_name(self.frequency)
        step = 10 ** int(np.log10(max(self.frequency, 10))) // 10
        return f"sounds near {step * round(self.frequency / step)} Hz"


def find_gaps(
    V: NDArray[np.float32], fixed: NDArray[np.float32], losses: Real, known: Dictionary
) -> tuple[Gap, ...]:
    """Return the uncovered sounds, loudest first; each note or frequency range once.

    Free templates beside the fixed ones are fitted to the frames that the fixed ones explain worst.

    Parameters
    ----------
    V : ndarray, shape (bins, frames)
        Magnitudes of the mixture, with the dictionary's STFT settings and raised to its magnitude power.
    fixed : ndarray, shape (bins, components)
        Templates that exist already.
    losses : ndarray, shape (frames,)
        Divergence of each frame from the model with the fixed templates.
    known : Dictionary
        The sources that may have uncovered sounds.
    """
    worst = np.sort(np.argsort(losses)[-FRAMES:])
    frames = np.ascontiguousarray(V[:, worst].T)
    if not frames.any():
        return ()
    rank = fixed.shape[1] + _SOUNDS
    factorization = factorize(frames.T, rank, divergence=known.beta, frozen=fixed, iterations=_ITERATIONS)
    W, H = (part.astype(np.float64) for part in (factorization.W[:, -_SOUNDS:], factorization.H[-_SOUNDS:]))
    magnitudes, frequencies = W ** (1 / known.magnitude_power), known.stft.frequencies(known.sample_rate)
    pitches = template_pitches(magnitudes, frequencies)
    pitches[~_has_low_harmonics(magnitudes, pitches, frequencies)] = 0
    shares = H.sum(axis=1) / frames.sum(dtype=np.float64)
    strongest = frequencies[magnitudes.argmax(axis=0)]
    gaps = [
        _gap(known, float(pitches[k]), float(strongest[k]), float(shares[k])) for k in np.argsort(-shares)
    ]
    return tuple(gap for gap in _merged(gaps) if gap.share >= LEAST)[:MOST]


def _merged(gaps: Sequence[Gap]) -> list[Gap]:
    """Return one gap for each name, with the sum of the shares, loudest first."""
    by_name: dict[str, Gap] = {}
    for gap in gaps:
        same = by_name.get(gap.name, replace(gap, share=0.0))
        by_name[gap.name] = replace(same, share=same.share + gap.share)
    return sorted(by_name.values(), key=lambda gap: -gap.share)


def _has_low_harmonics(
    magnitudes: Real, pitches: NDArray[np.float32], frequencies: Real
) -> NDArray[np.bool_]:
    """Return which spectra have power in the lowest harmonics of their pitch; noise has little there."""
    near = np.maximum(0.03 * pitches, 1.5 * frequencies[1])
    power = magnitudes**2
    low = np.zeros(len(pitches))
    for harmonic in (1, 2, 3):
        low += (power * (np.abs(frequencies[:, None] - harmonic * pitches) <= near)).sum(axis=0)
    return np.asarray(low >= _LOW_HARMONICS_SHARE * power.sum(axis=0))


def _gap(known: Dictionary, pitch: float, strongest: float, share: float) -> Gap:
    """Return a gap of the source with the nearest notes, or of the strongest source at its frequency."""
    distances = {source: _semitones_off(known, source, pitch) for source in known.sources} if pitch else {}
    nearest = min(distances.values(), default=np.inf)
    if nearest <= _REACH_SEMITONES:
        by_distance = sorted(distances, key=distances.__getitem__)
        likely = [source for source in by_distance if distances[source] <= nearest + _SIMILAR_SEMITONES]
        return Gap(" or ".join(likely[:2]), pitch, True, share)
    return Gap(_strongest_at(known, strongest), strongest, False, share)


def _semitones_off(known: Dictionary, source: str, pitch: float) -> float:
    """Return the distance of a pitch from the main notes of a source; infinite for a source without notes."""
    members = known.members[source]
    pitches, energies = known.pitches[members].astype(np.float64), known.energies[members]
    weights = energies.astype(np.float64) if energies.any() else np.ones(len(members))
    if weights[pitches > 0].sum() < 0.5 * weights.sum():
        return np.inf
    usual = (pitches > 0) & (weights >= _USUAL * weights.max())
    notes = pitches[usual] if usual.any() else pitches[pitches > 0]
    return float(12 * np.abs(np.log2(pitch / notes)).min())


def _strongest_at(known: Dictionary, frequency: float) -> str:
    """Return the source whose templates are strongest in the third of an octave around a frequency."""
    frequencies = known.stft.frequencies(known.sample_rate)
    near = (frequencies >= frequency / _THIRD_OCTAVE) & (frequencies <= frequency * _THIRD_OCTAVE)
    near[np.abs(frequencies - frequency).argmin()] = True
    levels = {
        source: float(known.templates[near][:, members].sum(axis=0).mean())
        for source, members in known.members.items()
    }
    return max(levels, key=lambda source: levels[source])


def what_to_record(gaps: Sequence[Gap]) -> str:
    """Return a clause that says what the recordings of the sources lack.

    Examples
    --------
    >>> what_to_record([Gap("flute", 440.0, True, 0.2), Gap("flute", 880.0, True, 0.1)])
    'the flute recordings lack A4 and A5: record them'
    """
    by_source: dict[str, list[Gap]] = {}
    for gap in gaps:
        by_source.setdefault(gap.source, []).append(gap)
    lacking = ", and ".join(_phrase(source, of) for source, of in by_source.items())
    return f"{lacking}: record them"


def _phrase(source: str, gaps: list[Gap]) -> str:
    pitched = sorted((gap for gap in gaps if gap.pitched), key=lambda gap: gap.frequency)
    names = [gap.name for gap in (*pitched, *(gap for gap in gaps if not gap.pitched))]
    listed = f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]
    return f"the {source} recordings lack {listed}"
