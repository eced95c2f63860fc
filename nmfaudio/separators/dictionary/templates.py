"""A model of fixed templates: frames are independent, so any block of a mixture can be split alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmfaudio.models.contract import Model
from nmfaudio.models.masks import normalised_masks
from nmfaudio.nmf import activate
from nmfaudio.separators.dictionary.hints import Hints
from nmfaudio.sound.bands import BANDS_AN_OCTAVE, band_starts, in_bands
from nmfaudio.sound.spectrogram import Spectrogram
from nmfaudio.sound.stft import STFT

_FRAMES = 32  # masked at once, so that intermediate arrays stay in the cache

Matrix = NDArray[np.float32]


@dataclass(frozen=True)
class TemplateSet:
    """One set of templates, and what its masks count for.

    Attributes
    ----------
    templates : ndarray of float32, shape (bins, components)
    labels : ndarray of int, shape (components,)
        The source of each, counted as in the model's `sources`; those of a source stand side by side.
    iterations : int
        Updates of the activations.
    weight : float
        Of its masks in the mean over all takes.
    """

    templates: Matrix
    labels: NDArray[np.intp]
    iterations: int
    weight: float = 1.0

    @classmethod
    def of(cls, groups: Sequence[NDArray[Any]], iterations: int, weight: float = 1.0) -> TemplateSet:
        """Make one of the templates of each source.

        Examples
        --------
        >>> Take.of([np.eye(3, 2), np.eye(3, 1)], 30).labels
        array([0, 0, 1])
        """
        labels = np.repeat(np.arange(len(groups)), [group.shape[1] for group in groups])
        return cls(np.ascontiguousarray(np.hstack(groups), np.float32), labels, iterations, weight)

    @cached_property
    def frames_major(self) -> Matrix:
        """The templates, (components, bins): spectrograms lie frame by frame in memory."""
        return np.ascontiguousarray(self.templates.T)

    def members(self, source: int) -> slice:
        """Return which components are those of a source."""
        return slice(*np.searchsorted(self.labels, (source, source + 1)))


@dataclass(frozen=True)
class TemplateModel(Model):
    """Sources as fixed templates; the masks of several sets of templates are averaged.

    Activations are looked for in bands of a 24th of an octave, which takes a tenth of the time; masks are
    made from the full templates.

    Attributes
    ----------
    stft : STFT
    sources : tuple of str
    takes : tuple of Take
    mask_exponent : float
        Of the masks.
    power : float
        Templates are magnitudes to this power.
    beta : float
        Of the divergence.
    hints : Hints or None
        Where sources are known to be alone or silent.
    context : int
    """

    stft: STFT
    sources: tuple[str, ...]
    takes: tuple[TemplateSet, ...]
    mask_exponent: float
    power: float
    beta: float
    hints: Hints | None = None
    messages: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    context: int = 0

    @cached_property
    def known_bins(self) -> int:
        """Bins of which the templates know; those above are shared as the highest of these are."""
        heard = np.any([take.templates.any(axis=1) for take in self.takes], axis=0)
        return int(np.flatnonzero(heard)[-1]) + 1

    @cached_property
    def _starts(self) -> NDArray[np.intp]:
        """First bins of the bands; those that the templates do not know of are left out."""
        starts = band_starts(self.stft.frequencies(1), BANDS_AN_OCTAVE)
        return starts[starts < self.known_bins]

    @cached_property
    def _banded(self) -> tuple[Matrix, ...]:
        return tuple(self._in_bands(take.templates) for take in self.takes)

    def _in_bands(self, matrix: NDArray[Any]) -> Matrix:
        return in_bands(matrix[: self.known_bins], self._starts)

    def activations(
        self, V: NDArray[Any], take: int = 0, allowed: NDArray[np.bool_] | None = None
    ) -> NDArray[Any]:
        """Return the activations of V, (bins, frames), under the templates of a take.

        `allowed`, (sources, frames), says which source may sound when.
        """
        banded = np.ascontiguousarray(self._in_bands(V).T).T
        return activate(
            banded,
            self._banded[take],
            divergence=self.beta,
            allowed=None if allowed is None else allowed[self.takes[take].labels],
            iterations=self.takes[take].iterations,
            tolerance=0,
            level=1.0,  # mixtures are given with their peak near 1; that of a block would show where it ends
        ).H

    def separate(self, block: Spectrogram) -> dict[str, Spectrogram]:
        """Mask the block by the average over all takes; all channels get the same mask."""
        V = block.magnitude.mean(axis=0, dtype=np.float32) ** self.power
        allowed = self.hints.allowed(self.sources, block.times) if self.hints else None
        activations = [self.activations(V, take, allowed).T for take in range(len(self.takes))]
        stems = np.empty((len(self.sources), block.channels, block.frames, self.stft.bins), np.complex128)
        for start in range(0, block.frames, _FRAMES):
            part = slice(start, start + _FRAMES)
            may = None if allowed is None else allowed[:, part]
            masks = self._masks(V[:, part].T, [H[part] for H in activations], may)
            # In float64, so that the stems sum to the mixture but for rounding.
            shared = block.values[:, :, part].swapaxes(1, 2) / masks.sum(axis=0, dtype=np.float64)
            np.multiply(shared, masks[:, None], out=stems[:, :, part])
        return {
            name: block.with_values(stem.swapaxes(1, 2))
            for name, stem in zip(self.sources, stems, strict=True)
        }

    def _masks(self, V: Matrix, activations: list[Matrix], allowed: NDArray[np.bool_] | None) -> Matrix:
        """Return the mean of all takes' masks, not yet of sum one, (sources, frames, bins)."""
        masks = np.zeros((len(self.sources), *V.shape), np.float32)
        for take, H in zip(self.takes, activations, strict=True):
            power = np.empty_like(masks)
            for source in range(len(self.sources)):
                members = take.members(source)
                np.matmul(H[:, members], take.frames_major[members], out=power[source])
            self._extend(power)
            if allowed is not None:  # where all are silent, what is left is shared by those who may sound
                power += 1e-6 * V[None] * allowed[:, :, None]
            masks += take.weight * normalised_masks(power, self.mask_exponent / self.power, by_root=True)
        return masks

    def _extend(self, power: Matrix) -> None:
        """Give the bins that no template knows of the sources' level in the third of an octave below them."""
        if self.known_bins < power.shape[2]:
            below = slice(int(self.known_bins * 2 ** (-1 / 3)), self.known_bins)
            power[:, :, self.known_bins :] = power[:, :, below].mean(axis=2, keepdims=True)
