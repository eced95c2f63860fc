"""Take a lead voice and its accompaniment apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from nmfaudio.errors import OptionError
from nmfaudio.models.contract import Model
from nmfaudio.models.masks import soft_masks
from nmfaudio.separators.voice.source_filter import F32, FLOOR, SourceFilter, combs
from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.progress import Progress
from nmfaudio.sound.spectrogram import Spectrogram
from nmfaudio.sound.stft import STFT

_TILT = 4.0  # 12 dB an octave
_LEAP = 8.0  # what a step of a semitone from frame to frame costs, beside the log of the activations
_SILENT = 1e-6  # of the strongest activation: all below is one to the melody
_BREATH, _BREATH_ITERATIONS = 0.01, 10  # of the level of a lead, with which its noise starts


@dataclass(frozen=True)
class Voice:
    """Take a lead voice and its accompaniment apart (source-filter model, no training).

    The lead is one pitch at a time through smooth filters, the accompaniment everything that a few templates
    explain; the melody is followed, and the lead kept to it. For a monophonic lead that stands out, sung or
    played, over instruments of another kind. Where another part is more melodious, as an orchestra under
    speech, that one is followed; a range by `low` and `high` mends it only in part. For pop songs deep
    networks are better.

    Parameters
    ----------
    low, high : float
        Range of the melody in Hz.
    steps : int
        Pitches in a semitone.
    components : int
        Templates of the accompaniment.
    iterations : int
        Updates in each of two rounds: before the melody is known, and after.
    reach : float
        Semitones either side of the melody that belong to the lead.
    window : float
        Seconds of the analysis window; its length is the nearest power of two.
    mask_exponent : float
        Of the masks; 1 is the Wiener filter.
    seed : int
        Of the random start.

    References
    ----------
    J.-L. Durrieu, B. David and G. Richard, "A musically motivated mid-level representation for pitch
    estimation and musical audio source separation", IEEE Journal of Selected Topics in Signal Processing,
    2011.
    """

    needs_whole: ClassVar[bool] = True

    low: float = field(default=80.0, metadata={"help": "lowest pitch of the melody in Hz"})
    high: float = field(default=1000.0, metadata={"help": "highest pitch of the melody in Hz"})
    steps: int = field(default=8, metadata={"help": "pitches in a semitone"})
    components: int = field(default=40, metadata={"help": "templates of the accompaniment"})
    iterations: int = field(default=15, metadata={"help": "updates in each of two rounds"})
    reach: float = field(default=0.4, metadata={"help": "semitones around the melody that are the lead's"})
    window: float = field(default=0.046, metadata={"help": "seconds of the analysis window"})
    mask_exponent: float = field(default=1.0, metadata={"help": "of the masks; 1 is the Wiener filter"})
    seed: int = field(default=0, metadata={"help": "of the random start"})

    def __post_init__(self) -> None:
        for name in ("steps", "components", "iterations"):
            if getattr(self, name) < 1:
                raise OptionError(f"{name}={getattr(self, name)}: it must be at least 1")
        for name in ("low", "reach", "window", "mask_exponent"):
            if not 0 < getattr(self, name) < np.inf:
                raise OptionError(f"{name}={getattr(self, name)}: it must be above 0")
        if not self.low < self.high < np.inf:
            raise OptionError(f"high={self.high}: it must be above low={self.low}")

    def fit(self, mixture: Blocks) -> VoiceModel:
        """Find the melody, and what belongs to it."""
        # Pieces are too small for several threads, which wait for each other on a busy machine.
        with threadpool_limits(1, user_api="blas"):
            return self._fit(mixture.with_stft(STFT.lasting(self.window, mixture.sample_rate)))

    def _fit(self, mixture: Blocks) -> VoiceModel:
        frames, count = mixture.frames, len(self._pitches())
        V = mixture.allocate(frames, mixture.stft.bins)
        sources, near = (mixture.allocate(frames, count + 1) for _ in range(2))
        came = mixture.allocate(frames, count, dtype=np.uint16)
        _read_power(mixture, V)
        parts = self._started(V, sources, mixture)
        parts.fit(V, self.iterations, _reporter(mixture, "looking for the melody", self.iterations))
        path = _path(sources[:, :-1], _LEAP / self.steps, self._unlikely(), came)
        self._move_near(near, sources, path)
        parts = parts.again(near, self.seed)
        parts.fit(V, self.iterations, _reporter(mixture, "following the melody", self.iterations))
        parts.sources[:, -1] = _BREATH * parts.sources.sum(axis=1)
        parts.follow(V, _BREATH_ITERATIONS, _reporter(mixture, "adding breath", _BREATH_ITERATIONS))
        return VoiceModel(mixture.stft, parts, self._pitches()[path], self.mask_exponent)

    def _pitches(self) -> NDArray[np.float64]:
        count = int(np.log2(self.high / self.low) * 12 * self.steps) + 1
        return np.asarray(self.low * 2 ** (np.arange(count) / (12 * self.steps)))

    def _unlikely(self) -> F32:
        """Return how unlikely each pitch is beforehand, shape (pitches,): octaves off the middle, squared."""
        octaves = np.log2(self._pitches() / np.sqrt(self.low * self.high))
        return np.asarray(octaves**2, np.float32)

    def _started(self, V: F32, sources: F32, mixture: Blocks) -> SourceFilter:
        """Start from the level of each frame, shared by all pitches at random."""
        frequencies = mixture.stft.frequencies(mixture.sample_rate)
        excitations = combs(self._pitches(), frequencies, _TILT)
        level = V.mean(axis=1, keepdims=True)
        random = np.random.default_rng(self.seed)
        for row, loud in zip(sources, level[:, 0], strict=True):
            row[:] = (0.5 + random.random(len(row), np.float32)) * loud / len(row)
        sources[:, -1] = 0  # no noise yet: it would explain all that a pitch explains less well
        return SourceFilter.started(excitations, frequencies, sources, level, self.components, self.seed)

    def _move_near(self, near: F32, sources: F32, path: NDArray[np.intp]) -> None:
        """Spread the level of the sources over what lies within reach of the melody."""
        places = np.arange(sources.shape[1] - 1)
        for row, found, pitch in zip(near, sources, path, strict=True):
            allowed = np.abs(places - pitch) <= self.reach * self.steps
            row[:-1] = allowed * (found.sum() / allowed.sum())
            row[-1] = 0


@dataclass(frozen=True)
class VoiceModel(Model):
    """A melody followed, and which part of the mixture it explains.

    Attributes
    ----------
    melody : ndarray, shape (frames,)
        In Hz; where no voice sounds, a guess.
    """

    stft: STFT
    source_filter: SourceFilter
    melody: NDArray[np.float64]
    mask_exponent: float
    sources: tuple[str, ...] = ("voice", "accompaniment")
    context: int = 0

    @property
    def messages(self) -> tuple[str, ...]:
        """Where the melody lay, so that a user sees whether it was the voice's."""
        low, middle, high = np.percentile(self.melody, (10, 50, 90))
        return (f"melody followed at {low:.0f} to {high:.0f} Hz, half of it below {middle:.0f} Hz",)

    def separate(self, block: Spectrogram) -> dict[str, Spectrogram]:
        """Mask the block by the powers of the voice and the rest; all channels alike."""
        part = slice(block.start, block.stop)
        powers = self.source_filter.lead(part), self.source_filter.accompaniment(part)
        estimates = {name: power.T[None] for name, power in zip(self.sources, powers, strict=True)}
        return soft_masks(block, estimates, mask_exponent=self.mask_exponent)


