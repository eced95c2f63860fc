"""Separation by templates that were learned of the sources before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from nmfaudio.dictionaries.dictionary import Dictionary
from nmfaudio.dictionaries.labels import RESIDUAL
from nmfaudio.errors import OptionError
from nmfaudio.models.contract import Model
from nmfaudio.models.options import option
from nmfaudio.models.wrappers import WithMessages
from nmfaudio.separators.blind.separator import Blind
from nmfaudio.separators.dictionary import adaptation
from nmfaudio.separators.dictionary.fit import DictionaryFit
from nmfaudio.separators.dictionary.hint_effects import learn_solos, silence_messages, within_ranges
from nmfaudio.separators.dictionary.hints import Hints, read_hints
from nmfaudio.separators.dictionary.rest import model_with_rest
from nmfaudio.separators.regions.model import with_regions
from nmfaudio.separators.regions.options import RegionOptions
from nmfaudio.sound.blocks import Blocks


@dataclass(frozen=True)
class FromDictionary(RegionOptions):
    """Separate with templates that were learned of the sources before, and free ones for unknown sources.

    Parameters
    ----------
    dictionary : str, tuple of str, or Dictionary
        Files made by `nmfaudio learn`, or a dictionary. Dictionaries with other STFT settings or another
        sample rate than the mixture are converted.
    rest : bool
        Whether to learn everything that is not known from the mixture itself, as the stem `residual`. The
        number of free templates need not be chosen. Always on where a single source is known.
    free : int or "auto"
        Number of templates that are learned from the mixture itself, beside the dictionary, in place of the
        automatic choice of `rest`. "auto" is the same as `rest`.
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
    rest: bool = option(
        False,
        "learn everything that is not known from the mixture, as the stem `residual`; always on where a "
        "single source is known",
        flag="rest",
    )
    free: int | Literal["auto"] = option(
        0,
        "number of templates learned from the mixture for the stem `residual`; auto is the same as --rest",
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
        if isinstance(self.free, str) and self.free != "auto":
            raise OptionError(f'free={self.free!r}: use a whole number, or "auto"', option="free")
        if self.rest and self.free not in (0, "auto"):
            raise OptionError(
                f"rest=True chooses the number of free templates, and free={self.free} gives it: use one of "
                "them",
                option="free",
            )
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
        return (*known, RESIDUAL) if self._learns_rest(known) else known

    def _learns_rest(self, known: tuple[str, ...]) -> bool:
        """Whether the stem `residual` is made: a single source without it would be the whole mixture."""
        return bool(known and (self.rest or self.free)) or len(known) == 1

    def fit(self, mixture: Blocks) -> Model:
        """Convert the dictionary to the mixture's settings, and learn free templates if there are any.

        Where the hints have regions but neither a dictionary nor solos are given, `Blind` separates.
        """
        hints = self.all_hints()
        if hints.regions and not (self.dictionary or hints.solos):
            return Blind(seed=self.seed).fit_regions(mixture, hints.regions)
        known, messages = self._known_sources(hints, mixture)
        fit = DictionaryFit(self, known, hints, mixture)
        model = with_regions(self._model(fit), mixture, hints.regions, self.seed)
        return WithMessages(model, (*messages, *model.messages))

    def _model(self, fit: DictionaryFit) -> Model:
        if not self._learns_rest(fit.known.sources):
            return fit.known_sources_only()
        if isinstance(self.free, int) and self.free:
            return fit.with_free_templates(self.free)
        return model_with_rest(fit)

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
