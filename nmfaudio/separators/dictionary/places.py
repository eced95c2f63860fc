"""Stems by pan position, named with the help of templates: channels can separate better than templates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nmfaudio.matching import best_pairs
from nmfaudio.models.components import Components
from nmfaudio.models.contract import Model
from nmfaudio.separators.stereo.panning import find_panning, place_name
from nmfaudio.separators.stereo.separator import PannedModel, Stereo
from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.progress import Progress
from nmfaudio.sound.spectrogram import Spectrogram
from nmfaudio.sound.stft import STFT


@dataclass(frozen=True)
class NamedPlacesModel(Model):
    """Stems by pan position; each position has the name of the source that sounds there.

    Attributes
    ----------
    panned : PannedModel
        Model of the pan positions; its groups are the sources.
    sources : tuple of str
    messages, warnings : tuple of str
    """

    panned: PannedModel
    sources: tuple[str, ...]
    messages: tuple[str, ...]
    warnings: tuple[str, ...] = ()

    @property
    def stft(self) -> STFT:
        """Settings of the blocks, which are those of the model of the positions."""
        return self.panned.stft

    @property
    def context(self) -> int:
        """Number of frames that the model needs on either side."""
        return self.panned.context

    def find_components(self, mixture: Blocks) -> Components | None:
        """Return the templates of the positions."""
        found = self.panned.find_components(mixture)
        return None if found is None else replace(found, sources=self.sources)

    def separate(self, block: Spectrogram) -> dict[str, Spectrogram]:
        """Split the block by pan position."""
        return dict(zip(self.sources, self.panned.separate(block).values(), strict=True))


def find_places(mixture: Blocks, sources: int, seed: int) -> PannedModel | None:
    """Return a model by pan positions, or None when fewer than `sources` positions are found reliably."""
    if mixture.channels != 2:
        return None
    panning = find_panning(mixture)
    if panning.doubt(sources):
        return None
    return Stereo(seed=seed).separated_by(panning, mixture)


def name_places(
    places: PannedModel, named: Model, mixture: Blocks, pans: Mapping[str, float] | None = None
) -> NamedPlacesModel:
    """Assign each pan position to the source whose stem by templates correlates most with the sound there.

    Parameters
    ----------
    places : PannedModel
        Model of the pan positions.
    named : Model
        Model whose stems have the names; its STFT settings are those of `places`.
    mixture : Blocks
    pans : mapping of str to float, optional
        Pan positions that the user knows, from -1 to 1: the nearest position belongs to that source.

    Returns
    -------
    NamedPlacesModel
        Each source has at least one position; with more positions than sources, some have several.
    """
    correlations = _correlations(places, named, mixture.with_stft(places.stft))
    owners = _owners(correlations)
    for name, pan in (pans or {}).items():
        nearest = int(np.abs(np.rad2deg(places.angles) - 45 * (pan + 1)).argmin())
        owners[nearest] = named.sources.index(name)
    if len(set(owners)) < len(named.sources):
        owners = _owners(correlations)
    listed = ", ".join(
        f"{name}: {' and '.join(place_name(float(np.rad2deg(a))) for a in places.angles[owners == number])}"
        for number, name in enumerate(named.sources)
    )
    messages = (f"separated by pan position, named by the dictionary ({listed})",)
    return NamedPlacesModel(replace(places, groups=owners), named.sources, messages)


def _correlations(places: PannedModel, named: Model, mixture: Blocks) -> NDArray[np.float64]:
    """Return the inner products of the stems of two models, shape (positions, sources)."""
    correlations = np.zeros((len(places.angles), len(named.sources)))
    for block in mixture:
        by_place = np.array([stem.values for stem in places.separate(block).values()])
        by_name = np.array([stem.values for stem in named.separate(block).values()])
        correlations += np.einsum("icfn,jcfn->ij", by_place, by_name.conj()).real
        mixture.report(Progress("naming pan positions", block.stop, mixture.frames))
    return correlations


def _owners(correlations: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the source of each position: first one position for each source, then the best match."""
    total = np.abs(correlations).sum(axis=1, keepdims=True)
    share = correlations / np.maximum(total, np.finfo(float).tiny)
    owners = share.argmax(axis=1)
    rows, columns = best_pairs(share)
    owners[rows] = columns
    return np.asarray(owners, np.intp)
