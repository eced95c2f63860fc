"""Separate by what was learned of the sources beforehand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nmfaudio.dictionaries.dictionary import Dictionary
from nmfaudio.dictionaries.labels import RESIDUAL
from nmfaudio.errors import OptionError
from nmfaudio.models.combination import Combination
from nmfaudio.models.contract import Model
from nmfaudio.models.selection import check_selection, select
from nmfaudio.models.wrappers import WithMessages
from nmfaudio.nmf import factorize
from nmfaudio.separators.dictionary import adaptation
from nmfaudio.separators.dictionary.diagnosis import diagnose
from nmfaudio.separators.dictionary.hinted import learn_solos, told_silences, within_ranges
from nmfaudio.separators.dictionary.hints import Hints, read_hints
from nmfaudio.separators.dictionary.placed import find_places, name_places, refined
from nmfaudio.separators.dictionary.templates import TemplateModel, TemplateSet
from nmfaudio.separators.stereo.separator import PannedModel
from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.frames import mean_frames
from nmfaudio.sound.progress import Progress
from nmfaudio.sound.stft import STFT

# Seconds of the windows whose stems are averaged where part of the sources is unknown.
FREE_WINDOWS = (0.0929, 0.0464, 0.0116)
FREE_FRAMES = 4096  # from which free templates are learned, spread over the mixture
_TRANSPOSED_WEIGHT = 0.5  # of masks with transposed templates, which may lose where notes are covered already
_TRANSPOSED_HASTE = 2  # the updates are that many times fewer there, which separates as well
_COST = 0.1  # nepers of activation for each semitone of transposition


@dataclass(frozen=True)
class FromDictionary:
    """Separate by templates that were learned of the sources beforehand, and free ones for what is unknown.

    Parameters
    ----------
    dictionary : str, tuple of str, or Dictionary
        Files that `nmfaudio learn` made, or what they hold. Other settings than the mixture's are converted.
    free : int
        Templates to learn from the mixture itself; what they explain is the stem `residual`.
    transpose : int
        Semitones up and down by which learned templates may move to reach notes that were not learned, up to
        2; the masks with and without are averaged.
    stereo : bool
        Whether to use where sources stand in several channels: stems by place where a pan-pot placed them,
        which the dictionary only names, and else a Wiener filter across channels where it helps.
    adapt : {"none", "gain", "templates"}
        Whether templates follow the mixture: each source gets a smooth gain over frequency, where another
        microphone or another room than its recording's was used; or its templates move by themselves as well.
    mask_exponent : float
        Of the masks: higher ones separate harder.
    iterations : int
        Updates of the activations.
    free_iterations : int
        Updates of the free templates. Few: with more, they come to explain what the known ones should.
    seed : int
        Of the free templates' start.
    only, without : tuple of str
        Stems to keep; or sources to leave out of a single stem. The stems then do not sum to the mixture.
    solo, silent, range, pan : tuple of str
        What is known of the mixture: where a source is alone, from which it is learned, or silent; its notes;
        its place. For forms see `nmfaudio.separators.dictionary.hints.Hints.parse`.
    hints : str, optional
        A TOML file of such hints.

    References
    ----------
    P. Smaragdis, B. Raj and M. Shashanka, "Supervised and semi-supervised separation of sounds from
    single-channel mixtures", ICA 2007.
    """

    needs_whole: ClassVar[bool] = False

    dictionary: str | tuple[str, ...] | Dictionary = field(
        default=(), metadata={"help": "files made by `nmfaudio learn`"}
    )
    free: int = field(default=0, metadata={"help": "templates for what the dictionary does not know"})
    transpose: int = field(default=2, metadata={"help": "semitones that templates may move, 0 to 2"})
    stereo: bool = field(default=True, metadata={"help": "use where sources stand in several channels"})
    adapt: str = field(
        default="none",
        metadata={"help": "to the mixture: none, gain (another microphone or room), templates"},
    )
    mask_exponent: float = field(default=1.5, metadata={"help": "of the masks: higher ones separate harder"})
    iterations: int = field(default=30, metadata={"help": "updates of the activations"})
    free_iterations: int = field(default=30, metadata={"help": "updates of the free templates"})
    seed: int = field(default=0, metadata={"help": "of the free templates' start"})
    only: tuple[str, ...] = field(default=(), metadata={"help": "stems to keep; default: all"})
    without: tuple[str, ...] = field(default=(), metadata={"help": "sources to leave out of one stem"})
    solo: tuple[str, ...] = field(default=(), metadata={"help": "where a source is alone: drums=0:00-0:07"})
    silent: tuple[str, ...] = field(default=(), metadata={"help": "where it is silent: voice=1:02-1:15"})
    range: tuple[str, ...] = field(default=(), metadata={"help": "its notes: piano=C4-C6"})
    pan: tuple[str, ...] = field(default=(), metadata={"help": "its place, -1 to 1: guitar=-0.5"})
    hints: str | None = field(default=None, metadata={"help": "a TOML file of hints"})

    def __post_init__(self) -> None:
        if self.free < 0 or self.seed < 0:
            raise OptionError(f"free={self.free}, seed={self.seed}: they must not be negative")
        if not 0 <= self.transpose <= 2:
            raise OptionError(f"transpose={self.transpose}: use 0, 1 or 2 semitones")
        if min(self.iterations, self.free_iterations) < 1 or not 0 < self.mask_exponent < np.inf:
            raise OptionError(
                f"iterations={self.iterations}, mask_exponent={self.mask_exponent}: they must be above 0"
            )
        adaptation.check_adaptation(self.adapt)
        Hints.parse(solo=self.solo, silent=self.silent, range=self.range, pan=self.pan)

    def fit(self, mixture: Blocks) -> Model:
        """Bring the dictionary to the mixture's settings, and learn free templates if asked for."""
        hints = self.all_hints()
        known, messages = self._knowledge(hints, mixture)
        check_selection(self.only, self.without, known.sources + ((RESIDUAL,) if self.free else ()))
        fitting = _Fitting(self, known, hints, mixture)
        model = fitting.free() if self.free else fitting.supervised()
        return select(WithMessages(model, (*messages, *model.messages)), self.only, self.without)

    def all_hints(self) -> Hints:
        """Return the hints of the options and those of the file."""
        given = {"solo": self.solo, "silent": self.silent, "range": self.range, "pan": self.pan}
        read = read_hints(self.hints) if self.hints else {}
        return Hints.parse(**{kind: [*read.get(kind, []), *texts] for kind, texts in given.items()})

    def _knowledge(self, hints: Hints, mixture: Blocks) -> tuple[Dictionary, list[str]]:
        """Return what the dictionary and the hints say of the sources, and what the hints did."""
        known = loaded(self.dictionary) if self.dictionary else None
        learned, messages = learn_solos(hints, mixture, self.seed)
        if known is None and learned is None:
            raise OptionError("nothing is known of any source: name a dictionary, or say where one is alone")
        both = known.enriched(learned) if known and learned else known or learned
        assert both is not None
        for name in hints.sources:
            if name not in (*both.sources, RESIDUAL):
                raise OptionError(f"a hint names {name!r}, but sources are {', '.join(both.sources)}")
        return within_ranges(both, hints, messages), messages + told_silences(hints, mixture)


