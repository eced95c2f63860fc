"""The model of a blind separation: components from several random starts, grouped into the same sources."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmfaudio.matching import best_pairs
from nmfaudio.models.contract import Components, Model
from nmfaudio.models.masks import masked_in_parts, normalised_masks
from nmfaudio.nmf import activate
from nmfaudio.separators.blind.banding import banded, first_bins
from nmfaudio.sound.bands import sum_in_bands
from nmfaudio.sound.spectrogram import Spectrogram
from nmfaudio.sound.stft import STFT

_ACTIVATION_ITERATIONS = 30  # updates of activations in bands; the templates are known


@dataclass(frozen=True)
class BlindModel(Model):
    """Components from several random starts, grouped into the same sources.

    Attributes
    ----------
    stft : STFT
        Settings of the blocks that the model separates.
    starts : tuple of Components
        Components of each random start; all starts label the sources alike.
    sources : tuple of str
        Names of the stems.
    mask_exponent : float
        Exponent of the masks.
    messages : tuple of str
        What the user should know: how the number of sources was chosen.
    covers_all_frames : bool
        Whether the components hold activations of every frame of the mixture. Otherwise the model finds
        activations in each block.
    context : int
        Number of frames that the model needs on either side; 0.
    """

    stft: STFT
    starts: tuple[Components, ...]
    sources: tuple[str, ...]
    mask_exponent: float
    messages: tuple[str, ...]
    covers_all_frames: bool = True
    context: int = 0

    @property
    def components(self) -> Components:
        """Components of the first start, for tables and pictures."""
        return self.starts[0]

    def separate(self, block: Spectrogram) -> dict[str, Spectrogram]:
        """Mask the block; each mask is the average over all starts."""
        activations = [self._block_activations(components, block) for components in self.starts]
        return masked_in_parts(
            block, self.sources, lambda part: self._masks([H[:, :, part] for H in activations])
        )

    def _block_activations(self, components: Components, block: Spectrogram) -> NDArray[Any]:
        """Return the activations of one start in a block, shape (channels, components, frames)."""
        if self.covers_all_frames:
            return components.activations[:, :, block.start : block.stop]
        power = 2 if components.factorization.divergence.beta == 0 else 1
        V = (block.magnitude**power).astype(np.float32)
        return np.stack([_activations(components, channel) for channel in V])

    def _masks(self, activations: list[NDArray[Any]]) -> NDArray[np.float32]:
        """Return the mean of the masks of all starts, shape (sources, channels, frames, bins)."""
        _, channels, frames = activations[0].swapaxes(0, 1).shape
        shape = len(self.sources), channels, frames, self.stft.bins
        total = np.zeros(shape, np.float32)
        for components, H in zip(self.starts, activations, strict=True):
            power = np.empty(shape, np.float32)
            for source, each in enumerate(power):
                members = components.labels == source
                np.matmul(H[:, members].swapaxes(1, 2), components.templates[:, members].T, out=each)
            total += normalised_masks(power, self.mask_exponent, by_root=True)
        return total / np.float32(len(self.starts))


def aligned(components: Components, reference: Components) -> Components:
    """Renumber the sources of a start so that each resembles the source of that number in the reference.

    The resemblance is the correlation of the spectrograms of two sources. It is computed without these
    spectrograms: the inner product of two products W H follows from W.T @ W and H @ H.T.
    """
    inner = _inner_products(reference, components)
    energies = [np.diag(_inner_products(one, one)) for one in (reference, components)]
    norms = np.sqrt(np.outer(*energies))
    correlation = np.divide(inner, norms, out=np.zeros_like(inner), where=norms > 0)
    reference_numbers, own_numbers = best_pairs(correlation)
    numbers = np.empty(len(own_numbers), np.intp)
    numbers[own_numbers] = reference_numbers
    return replace(components, labels=numbers[components.labels])


def _inner_products(a: Components, b: Components) -> NDArray[np.float64]:
    """Return inner products of the sources' spectrograms, shape (sources of a, sources of b)."""
    templates = a.templates.T.astype(np.float64) @ b.templates
    activations = a.factorization.H.astype(np.float64) @ b.factorization.H.T
    members = [np.eye(int(c.labels.max()) + 1)[c.labels] for c in (a, b)]
    return np.asarray(members[0].T @ (templates * activations) @ members[1])


def _activations(components: Components, V: NDArray[Any]) -> NDArray[Any]:
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
