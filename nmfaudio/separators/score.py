"""Take a recording apart by its score."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from nmfaudio.alignment import aligned
from nmfaudio.errors import OptionError
from nmfaudio.masking import soft_masks
from nmfaudio.nmf import Factorization, activate, factorize
from nmfaudio.notes import Note, read_notes
from nmfaudio.separators.blind import LEARNED_VALUES, collect, spread
from nmfaudio.separators.contract import Components
from nmfaudio.sound.stft import STFT, Blocks, Progress, Spectrogram

_HARMONICS = 25
_WIDTH = 0.5  # semitones either side of a harmonic that a template may fill
_EARLY, _LATE = 0.12, 0.5  # seconds before an onset, and after an end, in which a note may sound
_STRIKE = 0.2  # seconds after an onset in which its noise may sound
_ROLL_OFFS = (1.0, 2.0)  # powers of 1/h: a bright and a dull template for each pitch
_MOVED = 0.08  # seconds: a score that alignment moves by less is taken as aligned already
_MIDDLE_C = 60
_ACTIVATION_ITERATIONS = 30  # of a block's frames in a long recording, the templates being known


@dataclass(frozen=True)
class Score:
    """Take parts of a score apart: a MIDI file tells which note of which part may sound when.

    Each pitch of each part gets harmonic templates, which may sound around its notes alone, and one for the
    noise of its onsets. For music whose notes you have: piano hands, instruments that overlap in range. The
    score may be off by half a second: it is aligned to the recording where that moves it by more than 80 ms.

    Parameters
    ----------
    midi : str
        A MIDI file, or a CSV file with columns onset, end (seconds), pitch (60 is the middle C) and track.
    by : {"track", "instrument", "hand"}
        What becomes a stem; hands part at the middle C.
    align : bool
        Whether to align the score to the recording.
    iterations : int
        Updates; more fit the mixture closer, and its parts less.
    window : float
        Seconds of the analysis window; its length is the nearest power of two.
    exponent : float
        Of the masks: higher ones separate harder.

    References
    ----------
    S. Ewert and M. Muller, "Using score-informed constraints for NMF-based source separation", ICASSP 2012.
    """

    needs_whole: ClassVar[bool] = True

    midi: str = field(metadata={"help": "MIDI file, or CSV with columns onset, end, pitch, track"})
    by: Literal["track", "instrument", "hand"] = field(
        default="track", metadata={"help": "what becomes a stem: track, instrument or hand"}
    )
    align: bool = field(default=True, metadata={"help": "whether to align the score to the recording"})
    iterations: int = field(default=16, metadata={"help": "updates; more fit closer and separate less"})
    window: float = field(default=0.093, metadata={"help": "seconds of the analysis window"})
    exponent: float = field(default=1.5, metadata={"help": "of the masks: higher ones separate harder"})

    def __post_init__(self) -> None:
        if self.by not in ("track", "instrument", "hand"):
            raise OptionError(f"by={self.by!r}: use track, instrument or hand")
        if self.iterations < 1:
            raise OptionError(f"iterations={self.iterations}: it must be at least 1")
        for name in ("window", "exponent"):
            if not 0 < getattr(self, name) < np.inf:
                raise OptionError(f"{name}={getattr(self, name)}: it must be above 0")
        read_notes(Path(self.midi))

    def fit(self, mixture: Blocks) -> ScoreModel:
        """Find the notes of the score in the mixture."""
        mixture = mixture.with_stft(STFT.lasting(self.window, mixture.sample_rate))
        notes, told = read_notes(Path(self.midi)), "score as written"
        if self.align:
            moved, distance = aligned(notes, mixture)
            if distance > _MOVED:
                notes, told = moved, f"score moved by {distance:.2f} s (median) to fit the recording"
        plan = Plan.of((self._part(note), note) for note in notes)
        learned = spread(mixture, LEARNED_VALUES)
        components = Components(self._factorize(mixture, plan, learned), mixture.channels, plan.labels)
        if len(learned) == mixture.frames:
            return ScoreModel(mixture.stft, plan.parts, components, self.exponent, (told,))
        said = f"templates learned from {len(learned)} of {mixture.frames} frames, evenly spread"
        return ScoreModel(mixture.stft, plan.parts, components, self.exponent, (told, said), plan)

    def _part(self, note: Note) -> str:
        if self.by == "hand":
            return "right" if note.pitch >= _MIDDLE_C else "left"
        return note.track if self.by == "track" else note.instrument

    def _factorize(self, mixture: Blocks, plan: Plan, learned: NDArray[np.intp]) -> Factorization:
        """Let templates follow those frames of the mixture that are learned from."""
        V = collect(mixture, 1, LEARNED_VALUES).T
        frequencies = mixture.stft.frequencies(mixture.sample_rate)
        W = np.hstack([_templates(pitch, frequencies) for _, pitch in plan.pitches])
        return factorize(
            V,
            W.shape[1],
            init=(W / W.sum(axis=0), _started(V, plan.windows(mixture.times[learned]))),
            iterations=self.iterations,
            tolerance=0,
            callback=lambda done, objective: mixture.report(
                Progress("following the score", done, self.iterations, objective)
            ),
        )


def _templates(pitch: int, frequencies: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return where the templates of a pitch start: harmonics, and noise; shape (bins, templates)."""
    fundamental = 440.0 * 2 ** ((pitch - 69) / 12)
    number = np.maximum(np.round(frequencies / fundamental), 1)
    reach = number * fundamental * (2 ** (_WIDTH / 12) - 1)
    # Low harmonics lie closer than a bin: the two nearest bins always belong to one.
    inside = np.abs(frequencies - number * fundamental) <= np.maximum(reach, frequencies[1])
    comb = np.where(inside & (number <= _HARMONICS), 1.0, 0.0)
    return np.stack([*(comb / number**power for power in _ROLL_OFFS), np.ones_like(comb)], axis=1)


