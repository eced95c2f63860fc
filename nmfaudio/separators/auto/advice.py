"""Which separator to try first on a mixture, and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from nmfaudio.separators.stereo.panning import Panning, find_panning, place_name
from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.progress import Progress
from nmfaudio.sound.stft import STFT

WINDOW_SECONDS = 0.046
# Of magnitudes that are percussive: above it there is hardly anything but drums. Noise has a half.
PERCUSSIVE = 0.6
STRIKING = 0.3  # of them, from which drums may be among other instruments
# Loudness over time, geometric over arithmetic mean: steady noise is near one, loops are near zero.
STEADY = 0.65
KIT = 3  # drums that are looked for: kick, snare, hi-hat
LOOPS = (1.0, 600.0)  # seconds of a loop: the separator of drums keeps the whole in memory
SHORT_SECONDS = 3.0  # with less, there is little to learn templates from

_LISTENED_BLOCKS = 4  # evenly spread over the mixture
_LISTENED_FRAMES = 200  # in each: some two seconds
_WIDTH = 17  # of median filters: frames for what lasts, bins for what strikes
_BAND = 16  # bins whose loudness is watched together


@dataclass(frozen=True)
class Facts:
    """What can be told of a mixture without separating it.

    Attributes
    ----------
    channels : int
    seconds : float
    percussive : float
        Part of the magnitudes that stands upright in the spectrogram, 0 to 1; a half for noise.
    steady : float
        How little loudness changes, 0 to 1, mean over the spectrum.
    panning : Panning or None
        Where sources stand; None without two channels.

    Examples
    --------
    >>> Facts(1, 12.0, 0.69, 0.02, None).is_drums
    True
    """

    channels: int
    seconds: float
    percussive: float
    steady: float
    panning: Panning | None

    @property
    def is_drums(self) -> bool:
        """Whether there is hardly anything but drums."""
        return self.percussive >= PERCUSSIVE and self.steady < STEADY

    @property
    def is_noisy(self) -> bool:
        """Whether much of it is steady noise."""
        return self.steady >= STEADY

    @property
    def places(self) -> tuple[str, ...]:
        """Names of the places at which sources stand, from left to right; none that are not to be trusted."""
        if self.panning is None or not self.panning.trusted:
            return ()
        return tuple(place_name(angle) for angle in np.sort(self.panning.angles))


@dataclass(frozen=True)
class Advice:
    """What to try first, and what else.

    Attributes
    ----------
    separator : str
    reason : str
        In plain words.
    options : dict
        Of the separator.
    others : tuple of (str, str)
        Arguments of `nmfaudio separate`, and when they are worth a try.

    Examples
    --------
    >>> advise(Facts(1, 12.0, 0.1, 0.3, None)).separator
    'blind'
    """

    separator: str
    reason: str
    options: dict[str, Any] = field(default_factory=dict)
    others: tuple[tuple[str, str], ...] = ()


def listen(mixture: Blocks, *, sources: int | None = None) -> Facts:
    """Measure what tells which separator suits a mixture.

    Places are looked for in the whole mixture; what is percussive and steady, in some blocks of it.

    Parameters
    ----------
    mixture : Blocks
    sources : int, optional
        How many there are, if that is known.

    Returns
    -------
    Facts

    References
    ----------
    D. FitzGerald, "Harmonic/percussive separation using median filtering", DAFx 2010.

    Examples
    --------
    >>> from nmfaudio import STFT, Audio, Blocks
    >>> noise = np.random.default_rng(0).standard_normal((1, 16000)) / 8
    >>> facts = listen(Blocks(Audio(noise, 8000), STFT(512)))
    >>> facts.is_noisy, facts.is_drums
    (True, False)
    """
    panning = find_panning(mixture, sources=sources) if mixture.channels == 2 else None
    mixture = mixture.with_stft(STFT.lasting(WINDOW_SECONDS, mixture.sample_rate))
    measured = np.array(list(_measured(mixture)))
    weights = measured[:, 2]
    mean = np.average(measured[:, :2], axis=0, weights=weights) if weights.any() else np.zeros(2)
    seconds = mixture.length / mixture.sample_rate
    return Facts(mixture.channels, seconds, float(mean[0]), float(mean[1]), panning)


def advise(facts: Facts, *, sources: int | None = None) -> Advice:
    """Say which separator to try first.

    Parameters
    ----------
    facts : Facts
    sources : int, optional
        Stems that are wanted.

    Returns
    -------
    Advice
    """
    separator, reason = _choice(facts, sources)
    options: dict[str, Any] = {"sources": sources} if sources and separator in ("blind", "stereo") else {}
    return Advice(separator, reason, options, tuple(_others(facts, separator, sources)))


def _choice(facts: Facts, sources: int | None) -> tuple[str, str]:
    panning = facts.panning
    if panning is not None and panning.doubt(sources) is None:
        return "stereo", f"sources stand at {len(panning.angles)} places: {', '.join(facts.places)}"
    why_not = f" and {panning.doubt(sources)}" if panning is not None else ""
    if facts.is_drums and sources in (None, KIT) and LOOPS[0] <= facts.seconds <= LOOPS[1]:
        return "drums", f"{facts.percussive:.0%} of it is percussive{why_not}: drums, told by their names"
    if facts.is_noisy and sources in (None, 2):
        return "noise", f"much of it is steady noise{why_not}: that, and what sounds over it"
    return "blind", f"{_channels(facts)}{why_not}: timbre must tell the sources apart"


def _others(facts: Facts, chosen: str, sources: int | None) -> Iterator[tuple[str, str]]:
    """Give what else is worth a try, and when."""
    if not sources:
        yield "--sources N", "you know how many sources there are: no number found is as good"
    if chosen == "stereo" and len(facts.places) > 2:
        yield "--set templates=24", "sources change their sound much: more templates follow them"
    if chosen == "drums":
        yield "--separator blind", "these are other drums than kick, snare and hi-hat"
        yield "--drums --set oneshots=FOLDER", "you have a recording of each drum alone"
    elif facts.percussive >= STRIKING:
        yield "--drums --set others=10", "drums play along: each by its name, and all else in one stem"
    if chosen == "noise":
        yield "--separator blind", "the noise is not steady, or is itself a source"
    if facts.seconds < SHORT_SECONDS:
        yield "a longer part", f"{facts.seconds:.1f} s are little to learn from"


def _channels(facts: Facts) -> str:
    return {1: "one channel", 2: "two channels"}.get(facts.channels, f"{facts.channels} channels")


def _measured(mixture: Blocks) -> Iterator[tuple[float, float, float]]:
    """Give the percussive part, the steadiness and the magnitude of some blocks."""
    bounds = mixture.bounds
    chosen = sorted({round(i) for i in np.linspace(0, len(bounds) - 1, _LISTENED_BLOCKS)})
    for number, start in enumerate(bounds[i][0] for i in chosen):
        V = mixture.block(start, start + _LISTENED_FRAMES).magnitude.mean(axis=0).astype(np.float32)
        yield _percussive(V), _steady(V), float(V.sum())
        mixture.report(Progress("listening", number + 1, len(chosen)))


def _percussive(V: NDArray[np.float32]) -> float:
    """Return the part of magnitudes that a Wiener mask of median filters calls percussive."""
    lasting = median_filter(V, (1, _WIDTH), mode="nearest") ** 2
    striking = median_filter(V, (_WIDTH, 1), mode="nearest") ** 2
    both = lasting + striking
    mask = np.divide(striking, both, out=np.zeros_like(both), where=both > 0)
    total = float(V.sum())
    return float((mask * V).sum()) / total if total > 0 else 0.0


def _steady(V: NDArray[np.float32]) -> float:
    """Return the temporal flatness of bands of bins, louder bands counting more."""
    bands = np.add.reduceat(V.astype(np.float64) ** 2, np.arange(0, len(V), _BAND), axis=0)
    mean = bands.mean(axis=1)
    if not mean.any():
        return 0.0
    floor = 1e-9 * mean.max()
    flatness = np.exp(np.log(bands + floor).mean(axis=1)) / (mean + floor)
    return float(np.average(flatness, weights=np.sqrt(mean)))
