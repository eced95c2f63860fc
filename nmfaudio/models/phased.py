"""Models that refine the phases of another model's stems."""

from __future__ import annotations

from dataclasses import dataclass

from nmfaudio.errors import OptionError
from nmfaudio.models.contract import Model
from nmfaudio.models.phase import frames_reached, invert_together
from nmfaudio.models.wrappers import ModelWrapper
from nmfaudio.sound.spectrogram import Spectrogram

MOST_ROUNDS = 20  # each round needs more context, and later rounds change little


@dataclass(frozen=True)
class Phased(ModelWrapper):
    """A model that gives the stems of another model phases that are consistent from frame to frame.

    Attributes
    ----------
    model : Model
    rounds : int
        Number of rounds of refinement.
    """

    rounds: int

    @property
    def context(self) -> int:
        """Frames that the other model needs, plus those that the refinement reaches through overlaps."""
        return self.model.context + frames_reached(self.stft, self.rounds)

    def separate(self, block: Spectrogram) -> dict[str, Spectrogram]:
        """Refine the stems of the other model."""
        return invert_together(block, self.model.separate(block), self.rounds)


def with_phases(model: Model, rounds: int) -> Model:
    """Return a model with phases refined in `rounds` rounds; for 0 rounds, the model itself.

    Raises
    ------
    OptionError
        When the number of rounds is outside its range.
    """
    check_rounds(rounds)
    return Phased(model, rounds) if rounds else model


def check_rounds(rounds: int) -> None:
    """Raise OptionError when the number of rounds is outside its range."""
    if not 0 <= rounds <= MOST_ROUNDS:
        raise OptionError(f"phase_rounds={rounds}: use 0 to {MOST_ROUNDS}", option="phase_rounds")