@dataclass(frozen=True)
class _Fitting:
    """One fit: what is asked for, what is known, and the mixture."""

    options: FromDictionary
    known: Dictionary
    hints: Hints
    mixture: Blocks

    def supervised(self) -> Model:
        """Return a model of the known sources alone."""
        if places := self._places(len(self.known.sources)):
            return self._by_place(places, self._supervised_at(places.stft))
        seconds = self.known.stft.win_length / self.known.sample_rate
        model = self._told(self._supervised_at(STFT.lasting(seconds, self.mixture.sample_rate)))
        return refined(model, self.mixture) if self.options.stereo else model

    def free(self) -> Model:
        """Return a model of the known sources and of what else there is."""
        if places := self._places(len(self.known.sources) + 1):
            return self._by_place(places, self._free_at(places.stft, "learning the rest"))
        models: list[Model] = []
        for number, seconds in enumerate(FREE_WINDOWS):
            stage = f"learning the rest, window {number + 1} of {len(FREE_WINDOWS)}"
            model = self._free_at(STFT.lasting(seconds, self.mixture.sample_rate), stage)
            model = model if number else self._told(model)
            models.append(refined(model, self.mixture) if self.options.stereo else model)
        first = models[0]
        return Combination(tuple(models), first.messages, first.warnings)

    def _places(self, sources: int) -> PannedModel | None:
        return find_places(self.mixture, sources, self.options.seed) if self.options.stereo else None

    def _told(self, model: TemplateModel) -> TemplateModel:
        """Say of a model how well it fits the mixture."""
        seen = self.known.to_settings(self.mixture.sample_rate, model.stft)
        messages, warnings = diagnose(model, seen, self.mixture)
        return replace(model, messages=(*messages, *model.messages), warnings=warnings)

    def _by_place(self, places: PannedModel, named: TemplateModel) -> Model:
        return name_places(places, named, self.mixture, self.hints.pans)

    def _supervised_at(self, stft: STFT) -> TemplateModel:
        """Return a model through these settings, hedged with transposed templates."""
        dictionary, told = self._adapted(self.known.to_settings(self.mixture.sample_rate, stft))
        iterations, reach = self.options.iterations, self.options.transpose
        takes = [TemplateSet.of(_groups(dictionary), iterations)]
        if reach:
            moves = [move for move in range(-reach, reach + 1) if move]
            groups = [self._reaching(dictionary, source, moves) for source in dictionary.sources]
            takes.append(TemplateSet.of(groups, max(1, iterations // _TRANSPOSED_HASTE), _TRANSPOSED_WEIGHT))
        return replace(self._model(dictionary, dictionary.sources, *takes), messages=told)

    def _adapted(
        self, dictionary: Dictionary, free: NDArray[Any] | None = None
    ) -> tuple[Dictionary, tuple[str, ...]]:
        """Return the dictionary as the options have it fit the mixture, and what was done."""
        if self.options.adapt == "none":
            return dictionary, ()
        V, times = mean_frames(
            self.mixture.with_stft(dictionary.stft), dictionary.magnitude_power, adaptation.FRAMES
        )
        allowed = self._allowed(dictionary, times, 0 if free is None else free.shape[1])
        return adaptation.adapted(dictionary, V, self.options.adapt, free=free, allowed=allowed)

    def _reaching(self, dictionary: Dictionary, source: str, moves: list[int]) -> NDArray[Any]:
        """Return templates of a source with transposed copies, which cost a little more activation."""
        members = dictionary.members[source]
        templates, pitches = dictionary.templates[:, members], dictionary.pitches[members]
        copies = [templates]
        for move in moves:
            fits = self.hints.in_range(source, pitches * 2 ** (move / 12))
            copies.append(np.exp(-_COST * abs(move)) * transposed(templates[:, fits], move))
        return np.hstack(copies)

    def _free_at(self, stft: STFT, stage: str) -> TemplateModel:
        """Return a model through these settings, with free templates learned beside the known ones."""
        dictionary = self.known.to_settings(self.mixture.sample_rate, stft)
        V, times = mean_frames(self.mixture.with_stft(stft), dictionary.magnitude_power, FREE_FRAMES)
        rank, iterations = len(dictionary.labels) + self.options.free, self.options.free_iterations
        found = factorize(
            V,
            rank,
            divergence=dictionary.beta,
            frozen=dictionary.templates,
            allowed=(None, self._allowed(dictionary, times, self.options.free)),
            seed=self.options.seed,
            iterations=iterations,
            tolerance=0,
            callback=lambda done, objective: self.mixture.report(
                Progress(stage, done, iterations, objective)
            ),
        )
        free = found.W[:, len(dictionary.labels) :]
        dictionary, told = self._adapted(dictionary, free)
        take = TemplateSet.of([*_groups(dictionary), free], self.options.iterations)
        return replace(self._model(dictionary, (*dictionary.sources, RESIDUAL), take), messages=told)

    def _allowed(
        self, dictionary: Dictionary, times: NDArray[np.float64], free: int
    ) -> NDArray[np.bool_] | None:
        names = (*dictionary.sources, RESIDUAL)
        allowed = self.hints.allowed(names, times)
        if allowed is None:
            return None
        numbers = [names.index(label) for label in dictionary.labels]
        return allowed[[*numbers, *[len(names) - 1] * free]]

    def _model(self, dictionary: Dictionary, sources: tuple[str, ...], *takes: TemplateSet) -> TemplateModel:
        return TemplateModel(
            dictionary.stft,
            sources,
            takes,
            self.options.mask_exponent,
            dictionary.magnitude_power,
            dictionary.beta,
            self.hints,
        )


def _groups(dictionary: Dictionary) -> list[NDArray[Any]]:
    return [dictionary.templates[:, members] for members in dictionary.members.values()]


def loaded(dictionary: str | Sequence[str] | Dictionary) -> Dictionary:
    """Return a dictionary, read from one file or joined from several.

    Raises
    ------
    DictionaryError
        For a file that is no dictionary, or when two have a source of the same name.
    """
    if isinstance(dictionary, Dictionary):
        return dictionary
    paths = [dictionary] if isinstance(dictionary, str) else dictionary
    return Dictionary.join([Dictionary.load(path) for path in paths])


def transposed(templates: NDArray[Any], semitones: float) -> NDArray[np.float32]:
    """Return templates moved up or down in frequency, each column with the sum 1.

    Parameters
    ----------
    templates : ndarray, shape (bins, components)
    semitones : float

    Examples
    --------
    >>> transposed(np.eye(33)[:, [10]], 12).argmax()
    np.int64(20)
    """
    bins = np.arange(len(templates))
    source = bins / 2 ** (semitones / 12)
    left = np.minimum(source.astype(np.intp), len(bins) - 1)
    right, part = np.minimum(left + 1, len(bins) - 1), (source - left)[:, None]
    moved = np.where(source[:, None] < len(bins), (1 - part) * templates[left] + part * templates[right], 0)
    total = moved.sum(axis=0)
    return np.asarray(np.divide(moved, total, out=np.zeros_like(moved), where=total > 0), np.float32)
