"""Models of a selection of stems: the requested ones, and the sum of the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nmfaudio.errors import OptionError
from nmfaudio.models.contract import Model
from nmfaudio.models.wrappers import ModelWrapper
from nmfaudio.sound.spectrogram import Spectrogram

REST = "rest"


@dataclass(frozen=True)
class Selection(ModelWrapper):
    """A model that adds up the sources of another model to fewer stems, some of which are not written.

    Attributes
    ----------
    model : Model
    groups : tuple of (str, tuple of str)
        Name of each stem, and the sources of the other model that are added up to it.
    unwritten : tuple of str
        Stems that were not requested. Only with them do the stems sum to the mixture.
    """

    groups: tuple[tuple[str, tuple[str, ...]], ...]
    unwritten: tuple[str, ...]

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the stems, in order."""
        return tuple(name for name, _ in self.groups)

    @property
    def components(self) -> None:
        """None, because the components belong to the sources of the other model, not to these stems."""
        return

    def separate(self, block: Spectrogram) -> dict[str, Spectrogram]:
        """Add up the stems of the other model."""
        stems = self.model.separate(block)
        return {
            name: block.with_values(np.sum([stems[member].values for member in members], axis=0))
            for name, members in self.groups
        }


def select(model: Model, only: tuple[str, ...], without: tuple[str, ...]) -> Model:
    """Return a model of the stems in `only`, or of the sum of all stems except `without`.

    Parameters
    ----------
    model : Model
    only : tuple of str
        Names of the stems to keep.
    without : tuple of str
        Names of the sources that are left out of the single stem.

    Raises
    ------
    OptionError
        When both are given, when the model lacks a source, or when nothing would remain.
    """
    check_selection(only, without, model.sources)
    if only:
        rest = tuple(source for source in model.sources if source not in only)
        kept = tuple((name, (name,)) for name in model.sources if name in only)
        return Selection(model, (*kept, *([(REST, rest)] if rest else [])), (REST,) if rest else ())
    if without:
        rest = tuple(source for source in model.sources if source not in without)
        left_out = tuple((name, (name,)) for name in without)
        return Selection(model, ((f"without {' and '.join(without)}", rest), *left_out), without)
    return model


def check_selection(only: Sequence[str], without: Sequence[str], sources: Sequence[str]) -> None:
    """Check the requested stems against the sources of a model.

    Raises
    ------
    OptionError
        When both are given, when a source does not exist, or when nothing would remain.
    """
    if only and without:
        raise OptionError(
            "only and without exclude each other: name the stems to keep, or the sources to leave out",
            option="only",
        )
    for name in (*only, *without):
        if name not in sources:
            raise OptionError(
                f"there is no source {name!r}: use one of {', '.join(sources)}",
                option="only" if only else "without",
            )
    if without and set(without) >= set(sources):
        raise OptionError(f"nothing remains without {', '.join(without)}: leave out fewer", option="without")
