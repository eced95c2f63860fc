"""Separation by templates that were learned of the sources before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nmfaudio.dictionaries.dictionary import Dictionary
from nmfaudio.dictionaries.labels import RESIDUAL
from nmfaudio.errors import OptionError
from nmfaudio.models.combination import Combination
from nmfaudio.models.contract import Model
from nmfaudio.models.options import option
from nmfaudio.models.spatially_filtered import with_spatial_filter
from nmfaudio.models.wrappers import WithMessages
from nmfaudio.nmf import factorize
from nmfaudio.separators.blind.separator import Blind
from nmfaudio.separators.dictionary import adaptation
from nmfaudio.separators.dictionary.diagnosis import diagnose
from nmfaudio.separators.dictionary.hint_effects import learn_solos, silence_messages, within_ranges
from nmfaudio.separators.dictionary.hints import Hints, read_hints
from nmfaudio.separators.dictionary.places import find_places, name_places
from nmfaudio.separators.dictionary.templates import TemplateModel, TemplateSet
from nmfaudio.separators.dictionary.transposition import transposed
from nmfaudio.separators.regions.model import with_regions
from nmfaudio.separators.regions.options import RegionOptions
from nmfaudio.separators.stereo.separator import PannedModel
from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.frames import mean_frames
from nmfaudio.sound.progress import Progress
from nmfaudio.sound.stft import STFT

# Seconds: lengths of the windows whose stems are averaged where some of the sources are unknown.
FREE_WINDOWS = (0.0929, 0.0464, 0.0116)
FREE_FRAMES = 4096  # largest number of frames, evenly spaced, from which free templates are learned
_TRANSPOSED_WEIGHT = 0.5  # weight of masks with transposed templates: worse where all notes were learned
_TRANSPOSED_UPDATE_DIVISOR = 2  # masks with transposed templates need this many times fewer updates
_COST_PER_SEMITONE = 0.1  # nepers: transposed templates are attenuated, so they need more activation


@dataclass(frozen=True)
class FromDictionary(RegionOptions):
    """Separate with templates that were learned of the sources before, and free ones for unknown sources.

    Parameters
    ----------
    dictionary : str, tuple of str, or Dictionary
        Files made by `nmfaudio learn`, or a dictionary. Dictionaries with other STFT settings or another
        sample rate than the mixture are converted.
    free : int
        Number of templates that are learned from the mixture itself, beside the dictionary; they make up the
        stem `residual`.
    transpose : int
        Number of semitones, 0 to 2, by which learned templates can move up or down to cover notes that were
        not learned; the masks with and without such templates are averaged.
    stereo : bool
        Whether to use the positions of the sources in several channels: stems are made by pan position where
        the sources were panned in a mixer, and the dictionary only names them; elsewhere a Wiener filter
        across channels is used where it helps.
    adapt : {"none", "gain", "templates"}
        Adaptation of the templates to the mixture: a smooth gain over frequency for each source (`gain`, for
        recordings made with another microphone or in another room), or also changes of each template
        (`templates`).
    mask_exponent : float
        Exponent of the masks; higher values separate more strongly.
    iterations : int
        Number of updates of the activations.
    free_iterations : int
        Number of updates of the free templates. With many, they also explain sounds of the known sources.
    seed : int
        Seed of the random start of the free templates.
    solo : tuple of str
        Passages in which a source sounds alone, from which it is learned, such as ``drums=0:00-0:07``.
    silent : tuple of str
        Passages in which a source is silent, such as ``voice=1:02-1:15``.
    range : tuple of str
        Lowest and highest note of a source, such as ``piano=C4-C6``, or frequencies in Hz.
    pan : tuple of str
        Pan position of a source, from -1 (left) to 1 (right), such as ``guitar=-0.5``.
    hints : str, optional
        TOML file with such hints, or a label file; see `nmfaudio.separators.dictionary.hints.read_hints`.
    region, not_region : tuple of str
        Regions in which a source sounds, or does not sound, such as ``snare=1.20-1.32@150-9000``.

    References
    ----------
    P. Smaragdis, B. Raj and M. Shashanka, "Supervised and semi-supervised separation of sounds from
    single-channel mixtures", ICA 2007.
    """

    needs_whole: ClassVar[bool] = False

    dictionary: str | tuple[str, ...] | Dictionary = option(
        (), "files made by `nmfaudio learn`", flag="dictionary", metavar="FILE", selects=True, reads=True
    )
    free: int = option(
        0,
        "number of templates learned from the mixture for sounds that the dictionary does not have; "
        "they make up the stem `residual`",
        at_least=0,
        flag="free",
        metavar="N",
    )
    transpose: int = option(
        2, "number of semitones by which templates can move, 0 to 2", at_least=0, at_most=2
    )
    stereo: bool = option(True, "whether to use the positions of the sources in several channels")
    adapt: str = option(
        "none",
        "adaptation of the dictionary to the mixture: none, gain (another microphone or room), or templates",
        flag="adapt",
        metavar="gain|templates",
    )
    mask_exponent: float = option(
        1.5, "exponent of the masks; higher values separate more strongly", above=0, former_name="exponent"
    )
    iterations: int = option(30, "number of updates of the activations", at_least=1)
    free_iterations: int = option(30, "number of updates of the free templates", at_least=1)
    seed: int = option(0, "seed of the random start of the free templates", at_least=0)
    solo: tuple[str, ...] = option(
        (),
        "passage in which a source sounds alone, such as drums=0:00-0:07",
        flag="solo",
        metavar="SOURCE=START-END",
        whole=True,
        selects=True,
    )
    silent: tuple[str, ...] = option(
        (),
        "passage in which a source is silent, such as voice=1:02-1:15",
        flag="silent",
        metavar="SOURCE=START-END",
        whole=True,
    )
    range: tuple[str, ...] = option(
        (),
        "lowest and highest note of a source, or frequency in Hz, such as piano=C4-C6 or bird=3000-7000",
        flag="range",
        metavar="SOURCE=LOW-HIGH",
        whole=True,
    )
    pan: tuple[str, ...] = option(
        (),
        "pan position of a source, from -1 (left) to 1 (right), such as guitar=-0.5",
        flag="pan",
        metavar="SOURCE=POSITION",
        whole=True,
    )
    hints: str | None = option(
        None,
        "TOML file with solo, silent, range, pan, region and not_region for each source, or a label file of "
        "Audacity, Raven or CSV",
        flag="hints",
        metavar="FILE",
        selects=True,
        reads=True,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        adaptation.check_adaptation(self.adapt)
        Hints.parse(solo=self.solo, silent=self.silent, range=self.range, pan=self.pan)

    def known_sources(self) -> tuple[str, ...]:
        """Return the sources of the dictionary and of the solos, with `residual` where it will be a stem.

        Raises
        ------
        DictionaryError
            For a file that is not a dictionary.
        OptionError
            For a file of hints that cannot be read.
        """
        sources = loaded(self.dictionary).sources if self.dictionary else ()
        solos = (span.source for span in self.all_hints().solos)
        known = tuple(dict.fromkeys((*sources, *solos)))
        return (*known, RESIDUAL) if known and self.free else known

    def fit(self, mixture: Blocks) -> Model:
        """Convert the dictionary to the mixture's settings, and learn free templates if there are any.

        Where the hints have regions but neither a dictionary nor solos are given, `Blind` separates.
        """
        hints = self.all_hints()
        if hints.regions and not (self.dictionary or hints.solos):
            return Blind(seed=self.seed).fit_regions(mixture, hints.regions)
        known, messages = self._known_sources(hints, mixture)
        fit = _DictionaryFit(self, known, hints, mixture)
        model = fit.with_free_templates() if self.free else fit.known_sources_only()
        model = with_regions(model, mixture, hints.regions, self.seed)
        return WithMessages(model, (*messages, *model.messages))

    def all_hints(self) -> Hints:
        """Return the hints of the options together with those of the file."""
        kinds = ("solo", "silent", "range", "pan", "region", "not_region")
        given = {kind: getattr(self, kind) for kind in kinds}
        read = read_hints(self.hints) if self.hints else {}
        return Hints.parse(**{kind: [*read.get(kind, []), *texts] for kind, texts in given.items()})

    def _known_sources(self, hints: Hints, mixture: Blocks) -> tuple[Dictionary, list[str]]:
        """Return what the dictionary and the hints say about the sources, and messages about the hints."""
        known = loaded(self.dictionary) if self.dictionary else None
        learned, messages = learn_solos(hints, mixture, self.seed)
        if known is None and learned is None:
            raise OptionError(
                "no source is known: give a dictionary (dictionary=...), or passages in which sources sound "
                "alone (solo=...)",
                option="dictionary",
            )
        both = known.enriched(learned) if known and learned else known or learned
        assert both is not None
        for name in hints.sources:
            if name not in (*both.sources, RESIDUAL):
                raise OptionError(f"a hint names {name!r}, but the sources are {', '.join(both.sources)}")
        result, range_messages = within_ranges(both, hints)
        return result, messages + range_messages + silence_messages(hints, mixture)


@dataclass(frozen=True)
class _DictionaryFit:
    """Computation of a model from the options, the known sources, the hints and the mixture."""

    options: FromDictionary
    known: Dictionary
    hints: Hints
    mixture: Blocks

    def known_sources_only(self) -> Model:
        """Return a model of the known sources."""
        if places := self._places(len(self.known.sources)):
            return self._by_place(places, self._known_model(places.stft))
        seconds = self.known.stft.win_length / self.known.sample_rate
        model = self._with_diagnosis(self._known_model(STFT.lasting(seconds, self.mixture.sample_rate)))
        return with_spatial_filter(model, self.mixture) if self.options.stereo else model

    def with_free_templates(self) -> Model:
        """Return a model of the known sources and of everything else in the mixture."""
        if places := self._places(len(self.known.sources) + 1):
            return self._by_place(places, self._free_model(places.stft, "learning free templates"))
        models: list[Model] = []
        for number, seconds in enumerate(FREE_WINDOWS):
            stage = f"learning free templates, window {number + 1} of {len(FREE_WINDOWS)}"
            model = self._free_model(STFT.lasting(seconds, self.mixture.sample_rate), stage)
            model = model if number else self._with_diagnosis(model)
            models.append(with_spatial_filter(model, self.mixture) if self.options.stereo else model)
        first = models[0]
        return Combination(tuple(models), first.messages, first.warnings)

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
            groups = [self._with_transposed(dictionary, source) for source in dictionary.sources]
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

    def _free_model(self, stft: STFT, stage: str) -> TemplateModel:
        """Return a model with these STFT settings, with free templates learned beside the known ones."""
        dictionary = self.known.to_settings(self.mixture.sample_rate, stft)
        free = self._learn_free(dictionary, stage)
        dictionary, messages = self._adapted(dictionary, free)
        template_set = TemplateSet.of([*_by_source(dictionary), free], self.options.iterations)
        return replace(
            self._model(dictionary, (*dictionary.sources, RESIDUAL), template_set), messages=messages
        )

    def _learn_free(self, dictionary: Dictionary, stage: str) -> NDArray[Any]:
        """Return free templates, shape (bins, free)."""
        V, times = mean_frames(
            self.mixture.with_stft(dictionary.stft), dictionary.magnitude_power, FREE_FRAMES
        )
        known, iterations = len(dictionary.labels), self.options.free_iterations
        factorization = factorize(
            V,
            known + self.options.free,
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
        return factorization.W[:, known:]

    def _adapted(
        self, dictionary: Dictionary, free: NDArray[Any] | None = None
    ) -> tuple[Dictionary, tuple[str, ...]]:
        """Return the dictionary after the adaptation that the options name, and messages about it."""
        if self.options.adapt == "none":
            return dictionary, ()
        V, times = mean_frames(
            self.mixture.with_stft(dictionary.stft), dictionary.magnitude_power, adaptation.FRAMES
        )
        allowed = self._allowed(dictionary, times, 0 if free is None else free.shape[1])
        return adaptation.adapted(dictionary, V, self.options.adapt, free=free, allowed=allowed)

    def _allowed(
        self, dictionary: Dictionary, times: NDArray[np.float64], free: int
    ) -> NDArray[np.bool_] | None:
        """Return when each template may sound, the free ones last, shape (components, times)."""
        names = (*dictionary.sources, RESIDUAL)
        allowed = self.hints.allowed(names, times)
        if allowed is None:
            return None
        numbers = [names.index(label) for label in dictionary.labels]
        return allowed[[*numbers, *[len(names) - 1] * free]]

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


def loaded(dictionary: str | Sequence[str] | Dictionary) -> Dictionary:
    """Return a dictionary that is given as such, as one file, or as several files to join.

    Raises
    ------
    DictionaryError
        For a file that is not a dictionary, or when two files have a source of the same name.
    """
    if isinstance(dictionary, Dictionary):
        return dictionary
    paths = [dictionary] if isinstance(dictionary, str) else dictionary
    return Dictionary.join([Dictionary.load(path) for path in paths])
