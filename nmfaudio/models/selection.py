"""Models of some stems: those that are wanted, and the sum of the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nmfaudio.errors import OptionError
from nmfaudio.models.contract import Model
from nmfaudio.models.wrappers import ModelWrapper
from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.spectrogram import Spectrogram
from nmfaudio.suggestion import suggestion

REST = "rest"


@dataclass(frozen=True)
class Selection(ModelWrapper):
    """A model whose sources are added up to fewer stems, some of which are not to be written.

    Attributes
    ----------
    model : Model
    groups : tuple of (str, tuple of str)
        Name of each stem, and the sources of the model that it is the sum of.
    unwritten : tuple of str
        Stems that nobody asked for; without them the stems do not sum to the mixture.
    """

    groups: tuple[tuple[str, tuple[str, ...]], ...]
    unwritten: tuple[str, ...] = ()

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the stems, in order."""
        return tuple(name for name, _ in self.groups)

    @property
    def factorization(self) -> None:
        """None: the components belong to the sources of the other model, which are not stems any more."""
        return

    def find_components(self, mixture: Blocks) -> None:  # noqa: ARG002
        """Return None, for the same reason."""
        return

    def separate(self, block: Spectrogram) -> dict[str, Spectrogram]:
        """Add up the stems of the model."""
        stems = self.model.separate(block)
        return {
            name: block.with_values(np.sum([stems[member].values for member in members], axis=0))
            for name, members in self.groups
        }


@dataclass(frozen=True)
class StemChoice:
    """Which stems of a separation are wanted; all of them unless said otherwise.

    Attributes
    ----------
    only : tuple of str
        Stems to keep. The others are not written, so the written stems do not sum to the mixture.
    without : tuple of str
        Sources to leave out of a single stem, which is the sum of all others.

    Examples
    --------
    >>> StemChoice(only=("kick",)).check(("kick", "snare"))
    >>> StemChoice(only=("flute",)).check(("kick", "snare"))
    Traceback (most recent call last):
    ...
    nmfaudio.errors.OptionError: there is no source 'flute': use one of kick, snare
    """

    only: tuple[str, ...] = ()
    without: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.only and self.without:
            raise OptionError(
                "only and without exclude each other: name the stems to keep, or those to leave out",
                option="only",
            )

    @property
    def settings(self) -> dict[str, list[str]]:
        """The choice as it stands in a manifest; empty where all stems are wanted."""
        chosen = {"only": list(self.only), "without": list(self.without)}
        return {name: sources for name, sources in chosen.items() if sources}

    def check(self, sources: Sequence[str]) -> None:
        """Check the choice against the sources that exist.

        Raises
        ------
        OptionError
            When a source does not exist, or when nothing would remain.
        """
        for name in (*self.only, *self.without):
            if name not in sources:
                known = f"{', '.join(sources)}{suggestion(name, sources)}"
                raise OptionError(
                    f"there is no source {name!r}: use one of {known}",
                    option="only" if self.only else "without",
                )
        if self.without and set(self.without) >= set(sources):
            raise OptionError(
                f"nothing remains without {', '.join(self.without)}: leave out fewer", option="without"
            )

    def applied_to(self, model: Model) -> Model:
        """Return a model that gives the chosen stems.

        Raises
        ------
        OptionError
            When the model lacks a source, or when nothing would remain.
        """
        self.check(model.sources)
        if self.only:
            rest = tuple(source for source in model.sources if source not in self.only)
            kept = tuple((name, (name,)) for name in model.sources if name in self.only)
            return Selection(model, (*kept, *([(REST, rest)] if rest else [])), (REST,) if rest else ())
        if self.without:
            rest = tuple(source for source in model.sources if source not in self.without)
            left_out = tuple((name, (name,)) for name in self.without)
            stems = ((f"without {' and '.join(self.without)}", rest), *left_out)
            return Selection(model, stems, self.without)
        return model
