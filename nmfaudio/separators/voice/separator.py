"""Separation of a lead voice from its accompaniment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from nmfaudio.errors import OptionError
from nmfaudio.models.components import Components, from_factors
from nmfaudio.models.contract import Model
from nmfaudio.models.masks import soft_masks
from nmfaudio.models.options import option, window_option
from nmfaudio.nmf.source_filter import F32, FLOOR, SourceFilter
from nmfaudio.separators.regions.model import with_regions
from nmfaudio.separators.regions.options import RegionFileOptions
from nmfaudio.separators.voice.spectra import bands, combs
from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.progress import Progress
from nmfaudio.sound.spectrogram import Spectrogram
from nmfaudio.sound.stft import STFT

_TILT = 4.0  # decrease of the harmonics: 12 dB in each octave
_LEAP = 8.0  # cost of a step of one semitone between frames, relative to the logarithms of the activations
_SILENT = 1e-6  # part of the strongest activation; the search for the melody treats lower ones as equal
# Median melody in Hz above which a warning appears. Measured: 530 where the violins of an orchestra were
# followed in place of the speech over them, 415 for a singer.
HIGH_FOR_A_VOICE = 450.0
_BREATH = 0.01  # part of the level of the lead with which its noise starts
_BREATH_ITERATIONS = 10  # updates that adjust the noise


@dataclass(frozen=True)
class Voice(RegionFileOptions):
    """Separate a lead voice from its accompaniment (source-filter model, no training).

    The lead has one pitch at a time, shaped by smooth filters. The accompaniment is modelled by a few
    templates. A first round finds the melody, and a second round limits the lead to it. The separator suits a
    monophonic lead, sung or played, that stands out over instruments of another kind. When another part is
    more melodious, such as an orchestra under speech, the separator follows that part; a narrower range
    (`low`, `high`) helps only partly. For pop songs, deep networks are better.

    Parameters
    ----------
    low, high : float
        Range of the melody in Hz.
    steps : int
        Number of pitches in a semitone.
    components : int
        Number of templates of the accompaniment.
    iterations : int
        Number of updates in each of two rounds: before the melody is known, and after.
    reach : float
        Semitones on either side of the melody that belong to the lead.
    window : float
        Length of the analysis window in seconds; the nearest power of two in samples is used.
    mask_exponent : float
        Exponent of the masks; 1 is the Wiener filter, higher values separate more strongly.
    seed : int
        Seed of the random start.

    References
    ----------
    J.-L. Durrieu, B. David and G. Richard, "A musically motivated mid-level representation for pitch
    estimation and musical audio source separation", IEEE Journal of Selected Topics in Signal Processing,
    2011.
    """

    needs_whole: ClassVar[bool] = True

    low: float = option(80.0, "lowest pitch of the melody in Hz", above=0, flag="low", metavar="HZ")
    high: float = option(1000.0, "highest pitch of the melody in Hz", above=0, flag="high", metavar="HZ")
    steps: int = option(8, "number of pitches in a semitone", at_least=1)
    components: int = option(40, "number of templates of the accompaniment", at_least=1)
    iterations: int = option(15, "number of updates in each of two rounds", at_least=1)
    reach: float = option(0.4, "semitones around the melody that belong to the lead", above=0)
    window: float = window_option(0.046)
    mask_exponent: float = option(
        1.0,
        "exponent of the masks; 1 is the Wiener filter, higher values separate more strongly",
        above=0,
        former_name="exponent",
    )
    seed: int = option(0, "seed of the random start", at_least=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.low >= self.high:
            raise OptionError(f"high={self.high}: it must be above low={self.low}", option="high")

    def fit(self, mixture: Blocks) -> Model:
        """Find the melody and the parts of the mixture that belong to it."""
        # The matrix products are too small for several threads, which wait for each other on a busy machine.
        with threadpool_limits(1, user_api="blas"):
            model = self._fit(mixture.with_stft(STFT.lasting(self.window, mixture.sample_rate)))
        return with_regions(model, mixture, self.regions(), self.seed)

    def _fit(self, mixture: Blocks) -> VoiceModel:
        frames, count = mixture.frames, len(self._pitches())
        V = mixture.allocate(frames, mixture.stft.bins)
        sources, sources_near_melody = (mixture.allocate(frames, count + 1) for _ in range(2))
        previous = mixture.allocate(frames, count, dtype=np.uint16)
        _read_power(mixture, V)
        model = self._started(V, sources, mixture)
        model.fit(V, self.iterations, _reporter(mixture, "looking for the melody", self.iterations))
        path = _path(sources[:, :-1], _LEAP / self.steps, self._prior_costs(), previous)
        self._limit_to_melody(sources_near_melody, sources, path)
        model = model.restarted(sources_near_melody, self.seed)
        model.fit(V, self.iterations, _reporter(mixture, "following the melody", self.iterations))
        model.sources[:, -1] = _BREATH * model.sources.sum(axis=1)
        model.fit_frames(V, _BREATH_ITERATIONS, _reporter(mixture, "adding breath", _BREATH_ITERATIONS))
        return VoiceModel(mixture.stft, model, self._pitches()[path], self.mask_exponent)

    def _pitches(self) -> NDArray[np.float64]:
        count = int(np.log2(self.high / self.low) * 12 * self.steps) + 1
        return np.asarray(self.low * 2 ** (np.arange(count) / (12 * self.steps)))

    def _prior_costs(self) -> F32:
        """Return the cost of each pitch, shape (pitches,): squared distance from the middle in octaves."""
        octaves = np.log2(self._pitches() / np.sqrt(self.low * self.high))
        return np.asarray(octaves**2, np.float32)

    def _started(self, V: F32, sources: F32, mixture: Blocks) -> SourceFilter:
        """Return a model whose pitches have random parts of the level of each frame."""
        frequencies = mixture.stft.frequencies(mixture.sample_rate)
        excitations = combs(self._pitches(), frequencies, _TILT)
        level = V.mean(axis=1, keepdims=True)
        random = np.random.default_rng(self.seed)
        for row, loud in zip(sources, level[:, 0], strict=True):
            row[:] = (0.5 + random.random(len(row), np.float32)) * loud / len(row)
        sources[:, -1] = 0  # no noise in these rounds: it would replace the pitches
        spectra = excitations, bands(frequencies)
        return SourceFilter.started(spectra, sources, level, self.components, self.seed)

    def _limit_to_melody(self, limited: F32, sources: F32, path: NDArray[np.intp]) -> None:
        """Fill `limited` with the level of the sources, spread evenly over the pitches near the melody."""
        pitches = np.arange(sources.shape[1] - 1)
        for row, levels, pitch in zip(limited, sources, path, strict=True):
            allowed = np.abs(pitches - pitch) <= self.reach * self.steps
            row[:-1] = allowed * (levels.sum() / allowed.sum())
            row[-1] = 0


@dataclass(frozen=True)
class VoiceModel(Model):
    """Model of a lead voice and its accompaniment.

    Attributes
    ----------
    stft : STFT
    source_filter : SourceFilter
        Powers of the lead and the accompaniment.
    melody : ndarray, shape (frames,)
        Pitch of the lead in Hz; a guess where no voice sounds.
    mask_exponent : float
        Exponent of the masks.
    """

    stft: STFT
    source_filter: SourceFilter
    melody: NDArray[np.float64]
    mask_exponent: float
    sources: tuple[str, ...] = ("voice", "accompaniment")
    context: int = 0

    @property
    def messages(self) -> tuple[str, ...]:
        """Range of the melody, which shows the user whether the separator followed the voice."""
        low, middle, high = np.percentile(self.melody, (10, 50, 90))
        return (f"melody followed at {low:.0f} to {high:.0f} Hz, half of it below {middle:.0f} Hz",)

    @property
    def doubt(self) -> str:
        """Says that the melody is higher than most voices: it is perhaps that of an instrument."""
        middle = float(np.median(self.melody))
        if middle <= HIGH_FOR_A_VOICE:
            return ""
        return f"half of the melody is above {middle:.0f} Hz, where few voices are: it may be an instrument"

    @property
    def warnings(self) -> tuple[str, ...]:
        """A warning where the melody is higher than most voices."""
        return (f"{self.doubt}; for speech, pass high=350",) if self.doubt else ()

    @property
    def way_out(self) -> str:
        """What helps where a stem is unsure."""
        return (
            "this separator follows the melody of a singing voice; for speech or several voices, learn the "
            "voice or the accompaniment from a recording of it alone (dictionary=...), or name passages "
            "without the voice (solo=...)"
        )

    def find_components(self, mixture: Blocks) -> Components:
        """Return the templates of the accompaniment; the voice is a single part."""
        one = self.source_filter
        return from_factors(
            self.sources,
            np.full(len(one.templates), self.sources.index("accompaniment")),
            one.templates.T,
            one.activations.T[None],
            sample_rate=mixture.sample_rate,
            stft=self.stft,
            channels=mixture.channels,
            magnitude_power=2.0,
            mask_exponent=self.mask_exponent,
            beta=0.0,
        )

    def separate(self, block: Spectrogram) -> dict[str, Spectrogram]:
        """Apply masks made of the powers of voice and accompaniment; all channels have the same masks."""
        part = slice(block.start, block.stop)
        powers = self.source_filter.lead(part), self.source_filter.accompaniment(part)
        estimates = {name: power.T[None] for name, power in zip(self.sources, powers, strict=True)}
        return soft_masks(block, estimates, mask_exponent=self.mask_exponent)


def _read_power(mixture: Blocks, V: F32) -> None:
    """Fill V, (frames, bins), with the mean power over the channels, above zero and with the mean one."""
    for block in mixture:
        V[block.start : block.stop] = (block.magnitude**2).mean(axis=0).T
    mean = np.float32(V.mean(dtype=np.float64))
    if mean > 0:
        np.divide(V, mean, out=V)
    np.maximum(V, FLOOR, out=V)


def _reporter(mixture: Blocks, stage: str, total: int) -> Callable[[int], None]:
    return lambda done: mixture.report(Progress(stage, done, total))


def _path(activations: F32, cost: float, prior_costs: F32, previous: NDArray[np.uint16]) -> NDArray[np.intp]:
    """Return the pitches of the path with the greatest score through activations (frames, pitches).

    The score of a path (Viterbi) is the sum of the logarithms of its activations, minus the prior costs of
    its pitches, (pitches,), and minus `cost` times the length of each step. `previous`, (frames, pitches), is
    working memory: the best pitch before each pitch.

    Examples
    --------
    >>> activations = np.array([[9, 1, 1], [1, 1, 2], [9, 1, 1]], np.float32)
    >>> _path(activations, 1.0, np.zeros(3), np.empty((3, 3), np.uint16)).tolist()
    [0, 0, 0]
    """
    frames, count = activations.shape
    least = max(float(activations.max()) * _SILENT, float(FLOOR))
    pitches = np.arange(count)
    step_costs = (cost * np.abs(pitches[:, None] - pitches)).astype(np.float32)
    score = np.zeros(count, np.float32)
    for frame, row in enumerate(activations):
        scores = score - step_costs
        previous[frame] = scores.argmax(axis=1)
        score = scores[pitches, previous[frame]] + np.log(np.maximum(row, least)) - prior_costs
        score -= score.max()
    path = np.empty(frames, np.intp)
    pitch = score.argmax()
    for frame in range(frames - 1, -1, -1):
        path[frame] = pitch
        pitch = previous[frame, pitch]
    return path
