"""Separation of the parts of a recording by its score."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from nmfaudio.dictionaries.pitch import note_name
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
from nmfaudio.separators.score.timbre import Timbre, mean_timbres, with_mean_timbres
from nmfaudio.separators.score.unwritten import unwritten_notes
from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.frames import LEARNED_VALUES, channel_frames, evenly_spaced_frames
from nmfaudio.sound.progress import Progress
from nmfaudio.sound.stft import STFT

_MOVED_SECONDS = 0.08  # a score that alignment moves by less counts as aligned already
_MIDDLE_C = 60
_NAMED_NOTES = 3  # number of added notes that a message names


@dataclass(frozen=True)
class Score(RegionFileOptions):
    """Separate the parts of a score: a MIDI file says which note of which part may sound when.

    Each pitch of each part has harmonic templates, which may sound only around its notes, and one for the
    noise of its onsets. This suits music whose notes are known: the hands of a piano, or instruments with
    overlapping ranges.

    The score is aligned to the recording where that moves it by more than 80 ms (median). It may begin
    earlier or later than the recording as a whole, and be off by up to 20 s from there. Single notes may be
    written up to 350 ms late. Normally distributed errors of 100 ms cost 0.1 to 1 dB on most pieces. Notes
    that are not in the recording cost little. Notes that the score lacks are added where they stand out; the
    sound of the others goes to other notes. A warning appears where the notes explain little more of the
    recording than the same notes at other pitches, as those of another piece or in another key. A score that
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
    add_notes : bool
        Whether to add notes that sound in the recording and are not in the score. They get the part that
        plays such pitches nearby and sounds like them. Where few are found, none are added.
    iterations : int
        Number of updates of each of two fits: the first one finds the timbres of the parts, the second one
        starts from them. With more, the model fits the mixture more closely and separates less.
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
    add_notes: bool = option(
        True, "whether to add notes that the recording has and the score lacks", flag="add-notes"
    )
    iterations: int = option(
        8,
        "number of updates of each of two fits; with more, the model fits more closely and separates less",
        at_least=1,
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
        learned = evenly_spaced_frames(mixture, LEARNED_VALUES)
        plan, factorization, added = self._fitted_notes(notes, mixture, learned)
        model = ScoreModel(
            mixture.stft,
            plan.parts,
            self.mask_exponent,
            LabelledFactorization(factorization, mixture.channels, plan.labels),
            (*self._single_part_message(plan), *messages, *added, *score.messages),
            tuple(warnings),
        )
        if len(learned) == mixture.frames:
            return model
        learning = f"templates learned from {len(learned)} of {mixture.frames} frames, evenly spaced"
        return replace(model, messages=(*model.messages, learning), plan=plan)

    def _read(self) -> WrittenScore:
        return read_score(Path(self.midi), merge_same_names=self.merge_same_names)

    def _fitted_notes(
        self, notes: tuple[Note, ...], mixture: Blocks, learned: NDArray[np.intp]
    ) -> tuple[Plan, Factorization, list[str]]:
        """Fit the notes, then again with the timbres found and with notes that the score lacks.

        Returns
        -------
        Plan
        Factorization
        list of str
            Messages about notes that were added.
        """
        plan = self._plan(notes)
        V = channel_frames(mixture, 1, LEARNED_VALUES).T
        frequencies = mixture.stft.frequencies(mixture.sample_rate)
        first = self._factorize(V, plan.templates(frequencies), plan, mixture, learned)
        timbres = mean_timbres(plan, first, frequencies)
        added = self._unwritten(notes, plan, first, timbres, mixture)
        plan = Plan.of([*((self._part(note), note) for note in notes), *added])
        W = with_mean_timbres(plan.templates(frequencies), plan, timbres)
        second = self._factorize(V, W, plan, mixture, learned)
        return plan, second, [_added_message(added)] if added else []

    def _unwritten(
        self,
        notes: tuple[Note, ...],
        plan: Plan,
        fitted: Factorization,
        timbres: dict[str, Timbre],
        mixture: Blocks,
    ) -> tuple[tuple[str, Note], ...]:
        """Return the notes that the score lacks, each with its part, if they are asked for."""
        if not self.add_notes:
            return ()
        in_parts = [(self._part(note), note) for note in notes]
        found = unwritten_notes(in_parts, plan, fitted, timbres, mixture)
        return tuple((self._part(note), note) for _, note in found) if self.by == "hand" else found

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

    def _factorize(
        self,
        V: NDArray[np.float32],
        W: NDArray[np.float64],
        plan: Plan,
        mixture: Blocks,
        learned: NDArray[np.intp],
    ) -> Factorization:
        """Fit templates that start as W, and their activations, to V: frames of the mixture."""
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


def _added_message(added: tuple[tuple[str, Note], ...]) -> str:
    """Return a message that counts the added notes and names the first ones."""
    first = sorted(added, key=lambda one: one[1].onset)[:_NAMED_NOTES]
    named = [f"{note_name(note.frequency)} at {note.onset:.1f} s ({part})" for part, note in first]
    more = ", ..." if len(added) > len(first) else ""
    notes = "note that the score lacks was" if len(added) == 1 else "notes that the score lacks were"
    return f"{len(added)} {notes} added: {', '.join(named)}{more} (add_notes=False uses the score alone)"