def _started(V: NDArray[np.float32], windows: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return activations that share the level of each frame among all that may sound.

    V has the shape (bins, channels * frames); the windows, (templates, frames), are those of each channel.
    """
    level = V.sum(axis=0, dtype=np.float64).reshape(-1, windows.shape[1])
    share = level / np.maximum(windows.sum(axis=0), 1)
    H = np.zeros((len(windows), *level.shape), np.float32)
    for row, window in zip(H, windows, strict=True):
        np.copyto(row, share, where=window)
    return H.reshape(len(H), -1)


@dataclass(frozen=True)
class Plan:
    """Which template may sound when.

    Attributes
    ----------
    pitches : tuple of (str, int)
        Part and pitch; of each there are some templates, one after another.
    notes : tuple of tuple of Note
        Those of each pitch.
    """

    pitches: tuple[tuple[str, int], ...]
    notes: tuple[tuple[Note, ...], ...]

    @classmethod
    def of(cls, notes: Iterable[tuple[str, Note]]) -> Plan:
        """Sort notes, each with its part, by part and pitch."""
        found: dict[tuple[str, int], list[Note]] = {}
        for part, note in notes:
            found.setdefault((part, note.pitch), []).append(note)
        pitches = tuple(sorted(found))
        return cls(pitches, tuple(tuple(found[pitch]) for pitch in pitches))

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the parts, in order."""
        return tuple(sorted({part for part, _ in self.pitches}))

    @property
    def labels(self) -> NDArray[np.intp]:
        """The part of each template."""
        numbers = [self.parts.index(part) for part, _ in self.pitches]
        return np.repeat(np.array(numbers, np.intp), len(_ROLL_OFFS) + 1)

    def windows(self, times: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return whether each template may sound at times that ascend, shape (templates, times)."""
        found = np.zeros((len(self.pitches), len(_ROLL_OFFS) + 1, len(times)), bool)
        for rows, notes in zip(found, self.notes, strict=True):
            for note in notes:
                first = np.searchsorted(times, note.onset - _EARLY)
                rows[:-1, first : np.searchsorted(times, note.end + _LATE, "right")] = True
                rows[-1, first : np.searchsorted(times, note.onset + _STRIKE, "right")] = True
        return found.reshape(-1, len(times))


@dataclass(frozen=True)
class ScoreModel:
    """Notes found: which part of the mixture each explains.

    Attributes
    ----------
    plan : Plan or None
        None where the components' activations are those of all frames; else each block's are found when its
        turn comes.
    """

    stft: STFT
    sources: tuple[str, ...]
    components: Components
    exponent: float
    notes: tuple[str, ...]
    plan: Plan | None = None
    context: int = 0

    def separate(self, block: Spectrogram) -> dict[str, Spectrogram]:
        """Mask the block by what the notes of each part explain of it."""
        activations = self._activations(block)
        members = [self.components.labels == j for j in range(len(self.sources))]
        estimates: dict[str, Any] = {
            name: self.components.templates[:, m] @ activations[:, m]
            for name, m in zip(self.sources, members, strict=True)
        }
        return soft_masks(block, estimates, exponent=self.exponent)

    def _activations(self, block: Spectrogram) -> NDArray[Any]:
        """Return the activations in a block, (channels, components, frames): each frame by itself."""
        if self.plan is None:
            return self.components.activations[:, :, block.start : block.stop]
        found, V = self.components.factorization, block.magnitude.astype(np.float32)
        H = activate(
            np.ascontiguousarray(V.swapaxes(1, 2)).reshape(-1, V.shape[1]).T,
            found.W,
            divergence=found.divergence,
            allowed=np.tile(self.plan.windows(block.times), block.channels),
            iterations=_ACTIVATION_ITERATIONS,
            tolerance=0,
            level=1.0,
        ).H
        return H.reshape(len(H), block.channels, -1).swapaxes(0, 1)
