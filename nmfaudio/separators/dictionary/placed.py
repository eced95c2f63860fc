"""Where channels tell sources apart better than templates do: templates only say which is which."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmfaudio.matching import best_pairs
from nmfaudio.models.contract import Model
from nmfaudio.models.wiener import WienerFilter, learn_filter
from nmfaudio.models.wrappers import ModelWrapper
from nmfaudio.separators.stereo.panning import find_panning, place_name
from nmfaudio.separators.stereo.separator import PannedModel, Stereo
from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.progress import Progress
from nmfaudio.sound.spectrogram import Spectrogram
from nmfaudio.sound.stft import STFT


@dataclass(frozen=True)
class Placed(Model):
    """Stems by place, each place under the name of the source that sounds there.

    Attributes
    ----------
    panned : PannedModel
        Whose groups are the sources.
    sources : tuple of str
    messages, warnings : tuple of str
    """

    panned: PannedModel
    sources: tuple[str, ...]
    messages: tuple[str, ...]
    warnings: tuple[str, ...] = ()

    @property
    def stft(self) -> STFT:
        """Those of the places."""
        return self.panned.stft

    @property
    def context(self) -> int:
        """That of the places."""
        return self.panned.context

    def separate(self, block: Spectrogram) -> dict[str, Spectrogram]:
        """Split by place."""
        return dict(zip(self.sources, self.panned.separate(block).values(), strict=True))


@dataclass(frozen=True)
class Filtered(ModelWrapper):
    """A model whose stems by masks are refined by where each source stands."""

    filter: WienerFilter
    messages: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def separate(self, block: Spectrogram) -> dict[str, Spectrogram]:
        """Mask, then filter."""
        return self.filter.refined(block, self.model.separate(block))


def find_places(mixture: Blocks, sources: int, seed: int) -> PannedModel | None:
    """Return a model by places where there is one for each source at least, and they can be trusted."""
    if mixture.channels != 2:
        return None
    panning = find_panning(mixture, sources=sources)
    if panning.doubt(sources):
        return None
    return Stereo(seed=seed).separated_by(panning, mixture)


def name_places(
    places: PannedModel, named: Model, mixture: Blocks, pans: Mapping[str, float] | None = None
) -> Placed:
    """Give each place to the source whose stem by templates has most in common with what sounds there.

    Parameters
    ----------
    places : PannedModel
    named : Model
        Through the same settings.
    mixture : Blocks
    pans : mapping of str to float, optional
        Places that the user knows, -1 to 1: the nearest place is the source's.

    Returns
    -------
    Placed
        Every source has a place; where there are more places than sources, some have several.
    """
    mixture = mixture.with_stft(places.stft)
    common = np.zeros((len(places.angles), len(named.sources)))
    for block in mixture:
        sounds = np.array([stem.values for stem in places.separate(block).values()])
        stems = np.array([stem.values for stem in named.separate(block).values()])
        common += np.einsum("icfn,jcfn->ij", sounds, stems.conj()).real
        mixture.report(Progress("naming places", block.stop, mixture.frames))
    owners = _owners(common)
    for name, pan in (pans or {}).items():
        nearest = int(np.abs(np.rad2deg(places.angles) - 45 * (pan + 1)).argmin())
        owners[nearest] = named.sources.index(name)
    if len(set(owners)) < len(named.sources):
        owners = _owners(common)
    note = ", ".join(
        f"{name}: {' and '.join(place_name(float(np.rad2deg(a))) for a in places.angles[owners == number])}"
        for number, name in enumerate(named.sources)
    )
    told = (f"separated by place, named by the dictionary ({note})",)
    return Placed(replace(places, groups=owners), named.sources, told)


def _owners(common: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the source of each place: one place for each source first, then the best for the others."""
    share = common / np.maximum(np.abs(common).sum(axis=1, keepdims=True), np.finfo(float).tiny)
    owners = share.argmax(axis=1)
    rows, columns = best_pairs(share)
    owners[rows] = columns
    return np.asarray(owners, np.intp)


def refined(model: Any, mixture: Blocks) -> Model:
    """Return a model whose stems are filtered by place, where places differ enough for that."""
    found = learn_filter(mixture.with_stft(model.stft), model.separate, context=model.context)
    return model if found is None else Filtered(model, found, model.messages, model.warnings)
