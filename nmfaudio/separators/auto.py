"""Separate by whichever way suits the mixture."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from nmfaudio.advice import Advice, Facts, advise, listen
from nmfaudio.errors import OptionError
from nmfaudio.separators.blind import Blind
from nmfaudio.separators.contract import Model
from nmfaudio.separators.stereo import Stereo
from nmfaudio.sound.stft import Blocks

_KINDS: dict[str, Any] = {"blind": Blind, "stereo": Stereo}


@dataclass(frozen=True)
class Auto:
    """Look at the mixture, choose a separator, and say which and why: `stereo`, or else `blind`.

    What `nmfaudio advise` says is what it does. To overrule it, name a separator.

    Parameters
    ----------
    sources : int, optional
        Stems to make; chosen from the data, if not given.
    seed : int
        Of everything random.
    """

    sources: int | None = field(
        default=None, metadata={"help": "stems to make; default: chosen from the data"}
    )
    seed: int = field(default=0, metadata={"help": "of everything random"})

    def __post_init__(self) -> None:
        if self.sources is not None and self.sources < 1:
            raise OptionError(f"sources={self.sources}: it must be at least 1")
        if self.seed < 0:
            raise OptionError(f"seed={self.seed}: it must not be negative")

    def fit(self, mixture: Blocks) -> Model:
        """Choose, and fit what was chosen."""
        facts = listen(mixture, sources=self.sources)
        advice = advise(facts, sources=self.sources)
        model = self._fitted(advice, facts, mixture)
        note = f"{advice.separator} was chosen: {advice.reason}"
        noted: Model = replace(model, notes=(note, *model.notes))
        return noted

    def _fitted(self, advice: Advice, facts: Facts, mixture: Blocks) -> Any:
        """Fit it; places that are found already are not looked for again."""
        separator = _KINDS[advice.separator](**advice.options, seed=self.seed)
        if isinstance(separator, Stereo) and facts.panning is not None:
            return separator.separated_by(facts.panning, mixture)
        return separator.fit(mixture)
