"""What in a mixture no template of a dictionary covers, and of which source to record more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nmfaudio.dictionaries.dictionary import Dictionary
from nmfaudio.dictionaries.pitch import note_name, template_pitches
from nmfaudio.nmf import factorize

FRAMES = 160  # those in which most is lacking are looked at
LEAST = 0.05  # of the level of these frames: what lacks less is not worth a recording
_SOUNDS = 8  # that what is lacking is taken for
_ITERATIONS = 25
MOST = 6  # that are told
_ALIKE = 2.0  # semitones by which sources' notes may be further away than the nearest and be as likely
_FOUNDED = 0.1  # of a note's power lies in its three lowest harmonics at least
_REACH = 12.0  # semitones from a source's notes: a note further away is not taken for one of its own
_USUAL = 0.1  # of the energy of a source's loudest template: pitches of quieter ones are often wrong
_THIRD_OCTAVE = 2 ** (1 / 6)  # either side

Real = NDArray[np.float64]


@dataclass(frozen=True)
class Gap:
    """A sound of the mixture that no template covers.

    Attributes
    ----------
    source : str
        The one that it is most likely of, or several that are as likely.
    frequency : float
        Its fundamental in Hz, or, where it has none, where it is strongest.
    pitched : bool
    share : float
        Of the level of the frames that lack most.

    Examples
    --------
    >>> Gap("flute", 440.0, True, 0.1).name, Gap("hihat", 9000.0, False, 0.1).name
    ('A4', 'sounds around 9000 Hz')
    """

    source: str
    frequency: float
    pitched: bool
    share: float

    @property
    def name(self) -> str:
        """A note, or a part of the spectrum."""
        if self.pitched:
            return note_name(self.frequency)
        step = 10 ** int(np.log10(max(self.frequency, 10))) // 10
        return f"sounds around {step * round(self.frequency / step)} Hz"


def find_gaps(
    V: NDArray[np.float32], fixed: NDArray[np.float32], lost: Real, known: Dictionary
) -> tuple[Gap, ...]:
    """Return what free templates find beside the known ones, the loudest first; each note or place once.

    Parameters
    ----------
    V : ndarray, shape (bins, frames)
        The mixture, through the dictionary's settings, to its exponent.
    fixed : ndarray, shape (bins, components)
        Templates that are there already.
    lost : ndarray, shape (frames,)
        How badly they explain each frame.
    known : Dictionary
        Of the sources that may lack something.
    """
    worst = np.sort(np.argsort(lost)[-FRAMES:])
    frames = np.ascontiguousarray(V[:, worst].T)
    if not frames.any():
        return ()
    rank = fixed.shape[1] + _SOUNDS
    found = factorize(frames.T, rank, divergence=known.beta, frozen=fixed, iterations=_ITERATIONS)
    W, H = found.W[:, -_SOUNDS:].astype(np.float64), found.H[-_SOUNDS:].astype(np.float64)
    magnitudes, frequencies = W ** (1 / known.magnitude_power), known.stft.frequencies(known.sample_rate)
    pitches = template_pitches(magnitudes, frequencies)
    pitches[~_founded(magnitudes, pitches, frequencies)] = 0
    shares = H.sum(axis=1) / frames.sum(dtype=np.float64)
    gaps: dict[str, Gap] = {}
    for k in np.argsort(-shares):
        gap = _gap(known, float(pitches[k]), float(frequencies[magnitudes[:, k].argmax()]), float(shares[k]))
        same = gaps.get(gap.name, replace(gap, share=0.0))
        gaps[gap.name] = replace(same, share=same.share + gap.share)
    loudest = sorted(gaps.values(), key=lambda gap: -gap.share)
    return tuple(gap for gap in loudest if gap.share >= LEAST)[:MOST]


def _founded(magnitudes: Real, pitches: NDArray[np.float32], frequencies: Real) -> NDArray[np.bool_]:
    """Say which spectra have some of their power in the lowest harmonics of their pitch: noise has not."""
    near = np.maximum(0.03 * pitches, 1.5 * frequencies[1])
    power = magnitudes**2
    low = np.zeros(len(pitches))
    for harmonic in (1, 2, 3):
        low += (power * (np.abs(frequencies[:, None] - harmonic * pitches) <= near)).sum(axis=0)
    return np.asarray(low >= _FOUNDED * power.sum(axis=0))


def _gap(known: Dictionary, pitch: float, strongest: float, share: float) -> Gap:
    """Return a gap of the source whose notes are nearest, or which is strongest at its frequency."""
    far = {source: _semitones_off(known, source, pitch) for source in known.sources} if pitch else {}
    nearest = min(far.values(), default=np.inf)
    if nearest <= _REACH:
        alike = [source for source in sorted(far, key=far.__getitem__) if far[source] <= nearest + _ALIKE]
        return Gap(" or ".join(alike[:2]), pitch, True, share)
    return Gap(_strongest_at(known, strongest), strongest, False, share)


def _semitones_off(known: Dictionary, source: str, pitch: float) -> float:
    """Return how far a pitch lies from those that hold most of a source's energy; far where few have one."""
    members = known.members[source]
    pitches, energies = known.pitches[members].astype(np.float64), known.energies[members]
    weights = energies.astype(np.float64) if energies.any() else np.ones(len(members))
    if weights[pitches > 0].sum() < 0.5 * weights.sum():
        return np.inf
    usual = (pitches > 0) & (weights >= _USUAL * weights.max())
    notes = pitches[usual] if usual.any() else pitches[pitches > 0]
    return float(12 * np.abs(np.log2(pitch / notes)).min())


def _strongest_at(known: Dictionary, frequency: float) -> str:
    frequencies = known.stft.frequencies(known.sample_rate)
    near = (frequencies >= frequency / _THIRD_OCTAVE) & (frequencies <= frequency * _THIRD_OCTAVE)
    near[np.abs(frequencies - frequency).argmin()] = True
    levels = {
        source: float(known.templates[near][:, members].sum(axis=0).mean())
        for source, members in known.members.items()
    }
    return max(levels, key=lambda source: levels[source])


def what_to_record(gaps: Sequence[Gap]) -> str:
    """Say which sources to record more of, and what they should play.

    Examples
    --------
    >>> what_to_record([Gap("flute", 440.0, True, 0.2), Gap("flute", 880.0, True, 0.1)])
    'record flute playing A4 and A5'
    """
    wanted: dict[str, list[Gap]] = {}
    for gap in gaps:
        wanted.setdefault(gap.source, []).append(gap)
    return "record " + ", and ".join(_listed(source, of) for source, of in wanted.items())


def _listed(source: str, gaps: list[Gap]) -> str:
    pitched = sorted((gap for gap in gaps if gap.pitched), key=lambda gap: gap.frequency)
    names = [gap.name for gap in (*pitched, *(gap for gap in gaps if not gap.pitched))]
    every = f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]
    return f"{source} playing {every}" if pitched else f"more of {source}, with {every}"
