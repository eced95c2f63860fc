"""Sharing of blind components between a known source and the rest, by components that sound alike.

A guide that knows some notes of a source gives a component of one of these notes to the source, and a
component of another note of the same instrument to the rest. Here a component is judged together with those
that sound like it. As in `blind`, clusters of components are found by timbre and channels, and by envelopes
too. All of these hardly depend on the note.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from nmfaudio.models.contract import Model
from nmfaudio.models.labelled import LabelledFactorization
from nmfaudio.models.masks import masked_in_parts, normalised_masks
from nmfaudio.models.wrappers import ModelWrapper
from nmfaudio.nmf import Factorization
from nmfaudio.separators.blind.coherence import coherences
from nmfaudio.separators.blind.grouping import component_energies, component_points, tree_cuts
from nmfaudio.separators.blind.model import BlindModel
from nmfaudio.separators.blind.search import DEFAULT_COMPONENTS, ComponentSearch
from nmfaudio.separators.guided.grouping import Guide, Parts, selected
from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.spectrogram import Spectrogram

# Largest number of clusters into which the components are cut; the shares are averaged over the cuts. In the
# mean of 52 separations, 2 to 4 clusters gained 0.3 dB more than 2 to 10, and as much as 2 to 6. They gained
# 0.5 dB more than averages over all components, weighted by likeness.
MOST_CLUSTERS = 4
# Slope of the sharing: the natural logarithm of the odds rises by so much from the component that is least
# like the source to the one that is most like it. Slopes of 8 and 12 gained the same within 0.1 dB.
SLOPE = 8.0
STARTS = 4  # random starts, whose masks are averaged; six gained the same within 0.1 dB
MASK_EXPONENT = 1.5  # an exponent of 1, as for grouped components, gained 0.2 dB less


@dataclass(frozen=True)
class SharingModel(ModelWrapper):
    """A model of blind components, each of which is shared between the first source and the second.

    Attributes
    ----------
    model : BlindModel
        The components of each random start. Each has the label of the source that gets more of it.
    shares : tuple of ndarray, shape (components,)
        For each start, the part of each component that the first source gets, 0 to 1.
    """

    model: BlindModel
    shares: tuple[Parts, ...]

    @property
    def alternatives(self) -> tuple[Model, ...]:
        """None: this is one part of an average, and its starts do not tell how much chance decides there."""
        return ()

    def separate(self, block: Spectrogram) -> dict[str, Spectrogram]:
        """Mask the block by the shared components; each mask is the average over all starts."""
        activations = [self.model.block_activations(components, block) for components in self.model.starts]

        def masks(part: slice) -> NDArray[np.float32]:
            each = (
                self._masks(components, shares, H[:, :, part])
                for components, shares, H in zip(self.model.starts, self.shares, activations, strict=True)
            )
            return reduce(np.add, each)

        return masked_in_parts(block, self.sources, masks)

    def _masks(
        self, components: LabelledFactorization, shares: Parts, H: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Return the masks of both sources by one start, shape (sources, channels, frames, bins)."""
        channels, _, frames = H.shape
        estimates = np.empty((2, channels, frames, self.stft.bins), np.float32)
        for parts, each in zip((shares, 1 - shares), estimates, strict=True):
            shared = (H * parts[:, None]).swapaxes(1, 2).astype(np.float32)
            np.matmul(shared, components.templates.T, out=each)
        return np.asarray(normalised_masks(estimates, self.model.mask_exponent, by_root=True))


def sharing_model(guide: Guide, search: ComponentSearch) -> SharingModel:
    """Find components, and share each of them between the source of the guide and the rest.

    Parameters
    ----------
    guide : Guide
        A model of two sources.
    search : ComponentSearch
        Search in the mixture, with the STFT settings of the guide.

    Returns
    -------
    SharingModel
        The first source is that of the guide.
    """
    mixture = search.mixture
    factorizations = search.factorizations(min(DEFAULT_COMPONENTS, search.V.shape[1]), STARTS)
    covers_all_frames = search.learned_frames == mixture.frames
    found: list[tuple[LabelledFactorization, Parts]] = []
    all_parts = guide.parts_of_components(search, factorizations)
    all_coherences = coherences(search, factorizations)
    for one, guided, coherence in zip(factorizations, all_parts, all_coherences, strict=True):
        energies = component_energies(one.W, one.H)
        sounds = _sounds(one, energies, coherence, mixture, successive=covers_all_frames)
        found.append(_ordered(one, shared_parts(guided, sounds, energies), energies, mixture.channels))
    components, shares = zip(*found, strict=True)
    rest = tuple(name for name in guide.model.sources if name != guide.source)
    model = BlindModel(
        mixture.stft,
        components,
        (guide.source, *rest),
        MASK_EXPONENT,
        (),
        covers_all_frames=covers_all_frames,
    )
    return SharingModel(model, shares)


def _ordered(
    one: Factorization, shares: Parts, energies: NDArray[np.float64], channels: int
) -> tuple[LabelledFactorization, Parts]:
    """Return the components by source and by falling energy, and what the first source gets of each."""
    labels = (shares < 0.5).astype(np.intp)
    order = np.lexsort((-energies, labels))
    return LabelledFactorization(selected(one, order), channels, labels[order]), shares[order]


def _sounds(
    one: Factorization,
    energies: NDArray[np.float64],
    coherence: NDArray[np.float64],
    mixture: Blocks,
    *,
    successive: bool,
) -> list[NDArray[np.float64]]:
    """Describe the sound of each component, without and with envelopes; each (components, features).

    Envelopes need successive frames.
    """
    frequencies = mixture.stft.frequencies(mixture.sample_rate)
    rates = (None, mixture.sample_rate / mixture.stft.hop_length) if successive else (None,)
    return [
        component_points(
            one.W,
            one.H,
            frequencies,
            energies,
            channels=mixture.channels,
            frames_per_second=rate,
            coherence=coherence,
        )
        for rate in rates
    ]


def shared_parts(
    guided: Parts, sounds: Sequence[NDArray[np.float64]], energies: NDArray[np.float64]
) -> Parts:
    """Return which part of each component the source of a guide gets, 0 to 1.

    For each description of the sounds and each number of clusters, a component has the mean part of its
    cluster. Only the places in the range of these means count, so a guide may give too much or too little to
    its source everywhere. The places are averaged.

    Parameters
    ----------
    guided : ndarray, shape (components,)
        Part of each component that the guide gives to its source.
    sounds : sequence of ndarray, shape (components, features)
        Descriptions of the sound of each component.
    energies : ndarray, shape (components,)
        Part of the energy that each component has; components count in proportion to its root.

    Examples
    --------
    >>> points = np.array([[0.0], [0.1], [9.0], [9.1], [9.3]])
    >>> shared_parts(np.array([0.8, 0.2, 0.1, 0.3, 0.2]), [points], np.ones(5) / 5).round(2)
    array([0.98, 0.79, 0.02, 0.02, 0.02])
    """
    weights = np.sqrt(energies).clip(np.finfo(float).tiny)
    places = np.zeros(len(guided))
    for points in sounds:
        for cut in tree_cuts(points)[1:MOST_CLUSTERS]:
            means = np.bincount(cut, weights * guided) / np.bincount(cut, weights)
            places += _places(means[cut])
    return np.asarray(1 / (1 + np.exp(-SLOPE * _places(places))))


def _places(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the places of values in their range, from -1/2 to 1/2; 0 where all values are equal."""
    span = np.ptp(values)
    middle = (values.min() + values.max()) / 2
    return np.asarray((values - middle) / span) if span > 1e-9 else np.zeros_like(values)
