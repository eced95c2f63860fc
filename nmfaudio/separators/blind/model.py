"""The model of a blind separation: components from several random starts, grouped into the same sources."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmfaudio.models.components import Components, from_factors
from nmfaudio.models.contract import Model
from nmfaudio.models.labelled import LabelledFactorization
from nmfaudio.models.masks import mask_weights, masked_in_parts, normalised_masks
from nmfaudio.nmf import Factorization, activate
from nmfaudio.separators.blind.agreement import weights_by_agreement
from nmfaudio.separators.blind.banding import banded, first_bins
from nmfaudio.sound.bands import sum_in_bands
from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.spectrogram import Spectrogram
from nmfaudio.sound.stft import STFT

_ACTIVATION_ITERATIONS = 30  # updates of activations in bands; the templates are known
_REGROUPED_WEIGHT = 0.3  # of the masks of the regroupings; those of the starts have the rest


@dataclass(frozen=True)
class BlindModel(Model):
    """Components from several random starts, grouped into the same sources.

    Attributes
    ----------
    stft : STFT
        Settings of the blocks that the model separates.
    starts : tuple of LabelledFactorization
        Components of each random start; all starts label the sources alike.
    sources : tuple of str
        Names of the stems.
    mask_exponent : float
        Exponent of the masks of each grouping.
    messages : tuple of str
        What the user should know: how the number of sources was chosen.
    regroupings : tuple of LabelledFactorization
        The same components, grouped by another rule into the same sources; none, or one for each start.
    covers_all_frames : bool
        Whether the components hold activations of every frame of the mixture. Otherwise the model finds
        activations in each block.
    context : int
        Number of frames that the model needs on either side; 0.
    mean_exponent : float
        Exponent of the mean of the masks over all starts and regroupings. Where the masks differ, their mean
        is softer than each of them.
    """

    stft: STFT
    starts: tuple[LabelledFactorization, ...]
    sources: tuple[str, ...]
    mask_exponent: float
    messages: tuple[str, ...]
    regroupings: tuple[LabelledFactorization, ...] = ()
    covers_all_frames: bool = True
    context: int = 0
    mean_exponent: float = 1.0

    @property
    def factorization(self) -> LabelledFactorization:
        """The factorization of the first start."""
        return self.starts[0]

    @property
    def alternatives(self) -> tuple[Model, ...]:
        """The model of each random start."""
        if len(self.starts) == 1:
            return ()
        return tuple(replace(self, starts=(start,), regroupings=()) for start in self.starts)

    def find_components(self, mixture: Blocks) -> Components:
        """Return the components of the first start, and how stable they are over the other starts."""
        first = self.starts[0]
        if self.covers_all_frames:
            H = first.activations
        else:
            H = np.concatenate([self.block_activations(first, block) for block in mixture], axis=2)
        one = first.factorization
        return from_factors(
            self.sources,
            first.labels,
            first.templates,
            H,
            sample_rate=mixture.sample_rate,
            stft=self.stft,
            channels=mixture.channels,
            magnitude_power=_magnitude_power(one),
            mask_exponent=self.mask_exponent * self.mean_exponent,
            beta=one.divergence.beta,
            seed=one.seed,
            objectives=one.objective,
            iterations=one.measured_iterations,
            stability=_stability(self.starts),
        )

    def separate(self, block: Spectrogram) -> dict[str, Spectrogram]:
        """Mask the block; the weighted masks of all starts and regroupings are averaged, then sharpened."""
        groupings = self._weighted_groupings()
        activations = [self.block_activations(components, block) for components, _ in groupings]

        def masks(part: slice) -> NDArray[np.float32]:
            each = (
                weight * self._masks(components, H[:, :, part])
                for (components, weight), H in zip(groupings, activations, strict=True)
            )
            mean = reduce(np.add, each)
            return mean if self.mean_exponent == 1 else mask_weights(mean, self.mean_exponent, by_root=True)

        return masked_in_parts(block, self.sources, masks)

    @cached_property
    def start_weights(self) -> NDArray[np.float64]:
        """Weight of each start; the weights sum to one."""
        return weights_by_agreement(self.starts)

    def _weighted_groupings(self) -> list[tuple[LabelledFactorization, np.float32]]:
        """Return each start and regrouping, and the weight of its masks; the weights sum to one."""
        second = _REGROUPED_WEIGHT if self.regroupings else 0.0
        kinds = ((1 - second, self.starts), (second, self.regroupings))
        return [
            (components, np.float32(part * weight))
            for part, groupings in kinds
            for components, weight in zip(groupings, self.start_weights, strict=bool(groupings))
        ]

    def block_activations(self, components: LabelledFactorization, block: Spectrogram) -> NDArray[Any]:
        """Return the activations of one start in a block, shape (channels, components, frames)."""
        if self.covers_all_frames:
            return components.activations[:, :, block.start : block.stop]
        V = (block.magnitude ** _magnitude_power(components.factorization)).astype(np.float32)
        return np.stack([_activations(components, channel) for channel in V])

    def _masks(self, components: LabelledFactorization, H: NDArray[Any]) -> NDArray[np.float32]:
        """Return the masks of one grouping, shape (sources, channels, frames, bins)."""
        channels, _, frames = H.shape
        power = np.empty((len(self.sources), channels, frames, self.stft.bins), np.float32)
        for source, each in enumerate(power):
            members = components.labels == source
            np.matmul(H[:, members].swapaxes(1, 2), components.templates[:, members].T, out=each)
        return np.asarray(normalised_masks(power, self.mask_exponent, by_root=True))


def _magnitude_power(factorization: Factorization) -> int:
    """Return the power of the magnitudes that were factorized."""
    return 2 if factorization.divergence.beta == 0 else 1


def _stability(starts: Sequence[LabelledFactorization]) -> NDArray[np.float64]:
    """Return how similar each template of the first start is to the nearest ones of the others, from 0 to 1.

    The similarity of two templates is their cosine, and the mean is taken over the other starts.
    """
    units = [start.templates / np.linalg.norm(start.templates, axis=0).clip(1e-30) for start in starts]
    if len(units) == 1:
        return np.empty(0)
    similarities = np.array([(units[0].T @ other).max(axis=1) for other in units[1:]], np.float64)
    return np.asarray(similarities.mean(axis=0))


def _activations(components: LabelledFactorization, V: NDArray[Any]) -> NDArray[Any]:
    """Return the activations of templates in one channel (bins, frames); each frame is independent."""
    starts = first_bins(V)
    return activate(
        banded(V, starts),
        sum_in_bands(components.factorization.W, starts),
        divergence=components.factorization.divergence,
        iterations=_ACTIVATION_ITERATIONS,
        tolerance=0,
        level=1.0,
    ).H
