"""Separate by whichever way suits the mixture."""

from __future__ import annotations

from dataclasses import dataclass, field

from nmfaudio.errors import OptionError
from nmfaudio.models.contract import Model
from nmfaudio.models.wrappers import WithMessages
from nmfaudio.separators.auto.advice import Advice, Facts, advise, listen
from nmfaudio.separators.blind.separator import Blind
from nmfaudio.separators.drums.separator import Drums
from nmfaudio.separators.noise import Noise
from nmfaudio.separators.stereo.separator import Stereo
from nmfaudio.sound.blocks import Blocks

_SEEDED: dict[str, type[Blind] | type[Stereo]] = {"blind": Blind, "stereo": Stereo}


@dataclass(frozen=True)
class Auto:
    """Look at the mixture, choose `stereo`, `drums`, `noise` or `blind`, and say which and why.

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
        model, note = self._fitted(advice, facts, mixture), f"{advice.separator} was chosen: {advice.reason}"
        if advice.separator == "drums" and not self._enough(model):
            note = f"blind was chosen: of the drums that are known, only {', '.join(model.sources)} was found"
            model = self._seeded("blind").fit(mixture)
        return WithMessages(model, (note, *model.messages))

    def _fitted(self, advice: Advice, facts: Facts, mixture: Blocks) -> Model:
        """Fit it; places that are found already are not looked for again."""
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

    def _enough(self, model: Model) -> bool:
        """Whether as many stems were found as are wanted."""
        found = len(model.sources)
        return found == self.sources if self.sources else found > 1
