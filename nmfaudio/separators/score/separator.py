"""Take a recording apart by its score."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from nmfaudio.dictionaries.pitch import harmonic_numbers
from nmfaudio.errors import OptionError
from nmfaudio.models.contract import Components, Model
from nmfaudio.models.masks import soft_masks
from nmfaudio.nmf import Factorization, factorize
from nmfaudio.separators.score.agreement import agreement
from nmfaudio.separators.score.alignment import aligned
from nmfaudio.separators.score.notes import Note, read_notes
from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.frames import LEARNED_VALUES, channel_frames, evenly_spaced_frames
from nmfaudio.sound.progress import Progress
from nmfaudio.sound.spectrogram import Spectrogram
from nmfaudio.sound.stft import STFT

_EARLY, _LATE = 0.12, 0.5  # seconds before an onset, and after an end, in which a note may sound
# Earlier still, activations start lower the further they are from the onset, and so rise where little else
# explains the recording: a score with exact onsets loses next to nothing, and notes written late keep theirs.
_FADE = 0.025  # seconds in which starts fall to 1 / e
_EARLIEST, _EARLIEST_STRIKE = 0.35, 0.2  # seconds before an onset: nothing sounds before
_STRIKE = 0.2  # seconds after an onset in which its noise may sound
_ROLL_OFFS = (1.0, 2.0)  # powers of 1/h: a bright and a dull template for each pitch
_MOVED = 0.08  # seconds: a score that alignment moves by less is taken as aligned already
_MIDDLE_C = 60
_AGREEING = (
    6.0  # where notes agree less a warning says so: 50 right scores had 12 and more, 110 wrong ones up to 5
)
_ACTIVATION_ITERATIONS = 10  # of a block's frames in a long recording: more separate no better


@dataclass(frozen=True)
class Score:
    """Take parts of a score apart: a MIDI file tells which note of which part may sound when.

    Each pitch of each part gets harmonic templates, which may sound around its notes alone, and one for the
    noise of its onsets. For music whose notes you have: piano hands, instruments that overlap in range.

    The score may be off by half a second: it is aligned to the recording where that moves it by more than 80
    ms. Each note may be off on its own as well: one that is written late is found up to 350 ms before, though
    less willingly the further from its onset. Normal jitter of 100 ms costs 0.1 to 1 dB on most pieces.
    Notes too many cost little, but a tenth missing costs 3 to 13 dB: what those play goes to others.
    A warning says where the notes explain little more of the recording than they would at other pitches, as
    those of another piece or in another key do; a score that is an octave off can pass.

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
    mask_exponent : float
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
    mask_exponent: float = field(default=1.5, metadata={"help": "of the masks: higher ones separate harder"})

    def __post_init__(self) -> None:
        if self.by not in ("track", "instrument", "hand"):
            raise OptionError(f"by={self.by!r}: use track, instrument or hand")
        if self.iterations < 1:
            raise OptionError(f"iterations={self.iterations}: it must be at least 1")
        for name in ("window", "mask_exponent"):
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
        learned = evenly_spaced_frames(mixture, LEARNED_VALUES)
        components = Components(self._factorize(mixture, plan, learned), mixture.channels, plan.labels)
        model = ScoreModel(
            mixture.stft, plan.parts, components, self.mask_exponent, (told,), _doubts(notes, mixture)
        )
        if len(learned) == mixture.frames:
            return model
        said = f"templates learned from {len(learned)} of {mixture.frames} frames, evenly spread"
        return replace(model, messages=(told, said), plan=plan)

    def _part(self, note: Note) -> str:
        if self.by == "hand":
            return "right" if note.pitch >= _MIDDLE_C else "left"
        return note.track if self.by == "track" else note.instrument

    def _factorize(self, mixture: Blocks, plan: Plan, learned: NDArray[np.intp]) -> Factorization:
        """Let templates follow those frames of the mixture that are learned from."""
        V = channel_frames(mixture, 1, LEARNED_VALUES).T
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


def _doubts(notes: tuple[Note, ...], mixture: Blocks) -> tuple[str, ...]:
    """Return a warning where the score does not seem to be that of the recording."""
    found = agreement(notes, mixture)
    if found >= _AGREEING:
        return ()
    return (
        f"the notes explain {found:.1f} times as much of the recording as they would at other pitches, where "
        "12 and more is usual: is it the score of this recording, in its key, with all that plays?",
    )


def _templates(pitch: int, frequencies: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return where the templates of a pitch start: harmonics, and noise; shape (bins, templates)."""
    number = harmonic_numbers(440.0 * 2 ** ((pitch - 69) / 12), frequencies)
    combs = [np.where(number > 0, np.maximum(number, 1) ** -power, 0.0) for power in _ROLL_OFFS]
    return np.stack([*combs, np.ones(len(number))], axis=1)


def _started(V: NDArray[np.float32], windows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return activations that share the level of each frame among all that may sound.

    V has the shape (bins, channels * frames); the windows, (templates, frames), are those of each channel.
    """
    level = V.sum(axis=0, dtype=np.float64).reshape(-1, windows.shape[1])
    share = level / np.maximum(windows.sum(axis=0), 1)  # at least 1: low starts stay low where they are alone
    H = np.empty((len(windows), *level.shape), np.float32)
    for row, window in zip(H, windows, strict=True):
        np.multiply(share, window, out=row, casting="same_kind")
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

    def windows(self, times: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return how likely each template sounds at times that ascend, 0 to 1, shape (templates, times)."""
        found = np.zeros((len(self.pitches), len(_ROLL_OFFS) + 1, len(times)), np.float32)
        for rows, notes in zip(found, self.notes, strict=True):
            for note in notes:
                if note.end + _LATE < times[0] or note.onset - _EARLIEST > times[-1]:
                    continue  # most notes of an hour are not those of a block
                _let_sound(rows[:-1], times, note.onset, _EARLIEST, note.end + _LATE)
                _let_sound(rows[-1:], times, note.onset, _EARLIEST_STRIKE, note.onset + _STRIKE)
        return found.reshape(-1, len(times))


def _let_sound(
    rows: NDArray[np.float32], times: NDArray[np.float64], onset: float, earliest: float, until: float
) -> None:
    """Raise rows to how likely a note sounds: in full from just before its onset, less before that."""
    inside = slice(np.searchsorted(times, onset - earliest), np.searchsorted(times, until, "right"))
    likely = np.exp(np.minimum(0, (times[inside] - onset + _EARLY) / _FADE))
    np.maximum(rows[:, inside], likely, out=rows[:, inside], casting="same_kind")


@dataclass(frozen=True)
class ScoreModel(Model):
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
    mask_exponent: float
    messages: tuple[str, ...]
    warnings: tuple[str, ...] = ()
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
        return soft_masks(block, estimates, mask_exponent=self.mask_exponent)

    def _activations(self, block: Spectrogram) -> NDArray[Any]:
        """Return the activations in a block, (channels, components, frames): each frame by itself."""
        if self.plan is None:
            return self.components.activations[:, :, block.start : block.stop]
        found, V = self.components.factorization, block.magnitude.astype(np.float32)
        stacked = np.ascontiguousarray(V.swapaxes(1, 2)).reshape(-1, V.shape[1]).T
        H = factorize(
            stacked,
            found.rank,
            init=(found.W, _started(stacked, self.plan.windows(block.times))),
            frozen=found.W,
            solver="mu",  # extrapolation would take frames together
            iterations=_ACTIVATION_ITERATIONS,
            tolerance=0,
        ).H
        return H.reshape(len(H), block.channels, -1).swapaxes(0, 1)
