"""Separation of the parts of a recording by its score."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from nmfaudio.errors import OptionError
from nmfaudio.models.contract import Model
from nmfaudio.models.labelled import LabelledFactorization
from nmfaudio.models.options import option, window_option
from nmfaudio.nmf import Factorization, factorize
from nmfaudio.separators.regions.model import with_regions
from nmfaudio.separators.regions.options import RegionFileOptions
from nmfaudio.separators.score.agreement import AGREEING, agreement
from nmfaudio.separators.score.alignment import REACH_SECONDS, aligned
from nmfaudio.separators.score.model import ScoreModel, first_activations
from nmfaudio.separators.score.notes import Note, WrittenScore
from nmfaudio.separators.score.plan import Plan
from nmfaudio.separators.score.reading import read_score
from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.frames import LEARNED_VALUES, channel_frames, evenly_spaced_frames
from nmfaudio.sound.progress import Progress
from nmfaudio.sound.stft import STFT

_MOVED_SECONDS = 0.08  # a score that alignment moves by less counts as aligned already
_MIDDLE_C = 60


@dataclass(frozen=True)
class Score(RegionFileOptions):
    """Separate the parts of a score: a MIDI file says which note of which part may sound when.

    Each pitch of each part has harmonic templates, which may sound only around its notes, and one for the
    noise of its onsets. This suits music whose notes are known: the hands of a piano, or instruments with
    overlapping ranges.

    The score is aligned to the recording where that moves it by more than 80 ms (median). It may begin
    earlier or later than the recording as a whole, and be off by up to 20 s from there. Single notes may be
    written up to 350 ms late. Normally distributed errors of 100 ms cost 0.1 to 1 dB on most pieces. Notes
    that are not in the recording cost little, but a tenth of missing notes costs 3 to 13 dB: other notes get
    their sound. A warning appears where the notes explain little more of the recording than the same notes
    at other pitches, as those of another piece or in another key. A score that
    is an octave off is not recognised.

    Parameters
    ----------
    midi : str
        MIDI file, or table of notes (CSV) with the columns onset, end (seconds), pitch (60 is the middle C)
        and track.
    by : {"track", "instrument", "hand"}
        What becomes a stem: each track of the score, each instrument, or each hand (below the middle C, and
        from there up).
    merge_same_names : bool
        Whether tracks of the same name become one stem. Otherwise they are numbered.
    align : bool
        Whether to align the score to the recording.
    iterations : int
        Number of updates; with more, the model fits the mixture more closely and separates less.
    window : float
        Length of the analysis window in seconds; the nearest power of two of samples is used.
    mask_exponent : float
        Exponent of the masks; higher values separate more strongly.

    References
    ----------
    S. Ewert and M. Muller, "Using score-informed constraints for NMF-based source separation", ICASSP 2012.
    """

    needs_whole: ClassVar[bool] = True

    midi: str = option(
        help="MIDI file, or CSV file with the columns onset, end, pitch and track",
        flag="midi",
        metavar="FILE",
        selects=True,
        reads=True,
    )
    by: Literal["track", "instrument", "hand"] = option(
        "track", "what becomes a stem: track, instrument or hand", flag="by", metavar="track|instrument|hand"
    )
    merge_same_names: bool = option(
        False, "whether tracks of the same name become one stem", flag="merge-same-names"
    )
    align: bool = option(True, "whether to align the score to the recording", flag="align")
    iterations: int = option(
        16, "number of updates; with more, the model fits more closely and separates less", at_least=1
    )
    window: float = window_option(0.093)
    mask_exponent: float = option(
        1.5, "exponent of the masks; higher values separate more strongly", above=0, former_name="exponent"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.by not in ("track", "instrument", "hand"):
            raise OptionError(f"by={self.by!r}: use track, instrument or hand", option="by")
        self._read()

    def known_sources(self) -> tuple[str, ...]:
        """Return the parts of the score."""
        return self._plan(self._read().notes).parts

    def fit(self, mixture: Blocks) -> Model:
        """Fit templates of the notes to the mixture, and apply the regions."""
        return with_regions(self._fit(mixture), mixture, self.regions(), seed=0)

    def _fit(self, mixture: Blocks) -> ScoreModel:
        mixture = mixture.with_stft(STFT.lasting(self.window, mixture.sample_rate))
        score = self._read()
        notes, messages, warnings = self._aligned(score.notes, mixture)
        plan = self._plan(notes)
        learned = evenly_spaced_frames(mixture, LEARNED_VALUES)
        factorization = self._factorize(mixture, plan, learned)
        model = ScoreModel(
            mixture.stft,
            plan.parts,
            self.mask_exponent,
            LabelledFactorization(factorization, mixture.channels, plan.labels),
            (*self._single_part_message(plan), *messages, *score.messages),
            tuple(warnings),
        )
        if len(learned) == mixture.frames:
            return model
        learning = f"templates learned from {len(learned)} of {mixture.frames} frames, evenly spaced"
        return replace(model, messages=(*model.messages, learning), plan=plan)

    def _read(self) -> WrittenScore:
        return read_score(Path(self.midi), merge_same_names=self.merge_same_names)

    def _plan(self, notes: tuple[Note, ...]) -> Plan:
        return Plan.of((self._part(note), note) for note in notes)

    def _part(self, note: Note) -> str:
        if self.by == "hand":
            return "right" if note.pitch >= _MIDDLE_C else "left"
        return note.track if self.by == "track" else note.instrument

    def _single_part_message(self, plan: Plan) -> list[str]:
        if len(plan.parts) > 1:
            return []
        others = " or ".join(f"by={by!r}" for by in ("track", "instrument", "hand") if by != self.by)
        return [f"the score has only one part, {plan.parts[0]!r}, with by={self.by!r}; try {others}"]

    def _aligned(
        self, notes: tuple[Note, ...], mixture: Blocks
    ) -> tuple[tuple[Note, ...], list[str], list[str]]:
        """Return the notes at the times of the recording, messages and warnings."""
        if not self.align:
            return notes, ["score as written"], _agreement_warnings(agreement(notes, mixture))
        alignment = aligned(notes, mixture)
        warnings = _agreement_warnings(alignment.agreement)
        if alignment.failed:
            warning = (
                "the score could not be aligned to the recording: after a constant shift of all notes, times "
                f"may differ by at most {REACH_SECONDS:g} s; it was used as written. Is it the score of this "
                "recording, and of all of it?"
            )
            return notes, ["score as written"], [warning, *warnings]
        if alignment.distance > _MOVED_SECONDS:
            message = f"score moved by {alignment.distance:.2f} s (median) to fit the recording"
            return alignment.notes, [message], warnings
        return notes, ["score as written"], warnings

    def _factorize(self, mixture: Blocks, plan: Plan, learned: NDArray[np.intp]) -> Factorization:
        """Fit templates and activations to the frames of the mixture from which templates are learned."""
        V = channel_frames(mixture, 1, LEARNED_VALUES).T
        frequencies = mixture.stft.frequencies(mixture.sample_rate)
        W = plan.templates(frequencies)
        return factorize(
            V,
            W.shape[1],
            init=(W, first_activations(V, plan.windows(mixture.times[learned]))),
            iterations=self.iterations,
            tolerance=0,
            callback=lambda done, objective: mixture.report(
                Progress("fitting the score", done, self.iterations, objective)
            ),
        )


def _agreement_warnings(value: float) -> list[str]:
    """Return a warning where the agreement is too low for the score of the recording."""
    if value >= AGREEING:
        return []
    return [
        f"these notes hardly match the recording ({value:.1f}; usually 12 or more): check that it is the "
        "score of this recording, in its key, with all instruments"
    ]
