"""Any model, the phases of its stems refined."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from nmfaudio.errors import OptionError
from nmfaudio.models.combination import Combination
from nmfaudio.models.contract import ModelWrapper
from nmfaudio.models.phase import frames_reached, invert_together
from nmfaudio.sound.spectrogram import Spectrogram

MOST_ROUNDS = 20


@dataclass(frozen=True)
class Phased(ModelWrapper):
    """A model whose stems get phases that agree from frame to frame.

    Attributes
    ----------
    model : Model
        What it tells of itself, this one tells too.
    rounds : int
    """

    rounds: int

    @property
    def context(self) -> int:
        """That of the model, and the frames that bear on others through their overlap."""
        return self.model.context + frames_reached(self.stft, self.rounds)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "model":  # such as copying asks for, before there is a model
            raise AttributeError(name)
        return getattr(self.model, name)

    def separate(self, block: Spectrogram) -> dict[str, Spectrogram]:
        """Refine what the model gives."""
        return invert_together(block, self.model.separate(block), self.rounds)


def with_phases(model: Any, rounds: int) -> Any:
    """Return a model, or each model of a combination, with so many rounds of refined phases.

    Raises
    ------
    OptionError
        For a number of rounds outside its range.
    """
    check_rounds(rounds)
    if not rounds:
        return model
    if isinstance(model, Combination):
        return replace(model, models=tuple(Phased(one, rounds) for one in model.models))
    return Phased(model, rounds)


def check_rounds(rounds: int) -> None:
    """Raise OptionError for a number of rounds outside its range."""
    if not 0 <= rounds <= MOST_ROUNDS:
        raise OptionError(f"phase_rounds={rounds}: use 0 to {MOST_ROUNDS}; more gain nothing")
