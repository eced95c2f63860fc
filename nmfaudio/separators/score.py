"""Take a recording apart by its score."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from nmfaudio.alignment import aligned
from nmfaudio.errors import OptionError
from nmfaudio.masking import soft_masks
from nmfaudio.nmf import Factorization, factorize
from nmfaudio.notes import Note, read_notes
from nmfaudio.separators.blind import collect
from nmfaudio.separators.contract import Components
from nmfaudio.sound.stft import STFT, Blocks, Progress, Spectrogram

_HARMONICS = 25
_WIDTH = 0.5  # semitones either side of a harmonic that a template may fill
_EARLY, _LATE = 0.12, 0.5  # seconds before an onset, and after an end, in which a note may sound
_STRIKE = 0.2  # seconds after an onset in which its noise may sound
_ROLL_OFFS = (1.0, 2.0)  # powers of 1/h: a bright and a dull template for each pitch
_MOVED = 0.08  # seconds: a score that alignment moves by less is taken as aligned already
_MIDDLE_C = 60


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
        pitches = sorted({(self._part(note), note.pitch) for note in notes})
        found = self._factorize(mixture, notes, pitches)
        parts = tuple(sorted({part for part, _ in pitches}))
        labels = np.array([parts.index(part) for part, _ in pitches for _ in range(len(_ROLL_OFFS) + 1)])
        components = Components(found, mixture.channels, labels.astype(np.intp))
        return ScoreModel(mixture.stft, parts, components, self.exponent, (told,))

    def _part(self, note: Note) -> str:
        if self.by == "hand":
            return "right" if note.pitch >= _MIDDLE_C else "left"
        return note.track if self.by == "track" else note.instrument

    def _factorize(
        self, mixture: Blocks, notes: tuple[Note, ...], pitches: list[tuple[str, int]]
    ) -> Factorization:
        V = collect(mixture, 1).T
        spectra = [_templates(p, mixture.stft.frequencies(mixture.sample_rate)) for _, p in pitches]
        times = mixture.block(0, 1).times[0] + np.arange(mixture.frames) * (
            mixture.stft.hop_length / mixture.sample_rate
        )
        windows = [_windows([n for n in notes if (self._part(n), n.pitch) == p], times) for p in pitches]
        W, sounding = np.hstack(spectra), np.tile(np.vstack(windows), mixture.channels)
        level = V.sum(axis=0, dtype=np.float64)
        return factorize(
            V,
            W.shape[1],
            init=(W / W.sum(axis=0), sounding * level / np.maximum(sounding.sum(axis=0), 1)),
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


def _windows(notes: list[Note], times: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return when the templates of a pitch may sound, shape (templates, frames)."""
    sounds, strikes = np.zeros(len(times), bool), np.zeros(len(times), bool)
    for note in notes:
        begun = times >= note.onset - _EARLY
        sounds |= begun & (times <= note.end + _LATE)
        strikes |= begun & (times <= note.onset + _STRIKE)
    return np.stack([*(sounds for _ in _ROLL_OFFS), strikes])


@dataclass(frozen=True)
class ScoreModel:
    """Notes found: which part of the mixture each explains."""

    stft: STFT
    sources: tuple[str, ...]
    components: Components
    exponent: float
    notes: tuple[str, ...]
    context: int = 0

    def separate(self, block: Spectrogram) -> dict[str, Spectrogram]:
        """Mask the block by what the notes of each part explain of it."""
        activations = self.components.activations[:, :, block.start : block.stop]
        members = [self.components.labels == j for j in range(len(self.sources))]
        estimates: dict[str, Any] = {
            name: self.components.templates[:, m] @ activations[:, m]
            for name, m in zip(self.sources, members, strict=True)
        }
        return soft_masks(block, estimates, exponent=self.exponent)
