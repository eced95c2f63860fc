"""Separator that chooses another separator to suit the mixture."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from nmfaudio.models.contract import Model
from nmfaudio.models.options import Options, option
from nmfaudio.models.spatially_filtered import with_spatial_filter
from nmfaudio.models.wrappers import WithMessages
from nmfaudio.separators.auto.advice import Advice, Facts, advise, listen
from nmfaudio.separators.blind.model import BlindModel
from nmfaudio.separators.blind.search import DEFAULT_COMPONENTS
from nmfaudio.separators.blind.separator import Blind
from nmfaudio.separators.blind.single_sounds import are_single_sounds
from nmfaudio.separators.drums.separator import Drums
from nmfaudio.separators.guided.drums_first import song_model
from nmfaudio.separators.guided.grouping import Guide, guided_model
from nmfaudio.separators.guided.likeness import agreement
from nmfaudio.separators.harmonic_percussive import PERCUSSIVE, HarmonicPercussive
from nmfaudio.separators.noise import Noise
from nmfaudio.separators.stereo.separator import Stereo, suits_lone_source
from nmfaudio.sound.blocks import Blocks

# Agreement of guided stems with those by timbre from which timbre is kept: it is at least as good there.
SAME_STEMS = 0.88

_SEEDED: dict[str, type[Blind] | type[Stereo]] = {"blind": Blind, "stereo": Stereo}


@dataclass(frozen=True)
class Auto(Options):
    """Choose `stereo`, `drums`, `noise` or `blind` to suit the mixture, and give the reason.

    The choice is the one that `nmfaudio advise` recommends. To override it, name a separator. Where the
    sources of several channels have different positions, a Wiener filter across the channels refines the
    stems of `drums` and `blind`; those of `blind` are the means of filtered and unfiltered ones.

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
        facts = listen(mixture)
        advice = advise(facts, sources=self.sources)
        if advice.guide is not None and self.sources is not None:
            model, guided = self._guided(advice.guide, self.sources, mixture)
            advice = advise(facts, sources=self.sources, guided=guided)
        else:
            model = self._fitted(advice, facts, mixture)
        message = f"{advice.separator} was chosen: {advice.reason}"
        if advice.separator == "drums" and not self._has_enough_stems(model):
            message = f"blind was chosen: the sound is percussive, but only {_listed(model.sources)} found"
            model = _filtered(self._seeded("blind").fit(mixture), mixture)
        return WithMessages(model, (message, *model.messages))

    def _fitted(self, advice: Advice, facts: Facts, mixture: Blocks) -> Model:
        """Fit the recommended separator; panning positions are not measured again."""
        if advice.separator == "drums":
            return with_spatial_filter(Drums().fit(mixture), mixture)
        if advice.separator == "noise":
            return Noise(seed=self.seed).fit(mixture)
        separator = self._seeded(advice.separator)
        if isinstance(separator, Stereo) and facts.panning is not None:
            if suits_lone_source(facts.panning, self.sources):
                return separator.lone_source_by(facts.panning, mixture)
            return separator.separated_by(facts.panning, mixture)
        return _filtered(separator.fit(mixture), mixture)

    def _guided(self, guide: str, sources: int, mixture: Blocks) -> tuple[Model, bool]:
        """Return a model of components that a guide groups, or of `blind` where the guide would not help.

        The second value says whether the guide decides.
        """
        blind = Blind(sources=sources, seed=self.seed)
        search = blind.search(mixture)
        if are_single_sounds(search, sources, DEFAULT_COMPONENTS):
            return _filtered(blind.model_of_single_sounds(search, sources), mixture), False
        if guide == "drums":
            return song_model(search, sources), True
        masks = HarmonicPercussive(window=blind.window).fit(mixture)
        model = guided_model(Guide(masks, PERCUSSIVE), search)
        by_timbre = blind.model_of_groups(search)
        if agreement(model.model, _not_sharpened(by_timbre), search.mixture) >= SAME_STEMS:
            return _filtered(by_timbre, mixture), False
        return _filtered(model, mixture), True

    def _seeded(self, name: str) -> Blind | Stereo:
        return _SEEDED[name](sources=self.sources, seed=self.seed)

    def _has_enough_stems(self, model: Model) -> bool:
        """Whether the model has as many stems as the user wants; more than one by default."""
        count = len(model.sources)
        return count == self.sources if self.sources else count > 1


def _filtered(model: Model, mixture: Blocks) -> Model:
    """Return a model of grouped components with a Wiener filter across the channels, where it helps.

    The filter separates more strongly, too. With masks that are sharpened before it, some stems lost 0.7 dB.
    """
    softer = _not_sharpened(model)
    filtered = with_spatial_filter(softer, mixture, rough=True)
    return model if filtered is softer else filtered


def _not_sharpened(model: Model) -> Model:
    """Return the model with the mean of the masks of its groupings as it is."""
    return replace(model, mean_exponent=1.0) if isinstance(model, BlindModel) else model


def _listed(drums: tuple[str, ...]) -> str:
    return f"{' and '.join(drums)} {'was' if len(drums) == 1 else 'were'}"
