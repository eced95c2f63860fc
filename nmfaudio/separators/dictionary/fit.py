"""Computation of a model from the known sources, the hints and the mixture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nmfaudio.dictionaries.dictionary import Dictionary
from nmfaudio.dictionaries.labels import RESIDUAL
from nmfaudio.models.combination import Combination
from nmfaudio.models.contract import Model
from nmfaudio.models.spatially_filtered import with_spatial_filter
from nmfaudio.nmf import factorize
from nmfaudio.separators.dictionary import adaptation
from nmfaudio.separators.dictionary.diagnosis import diagnose
from nmfaudio.separators.dictionary.hints import Hints
from nmfaudio.separators.dictionary.places import find_places, name_places
from nmfaudio.separators.dictionary.templates import TemplateModel, TemplateSet
from nmfaudio.separators.dictionary.transposition import transposed
from nmfaudio.separators.stereo.separator import PannedModel
from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.frames import mean_frames
from nmfaudio.sound.progress import Progress
from nmfaudio.sound.stft import STFT

# Seconds: lengths of the windows whose stems are averaged where the number of free templates is given.
FREE_WINDOWS = (0.0929, 0.0464, 0.0116)
FREE_FRAMES = 4096  # largest number of frames, evenly spaced, from which free templates are learned
_TRANSPOSED_WEIGHT = 0.5  # weight of masks with transposed templates: worse where all notes were learned
_TRANSPOSED_UPDATE_DIVISOR = 2  # masks with transposed templates need this many times fewer updates
_COST_PER_SEMITONE = 0.1  # nepers: transposed templates are attenuated, so they need more activation


class FitOptions(Protocol):
    """The options of `FromDictionary` that the computation needs."""

    @property
    def transpose(self) -> int:
        """Number of semitones by which templates can move."""

    @property
    def stereo(self) -> bool:
        """Whether to use the positions of the sources in several channels."""

    @property
    def adapt(self) -> str:
        """Adaptation of the templates to the mixture."""

    @property
    def mask_exponent(self) -> float:
        """Exponent of the masks."""

    @property
    def iterations(self) -> int:
        """Number of updates of the activations."""

    @property
    def free_iterations(self) -> int:
        """Number of updates of the free templates."""

    @property
    def seed(self) -> int:
        """Seed of the random start of the free templates."""


@dataclass(frozen=True)
class DictionaryFit:
    """Computation of a model from the options, the known sources, the hints and the mixture."""

    options: FitOptions
    known: Dictionary
    hints: Hints
    mixture: Blocks

    def known_sources_only(self) -> Model:
        """Return a model of the known sources."""
        if places := self._places(len(self.known.sources)):
            return self._by_place(places, self._known_model(places.stft))
        seconds = self.known.stft.win_length / self.known.sample_rate
        model = self._with_diagnosis(self._known_model(STFT.lasting(seconds, self.mixture.sample_rate)))
        return self.spatially_filtered(model)

    def by_place_with_rest(self, number: int) -> Model | None:
        """Return a model by pan position, where the known sources and the rest have their own positions.

        Parameters
        ----------
        number : int
            Number of free templates of the model that names the positions.
        """
        places = self._places(len(self.known.sources) + 1)
        if places is None:
            return None
        return self._by_place(places, self.free_model(places.stft, (number,), "learning free templates"))

    def with_free_templates(self, number: int) -> Model:
        """Return a model with a given number of free templates, averaged over several windows."""
        if (by_place := self.by_place_with_rest(number)) is not None:
            return by_place
        models: list[Model] = []
        for window, seconds in enumerate(FREE_WINDOWS):
            stage = f"learning free templates, window {window + 1} of {len(FREE_WINDOWS)}"
            model = self.free_model(STFT.lasting(seconds, self.mixture.sample_rate), (number,), stage)
            model = model if window else self._with_diagnosis(model)
            models.append(self.spatially_filtered(model))
        first = models[0]
        return Combination(tuple(models), first.messages, first.warnings)

    def spatially_filtered(self, model: Model) -> Model:
        """Return the model with a Wiener filter across channels where it helps and the options allow it."""
        return with_spatial_filter(model, self.mixture) if self.options.stereo else model

    def _places(self, sources: int) -> PannedModel | None:
        return find_places(self.mixture, sources, self.options.seed) if self.options.stereo else None

    def _by_place(self, places: PannedModel, named: TemplateModel) -> Model:
        return name_places(places, named, self.mixture, self.hints.pans)

    def _with_diagnosis(self, model: TemplateModel) -> TemplateModel:
        """Add messages and warnings about how well a model fits the mixture."""
        converted = self.known.to_settings(self.mixture.sample_rate, model.stft)
        messages, warnings = diagnose(model, converted, self.mixture)
        return replace(model, messages=(*messages, *model.messages), warnings=warnings)

    def _known_model(self, stft: STFT) -> TemplateModel:
        """Return a model with these STFT settings that averages masks with and without transposition."""
        dictionary, messages = self._adapted(self.known.to_settings(self.mixture.sample_rate, stft))
        iterations = self.options.iterations
        template_sets = [TemplateSet.of(_by_source(dictionary), iterations)]
        if self.options.transpose:
            groups = self._groups(dictionary, with_transposed=True)
            fewer = max(1, iterations // _TRANSPOSED_UPDATE_DIVISOR)
            template_sets.append(TemplateSet.of(groups, fewer, _TRANSPOSED_WEIGHT))
        return replace(self._model(dictionary, dictionary.sources, *template_sets), messages=messages)

    def _with_transposed(self, dictionary: Dictionary, source: str) -> NDArray[Any]:
        """Return the templates of a source, followed by attenuated transposed copies."""
        members, reach = dictionary.members[source], self.options.transpose
        templates, pitches = dictionary.templates[:, members], dictionary.pitches[members]
        copies = [templates]
        for move in (move for move in range(-reach, reach + 1) if move):
            fits = self.hints.in_range(source, pitches * 2 ** (move / 12))
            copies.append(np.exp(-_COST_PER_SEMITONE * abs(move)) * transposed(templates[:, fits], move))
        return np.hstack(copies)

    def free_model(
        self,
        stft: STFT,
        numbers: Sequence[int],
        stage: str,
        *,
        known_alone: bool = False,
        with_transposed: bool = False,
    ) -> TemplateModel:
        """Return a model with one template set for each number of free templates.

        Parameters
        ----------
        stft : STFT
        numbers : sequence of int
            Numbers of free templates, which are learned from the mixture beside the known ones.
        stage : str
            Name of the stage in reports of progress.
        known_alone : bool
            Whether a last template set has no free templates; the rest then gets what the known ones leave.
        with_transposed : bool
            Whether the known sources also have transposed copies of their templates.
        """
        converted = self.known.to_settings(self.mixture.sample_rate, stft)
        free = self._learn_free(converted, numbers, stage, with_transposed=with_transposed)
        dictionary, messages = self._adapted(converted, free[-1])
        known, iterations = self._groups(dictionary, with_transposed), self.options.iterations
        sets = [TemplateSet.of([*known, each], iterations) for each in free]
        if known_alone:
            sets.append(TemplateSet.of([*known, free[-1][:, :0]], iterations, leaves_rest=True))
        model = self._model(dictionary, (*dictionary.sources, RESIDUAL), *sets)
        return replace(model, messages=messages)

    def _groups(self, dictionary: Dictionary, with_transposed: bool) -> list[NDArray[Any]]:
        """Return the templates of each source, with or without transposed copies."""
        if with_transposed:
            return [self._with_transposed(dictionary, source) for source in dictionary.sources]
        return _by_source(dictionary)

    def _learn_free(
        self, dictionary: Dictionary, numbers: Sequence[int], stage: str, *, with_transposed: bool
    ) -> list[NDArray[Any]]:
        """Return free templates for each number of them, shape (bins, number)."""
        V, times = mean_frames(
            self.mixture.with_stft(dictionary.stft), dictionary.magnitude_power, FREE_FRAMES
        )
        groups = self._groups(dictionary, with_transposed)
        frozen, iterations = np.hstack(groups), self.options.free_iterations
        sources = np.repeat(np.arange(len(groups)), [group.shape[1] for group in groups])
        known, total = len(sources), iterations * len(numbers)
        learned = []
        for position, number in enumerate(numbers):
            factorization = factorize(
                V,
                known + number,
                divergence=dictionary.beta,
                frozen=frozen,
                allowed=(None, self._allowed(dictionary, sources, times, number)),
                seed=self.options.seed,
                iterations=iterations,
                tolerance=0,
                callback=self._reporter(stage, position * iterations, total),
            )
            learned.append(factorization.W[:, known:])
        return learned

    def _reporter(self, stage: str, before: int, total: int) -> Callable[[int, float], None]:
        """Return a function that reports the updates of a factorization that follows `before` others."""
        return lambda done, objective: self.mixture.report(Progress(stage, before + done, total, objective))

    def _adapted(
        self, dictionary: Dictionary, free: NDArray[Any] | None = None
    ) -> tuple[Dictionary, tuple[str, ...]]:
        """Return the dictionary after the adaptation that the options name, and messages about it."""
        if self.options.adapt == "none":
            return dictionary, ()
        V, times = mean_frames(
            self.mixture.with_stft(dictionary.stft), dictionary.magnitude_power, adaptation.FRAMES
        )
        names = dictionary.sources
        sources = np.array([names.index(label) for label in dictionary.labels])
        allowed = self._allowed(dictionary, sources, times, 0 if free is None else free.shape[1])
        return adaptation.adapted(dictionary, V, self.options.adapt, free=free, allowed=allowed)

    def _allowed(
        self, dictionary: Dictionary, sources: NDArray[np.intp], times: NDArray[np.float64], free: int
    ) -> NDArray[np.bool_] | None:
        """Return when each template may sound, the free ones last, shape (components, times).

        `sources` holds the number of the source of each known template.
        """
        allowed = self.hints.allowed((*dictionary.sources, RESIDUAL), times)
        if allowed is None:
            return None
        return allowed[[*sources, *[len(dictionary.sources)] * free]]

    def _model(
        self, dictionary: Dictionary, sources: tuple[str, ...], *template_sets: TemplateSet
    ) -> TemplateModel:
        return TemplateModel(
            dictionary.stft,
            sources,
            template_sets,
            mask_exponent=self.options.mask_exponent,
            magnitude_power=dictionary.magnitude_power,
            beta=dictionary.beta,
            hints=self.hints,
        )


def _by_source(dictionary: Dictionary) -> list[NDArray[Any]]:
    """Return the templates of each source."""
    return [dictionary.templates[:, members] for members in dictionary.members.values()]