def _read_power(mixture: Blocks, V: F32) -> None:
    """Fill in the power of a mixture over its channels, of mean one and above zero, (frames, bins)."""
    for block in mixture:
        V[block.start : block.stop] = (block.magnitude**2).mean(axis=0).T
    mean = np.float32(V.mean(dtype=np.float64))
    if mean > 0:
        np.divide(V, mean, out=V)
    np.maximum(V, FLOOR, out=V)


def _reporter(mixture: Blocks, stage: str, total: int) -> Callable[[int], None]:
    return lambda done: mixture.report(Progress(stage, done, total))


def _path(activations: F32, cost: float, unlikely: F32, came: NDArray[np.uint16]) -> NDArray[np.intp]:
    """Return the strongest path through activations (frames, pitches), where each step costs its length.

    The log of an activation counts, less what is in `unlikely` (pitches,). `came`, (frames, pitches), is room
    for the work.

    Examples
    --------
    >>> activations = np.array([[9, 1, 1], [1, 1, 2], [9, 1, 1]], np.float32)
    >>> _path(activations, 1.0, np.zeros(3), np.empty((3, 3), np.uint16)).tolist()
    [0, 0, 0]
    """
    frames, count = activations.shape
    least = max(float(activations.max()) * _SILENT, float(FLOOR))
    places = np.arange(count)
    costs = (cost * np.abs(places[:, None] - places)).astype(np.float32)
    score = np.zeros(count, np.float32)
    for frame, row in enumerate(activations):
        scores = score - costs
        came[frame] = scores.argmax(axis=1)
        score = scores[places, came[frame]] + np.log(np.maximum(row, least)) - unlikely
        score -= score.max()
    path = np.empty(frames, np.intp)
    place = score.argmax()
    for frame in range(frames - 1, -1, -1):
        path[frame] = place
        place = came[frame, place]
    return path
