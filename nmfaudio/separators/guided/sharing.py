"""Sharing of blind components between a known source and the rest, by components that sound alike.

A guide that knows some notes of a source gives a component of one of these notes to the source, and a
component of another note of the same instrument to the rest. Here a component is judged together with those
that sound like it, by timbre and by how they rise, fall and fluctuate. Both hardly depend on the note.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from nmfaudio.models.contract import Model
from nmfaudio.models.labelled import LabelledFactorization
from nmfaudio.models.masks import masked_in_parts, normalised_masks
from nmfaudio.models.wrappers import ModelWrapper
from nmfaudio.nmf import Factorization
from nmfaudio.separators.blind.envelopes import envelope_points
from nmfaudio.separators.blind.grouping import timbres
from nmfaudio.separators.blind.model import BlindModel
from nmfaudio.separators.blind.search import DEFAULT_COMPONENTS, ComponentSearch
from nmfaudio.separators.guided.grouping import Guide, Parts, selected
from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.spectrogram import Spectrogram

# Squared distance at which the likeness of two components has fallen to 1/e, relative to the median of all.
WIDTH = 1.0
OWN_WEIGHT = 0.5  # of a component's own part, relative to the average over those that sound alike
# Slope of the sharing: the natural logarithm of the odds rises by so much from the component that is least
# like the source to the one that is most like it. Slopes of 5 to 10 gained the same within 0.2 dB.
SLOPE = 8.0
# Random starts, whose masks are averaged. A third one, of 40 components, gained less than 0.1 dB more.
STARTS = 2
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
    for one, guided in zip(factorizations, guide.parts_of_components(search, factorizations), strict=True):
        energies = LabelledFactorization(one, mixture.channels, np.zeros(one.rank, np.intp)).shares
        points = _sounds(one, energies, mixture, successive=covers_all_frames)
        found.append(_ordered(one, shared_parts(guided, points, energies), energies, mixture.channels))
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
    one: Factorization, energies: NDArray[np.float64], mixture: Blocks, *, successive: bool
) -> NDArray[np.float64]:
    """Return timbre and envelope of each component, shape (components, features).

    Envelopes need successive frames; without these, the timbre counts alone.
    """
    timbre = timbres(one.W, mixture.stft.frequencies(mixture.sample_rate))
    if not successive:
        return timbre
    frames_per_second = mixture.sample_rate / mixture.stft.hop_length
    return np.hstack([timbre, envelope_points(one.H, mixture.channels, energies, frames_per_second)])


def shared_parts(guided: Parts, points: NDArray[np.float64], energies: NDArray[np.float64]) -> Parts:
    """Return which part of each component the source of a guide gets, 0 to 1.

    The parts that the guide gives are averaged over all components, weighted by likeness. The place of a
    component in the range of these averages counts fully, and its place in the range of its own parts counts
    by `OWN_WEIGHT`. Because only the places count, a guide may give too much or too little to its source
    everywhere.

    Parameters
    ----------
    guided : ndarray, shape (components,)
        Part of each component that the guide gives to its source.
    points : ndarray, shape (components, features)
        Sound of each component.
    energies : ndarray, shape (components,)
        Part of the energy that each component has; components count in proportion to its root.

    Examples
    --------
    >>> shared_parts(np.array([0.8, 0.2, 0.3]), np.array([[0.0], [0.0], [9.0]]), np.ones(3) / 3).round(2)
    array([0.98, 0.76, 0.02])
    """
    distances = ((points[:, None] - points) ** 2).sum(axis=2)
    usual = float(np.median(distances[distances > 0])) if distances.any() else 1.0
    likeness = np.exp(-distances / (WIDTH * usual)) * np.sqrt(energies)
    averages = likeness @ guided / likeness.sum(axis=1).clip(np.finfo(float).tiny)
    places = _places(_places(averages) + OWN_WEIGHT * _places(guided))
    return np.asarray(1 / (1 + np.exp(-SLOPE * places)))


def _places(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the places of values in their range, from -1/2 to 1/2; 0 where all values are equal."""
    span = np.ptp(values)
    middle = (values.min() + values.max()) / 2
    return np.asarray((values - middle) / span) if span > 1e-9 else np.zeros_like(values)
