"""Some stems of a model: those that are wanted, and the sum of the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nmfaudio.errors import OptionError
from nmfaudio.models.combination import Combination
from nmfaudio.models.contract import Components, Model, ModelWrapper
from nmfaudio.sound.spectrogram import Spectrogram

REST = "rest"


@dataclass(frozen=True)
class Selection(ModelWrapper):
    """A model whose sources are added up to fewer, some of which are not to be written.

    Attributes
    ----------
    model : Model
    groups : tuple of (str, tuple of str)
        Name of each stem, and the model's sources that it is the sum of.
    unwritten : tuple of str
        Stems that nobody asked for; without them the stems do not sum to the mixture.
    """

    groups: tuple[tuple[str, tuple[str, ...]], ...]
    unwritten: tuple[str, ...]

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the stems, in order."""
        return tuple(name for name, _ in self.groups)

    @property
    def components(self) -> Components | None:
        """None: they belong to sources that are no stems any more."""
        return None

    @property
    def notes(self) -> tuple[str, ...]:
        """Those of the model."""
        return tuple(getattr(self.model, "notes", ()))

    @property
    def warnings(self) -> tuple[str, ...]:
        """Those of the model."""
        return tuple(getattr(self.model, "warnings", ()))

    def separate(self, block: Spectrogram) -> dict[str, Spectrogram]:
        """Add up the stems of the model."""
        stems = self.model.separate(block)
        return {
            name: block.with_values(np.sum([stems[member].values for member in members], axis=0))
            for name, members in self.groups
        }


@dataclass(frozen=True)
class SelectedCombination(Combination):
    """A combination of selections."""

    unwritten: tuple[str, ...] = ()


def select(model: Model, only: tuple[str, ...], without: tuple[str, ...]) -> Model:
    """Return a model that gives the stems of `only`, or the sum of all stems but `without`.

    Raises
    ------
    OptionError
        For both at once, for a source that the model does not have, or when nothing would remain.
    """
    check_selection(only, without, model.sources)
    if not (only or without):
        return model
    groups: list[tuple[str, tuple[str, ...]]]
    unwritten: tuple[str, ...]
    if only:
        rest = tuple(source for source in model.sources if source not in only)
        groups = [(name, (name,)) for name in model.sources if name in only]
        groups += [(REST, rest)] if rest else []
        unwritten = (REST,) if rest else ()
    else:
        rest = tuple(source for source in model.sources if source not in without)
        groups = [(f"without {' and '.join(without)}", rest), *((name, (name,)) for name in without)]
        unwritten = without
    if isinstance(model, Combination):
        parts = tuple(Selection(part, tuple(groups), unwritten) for part in model.models)
        return SelectedCombination(parts, model.notes, model.warnings, unwritten)
    return Selection(model, tuple(groups), unwritten)


def check_selection(only: tuple[str, ...], without: tuple[str, ...], sources: Any) -> None:
    """Check what is asked for against the sources that there are.

    Raises
    ------
    OptionError
        Saying what cannot be.
    """
    if only and without:
        raise OptionError(
            "only and except exclude each other: say which stems to keep, or which to leave out"
        )
    for name in (*only, *without):
        if name not in sources:
            raise OptionError(f"there is no source {name!r}: use one of {', '.join(sources)}")
    if without and set(without) >= set(sources):
        raise OptionError(f"nothing remains without {', '.join(without)}: leave out fewer")
