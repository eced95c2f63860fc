"""Separator that chooses another separator to suit the mixture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from nmfaudio.models.contract import Model
from nmfaudio.models.options import Options, option
from nmfaudio.models.wrappers import WithMessages
from nmfaudio.separators.auto.advice import Advice, Facts, advise, listen
from nmfaudio.separators.blind.separator import Blind
from nmfaudio.separators.drums.separator import Drums
from nmfaudio.separators.noise import Noise
from nmfaudio.separators.stereo.separator import Stereo
from nmfaudio.sound.blocks import Blocks

_SEEDED: dict[str, type[Blind] | type[Stereo]] = {"blind": Blind, "stereo": Stereo}


@dataclass(frozen=True)
class Auto(Options):
    """Choose `stereo`, `drums`, `noise` or `blind` to suit the mixture, and give the reason.

    The choice is the one that `nmfaudio advise` recommends. To override it, name a separator.

    Parameters
    ----------
    sources : int, optional
        Number of stems; by default chosen from the data.
    seed : int
        Seed of the random starts.
    """

    needs_whole: ClassVar[bool] = False

    sources: int | None = option(None, "number of stems; default: chosen from the data", at_least=1)
    seed: int = option(0, "seed of the random starts", at_least=0)

    def fit(self, mixture: Blocks) -> Model:
        """Choose a separator and fit it."""
        facts = listen(mixture, sources=self.sources)
        advice = advise(facts, sources=self.sources)
        model = self._fitted(advice, facts, mixture)
        message = f"{advice.separator} was chosen: {advice.reason}"
        if advice.separator == "drums" and not self._has_enough_stems(model):
            message = f"blind was chosen: the sound is percussive, but only {_listed(model.sources)} found"
            model = self._seeded("blind").fit(mixture)
        return WithMessages(model, (message, *model.messages))

    def _fitted(self, advice: Advice, facts: Facts, mixture: Blocks) -> Model:
        """Fit the recommended separator; panning positions are not measured again."""
        if advice.separator == "drums":
            return Drums().fit(mixture)
        if advice.separator == "noise":
            return Noise().fit(mixture)
        separator = self._seeded(advice.separator)
        if isinstance(separator, Stereo) and facts.panning is not None:
            return separator.separated_by(facts.panning, mixture)
        return separator.fit(mixture)

    def _seeded(self, name: str) -> Blind | Stereo:
        return _SEEDED[name](sources=self.sources, seed=self.seed)

    def _has_enough_stems(self, model: Model) -> bool:
        """Whether the model has as many stems as the user wants; more than one by default."""
        count = len(model.sources)
        return count == self.sources if self.sources else count > 1


def _listed(drums: tuple[str, ...]) -> str:
    return f"{' and '.join(drums)} {'was' if len(drums) == 1 else 'were'}"
