"""Advice on which separator to try first on a mixture, and the reason."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nmfaudio.separators.auto.measuring import contrast, measured, noise, percussive_mask
from nmfaudio.separators.stereo.panning import Panning, find_panning, place_name
from nmfaudio.separators.stereo.separator import suits_lone_source
from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.stft import STFT

WINDOW_SECONDS = 0.046
# Percussive part of the magnitudes from which a mixture consists of drums; the part of noise is one half.
DRUMS_PART = 0.6
SOME_DRUMS_PART = 0.3  # percussive part from which drums may play among other instruments
# A mixture is noisy if steady noise fills at least this part of its audible bands.
NOISY_BANDS = 0.3
# Spectral flatness of the quiet frames of the steady bands from which they hold noise, relative to that of
# noise of the same length. The spectrum of dense music, which may be as steady as noise, is less smooth.
NOISE_SMOOTHNESS = 0.99
# Percussive part from which drums of a song are split off first, and from which percussive sounds guide the
# grouping into two sources. These limits and the next ones were chosen on 87 mixtures; below them, timbre
# alone is the better rule.
SONG_PART, GUIDED_PART = 0.39, 0.4
# Contrast in dB from which points are clearly percussive or clearly harmonic, and the part of the energy of
# these points that may be percussive: where it is larger, no sustained sound is the second source.
CLEAR_CONTRAST, MOST_PERCUSSIVE_ENERGY = 2.5, 0.5
DRUM_COUNT = 3  # drums that the separator `drums` finds: kick, snare, hi-hat
DRUMS_SECONDS = (1.0, 600.0)  # length of a mixture of drums: `drums` keeps its whole spectrogram in memory
SHORT_SECONDS = 3.0  # a shorter mixture is too short to learn templates well

_GROUPING = {
    None: "so sources are grouped by timbre",
    "drums": "with drums among other sounds, so drums are split off and the rest is grouped by timbre",
    "harmonic-percussive": "with percussive or changing sounds, such as speech, over sustained ones, so "
    "components are grouped into these two",
}


@dataclass(frozen=True)
class Facts:
    """Properties of a mixture that are measured without separating it.

    Attributes
    ----------
    channels : int
        Number of channels.
    seconds : float
        Length in seconds.
    percussive : float
        Part of the magnitudes that forms vertical lines in the spectrogram, 0 to 1; one half for noise.
    steady : float
        Part of the audible frequency bands whose energy is as steady as that of noise, 0 to 1.
    smooth : float
        Median flatness of the spectra of the steady bands in quiet frames, relative to that of noise of the
        same length; near 1 for noise.
    panning : Panning or None
        Panning angles of the sources; None unless there are two channels.
    contrast : float
        How clearly each point is percussive or harmonic, in dB: energy of the weaker kind relative to the
        energy that the masks leave undecided.
    percussive_energy : float
        Part of the energy of the clear points that is percussive, 0 to 1.

    Examples
    --------
    >>> Facts(1, 12.0, 0.69, 0.02, 0.9, None).is_drums
    True
    """

    channels: int
    seconds: float
    percussive: float
    steady: float
    smooth: float
    panning: Panning | None
    contrast: float = -np.inf
    percussive_energy: float = 0.0

    @property
    def is_drums(self) -> bool:
        """Whether the mixture consists almost only of drums."""
        return self.percussive >= DRUMS_PART and self.steady < NOISY_BANDS

    @property
    def is_noisy(self) -> bool:
        """Whether steady noise fills much of the spectrum."""
        return self.steady >= NOISY_BANDS and self.smooth >= NOISE_SMOOTHNESS

    def guide(self, sources: int | None) -> str | None:
        """Name of the separator that should guide the grouping into so many sources, if any."""
        if sources == 2 and GUIDED_PART <= self.percussive < DRUMS_PART:
            clear = self.contrast >= CLEAR_CONTRAST and self.percussive_energy <= MOST_PERCUSSIVE_ENERGY
            return "harmonic-percussive" if clear else None
        if sources is not None and sources > 2 and SONG_PART <= self.percussive < DRUMS_PART:
            return "drums" if _suits_drums(self.seconds) else None
        return None

    @property
    def places(self) -> tuple[str, ...]:
        """Names of the panning positions from left to right; none if they cannot be trusted."""
        if self.panning is None or not self.panning.trusted:
            return ()
        return tuple(place_name(angle) for angle in np.sort(self.panning.angles))


@dataclass(frozen=True)
class Advice:
    """Separator to try first, and alternatives.

    Attributes
    ----------
    separator : str
        Name of the separator.
    reason : str
        Reason for this choice, as text for the user.
    options : dict
        Options of the separator.
    others : tuple of (str, str)
        Alternatives: arguments of `nmfaudio separate`, and the condition under which to try them.
    guide : str or None
        Name of the separator whose stems decide how `blind` groups its components, instead of timbre alone.

    Examples
    --------
    >>> advise(Facts(1, 12.0, 0.1, 0.0, 0.0, None)).separator
    'blind'
    """

    separator: str
    reason: str
    options: dict[str, Any] = field(default_factory=dict)
    others: tuple[tuple[str, str], ...] = ()
    guide: str | None = None


def listen(mixture: Blocks) -> Facts:
    """Measure the properties of a mixture that decide which separator suits it.

    The panning is measured on the whole mixture, the other properties on a few blocks.

    Parameters
    ----------
    mixture : Blocks
        The mixture.

    Returns
    -------
    Facts

    References
    ----------
    D. FitzGerald, "Harmonic/percussive separation using median filtering", DAFx 2010.

    Examples
    --------
    >>> from nmfaudio import STFT, Audio, Blocks
    >>> sound = np.random.default_rng(0).standard_normal((1, 16000)) / 8
    >>> sound[:, :4000] += np.sin(np.arange(4000))  # a tone over noise
    >>> facts = listen(Blocks(Audio(sound, 8000), STFT(512)))
    >>> facts.is_noisy, facts.is_drums
    (True, False)
    """
    panning = find_panning(mixture) if mixture.channels == 2 else None
    mixture = mixture.with_stft(STFT.lasting(WINDOW_SECONDS, mixture.sample_rate))
    blocks = list(measured(mixture))
    weights = [float(V.sum()) for V in blocks]
    masks = [percussive_mask(V) for V in blocks]
    parts = [float((mask * V).sum()) for mask, V in zip(masks, blocks, strict=True)]
    percussive = sum(parts) / sum(weights) if any(weights) else 0.0
    steady, smooth = noise(np.concatenate(blocks, axis=1))
    seconds = mixture.length / mixture.sample_rate
    return Facts(mixture.channels, seconds, percussive, steady, smooth, panning, *contrast(blocks, masks))


def advise(facts: Facts, *, sources: int | None = None, guided: bool = True) -> Advice:
    """Choose the separator to try first.

    Parameters
    ----------
    facts : Facts
        Properties of the mixture.
    sources : int, optional
        Number of stems that the user wants.
    guided : bool
        Whether a guide may decide how components are grouped.

    Returns
    -------
    Advice
    """
    guide = facts.guide(sources) if guided else None
    separator, reason = _choice(facts, sources, _GROUPING[guide])
    options: dict[str, Any] = {"sources": sources} if sources and separator in ("blind", "stereo") else {}
    others = tuple(_others(facts, separator, sources))
    return Advice(separator, reason, options, others, guide if separator == "blind" else None)


def _choice(facts: Facts, sources: int | None, grouping: str) -> tuple[str, str]:
    panning = facts.panning
    drums_suit = facts.is_drums and sources in (None, DRUM_COUNT) and _suits_drums(facts.seconds)
    has_places = panning is not None and panning.doubt(sources) is None
    # Two positions of a drum kit are fewer stems than its drums.
    if panning is not None and has_places and not (drums_suit and len(panning.angles) < DRUM_COUNT):
        return (
            "stereo",
            f"the sources have {len(panning.angles)} panning positions: {', '.join(facts.places)}",
        )
    no_panning = f" and {panning.doubt(sources)}" if panning is not None and not has_places else ""
    if drums_suit:
        percussive = f"{100 * facts.percussive:.0f} % percussive"
        return "drums", f"{percussive}{no_panning}, so it was treated as drums"
    if facts.is_noisy and sources in (None, 2):
        return "noise", f"much of the sound is steady noise{no_panning}"
    if panning is not None and suits_lone_source(panning, sources):
        return (
            "stereo",
            f"one source is panned ({place_name(panning.angles[0])}) and the rest has no position",
        )
    return "blind", f"{_channels(facts)}{no_panning}, {grouping}"


def _others(facts: Facts, chosen: str, sources: int | None) -> Iterator[tuple[str, str]]:
    """Yield alternatives and the condition under which to try each."""
    if not sources:
        yield "--sources N", "if you know the number of sources; an estimated number is less reliable"
    if chosen == "stereo" and len(facts.places) > 2:
        yield (
            "--set templates=24",
            "if the sound of the sources varies much; more templates represent it better",
        )
    if chosen == "stereo" and facts.is_drums:
        yield "--drums", "for one stem for each drum: kick, snare and hi-hat"
    if chosen == "stereo" and len(facts.places) < 2:
        yield "--separator blind", "if the rest and the source in this position do not belong apart"
    if chosen == "drums" and facts.places:
        yield "--stereo", f"for one stem for each panning position: {', '.join(facts.places)}"
    if chosen == "drums":
        yield "--separator blind", "if the drums are others than kick, snare and hi-hat"
        yield "--drums --set oneshots=FOLDER", "if you have a recording of each drum alone"
    elif facts.percussive >= SOME_DRUMS_PART:
        yield "--drums --set others=10", "if drums play with other instruments; these become one stem"
    if chosen == "noise":
        yield "--separator blind", "if the noise is not steady, or is a source that you want"
    if facts.seconds < SHORT_SECONDS:
        yield "a longer part", f"because {facts.seconds:.1f} s are too short to learn much from"


def _suits_drums(seconds: float) -> bool:
    shortest, longest = DRUMS_SECONDS
    return shortest <= seconds <= longest


def _channels(facts: Facts) -> str:
    return {1: "mono", 2: "stereo"}.get(facts.channels, f"{facts.channels} channels")
