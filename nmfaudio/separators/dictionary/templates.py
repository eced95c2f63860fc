"""A model with fixed templates: frames are independent, so each block of a mixture can be split alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmfaudio.models.components import Components, from_factors
from nmfaudio.models.contract import Model
from nmfaudio.models.masks import masked_in_parts, normalised_masks
from nmfaudio.nmf import activate
from nmfaudio.separators.dictionary.hints import Hints
from nmfaudio.sound.bands import BANDS_PER_OCTAVE, band_starts, sum_in_bands
from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.spectrogram import Spectrogram
from nmfaudio.sound.stft import STFT

_ALLOWED_FLOOR = 1e-6  # level of allowed sources relative to the mixture, where the templates explain nothing

Matrix = NDArray[np.float32]


@dataclass(frozen=True)
class TemplateSet:
    """Templates of all sources, and the weight of the masks that are made with them.

    Attributes
    ----------
    templates : ndarray of float32, shape (bins, components)
    labels : ndarray of int, shape (components,)
        Source of each component: its index in the model's `sources`. Components are sorted by source.
    iterations : int
        Number of updates of the activations.
    weight : float
        Weight of the masks in the average over all template sets.
    leaves_rest : bool
        Whether the last source has no templates and gets what the other templates leave of the mixture.
    of_another_kind : bool
        Whether the set separates in another way than the others on purpose. Such a set joins the average, but
        its difference from the others does not say how much chance decides.
    """

    templates: Matrix
    labels: NDArray[np.intp]
    iterations: int
    weight: float = 1.0
    leaves_rest: bool = False
    of_another_kind: bool = False

    @classmethod
    def of(
        cls,
        groups: Sequence[NDArray[Any]],
        iterations: int,
        weight: float = 1.0,
        *,
        leaves_rest: bool = False,
    ) -> TemplateSet:
        """Make a template set from the templates of each source.

        Examples
        --------
        >>> TemplateSet.of([np.eye(3, 2), np.eye(3, 1)], 30).labels
        array([0, 0, 1])
        """
        labels = np.repeat(np.arange(len(groups)), [group.shape[1] for group in groups])
        templates = np.ascontiguousarray(np.hstack(groups), np.float32)
        return cls(templates, labels, iterations, weight, leaves_rest)

    @cached_property
    def by_component(self) -> Matrix:
        """Templates, shape (components, bins), in the memory order of the spectrograms."""
        return np.ascontiguousarray(self.templates.T)

    def members(self, source: int) -> slice:
        """Return the range of the components of a source."""
        return slice(*np.searchsorted(self.labels, (source, source + 1)))


@dataclass(frozen=True)
class TemplateModel(Model):
    """Sources as fixed templates; the masks of several template sets are averaged.

    Activations are computed in bands of a 24th of an octave, which takes a tenth of the time. Masks are
    computed from the full templates.

    Attributes
    ----------
    stft : STFT
    sources : tuple of str
    template_sets : tuple of TemplateSet
    mask_exponent : float
        Exponent of the masks, which applies to magnitudes.
    magnitude_power : float
        The templates are magnitudes raised to this power.
    beta : float
        Parameter of the divergence.
    hints : Hints or None
        Passages in which sources are alone or silent.
    messages, warnings : tuple of str
    context : int
        Number of frames needed on either side of a block.
    """

    stft: STFT
    sources: tuple[str, ...]
    template_sets: tuple[TemplateSet, ...]
    mask_exponent: float
    magnitude_power: float
    beta: float
    hints: Hints | None = None
    messages: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    context: int = 0

    @property
    def way_out(self) -> str:
        """What helps where a stem is unsure."""
        return (
            "add recordings of the source that play what it plays here (nmfaudio learn --add-to), or give "
            "passages in which it is alone or silent (solo=..., silent=...)"
        )

    @property
    def alternatives(self) -> tuple[Model, ...]:
        """The model of each template set, without those of another kind."""
        sets = [one for one in self.template_sets if not one.of_another_kind]
        return tuple(replace(self, template_sets=(one,)) for one in sets) if len(sets) > 1 else ()

    @cached_property
    def covered_bins(self) -> int:
        """Number of bins up to the highest one that a template covers."""
        covered = np.any([one.templates.any(axis=1) for one in self.template_sets], axis=0)
        return int(np.flatnonzero(covered)[-1]) + 1

    @cached_property
    def _starts(self) -> NDArray[np.intp]:
        """First bins of the bands; bands above the covered bins are left out."""
        starts = band_starts(self.stft.frequencies(1), BANDS_PER_OCTAVE)
        return starts[starts < self.covered_bins]

    @cached_property
    def _banded_templates(self) -> tuple[Matrix, ...]:
        return tuple(self._in_bands(one.templates) for one in self.template_sets)

    def _in_bands(self, matrix: NDArray[Any]) -> Matrix:
        return sum_in_bands(matrix[: self.covered_bins], self._starts)

    def activations(
        self, V: NDArray[Any], number: int = 0, allowed: NDArray[np.bool_] | None = None
    ) -> NDArray[Any]:
        """Return the activations of V, shape (components, frames), for one of the template sets.

        Parameters
        ----------
        V : ndarray, shape (bins, frames)
        number : int
            Index of the template set.
        allowed : ndarray of bool, shape (sources, frames), optional
            Frames in which each source may sound.
        """
        template_set = self.template_sets[number]
        banded = np.ascontiguousarray(self._in_bands(V).T).T
        return activate(
            banded,
            self._banded_templates[number],
            divergence=self.beta,
            allowed=None if allowed is None else allowed[template_set.labels],
            iterations=template_set.iterations,
            tolerance=0,
            level=1.0,  # mixtures have a peak near 1; the level of each block would make block edges audible
        ).H

    def find_components(self, mixture: Blocks) -> Components:
        """Return the templates of the first set, without transposed copies, and their activations."""
        first = self.template_sets[0]
        H = np.concatenate([self._own_activations(block, 0) for block in mixture], axis=1)
        return from_factors(
            self.sources,
            first.labels,
            first.templates,
            H[None],
            sample_rate=mixture.sample_rate,
            stft=self.stft,
            channels=mixture.channels,
            magnitude_power=self.magnitude_power,
            mask_exponent=self.mask_exponent / self.magnitude_power,
            beta=self.beta,
        )

    def _own_activations(self, block: Spectrogram, number: int) -> NDArray[Any]:
        """Return the activations of one of the template sets in a block, shape (components, frames)."""
        V = block.magnitude.mean(axis=0, dtype=np.float32) ** self.magnitude_power
        allowed = self.hints.allowed(self.sources, block.times) if self.hints else None
        return self.activations(V, number, allowed)

    def separate(self, block: Spectrogram) -> dict[str, Spectrogram]:
        """Mask the block with the average over all template sets; all channels get the same mask."""
        V = block.magnitude.mean(axis=0, dtype=np.float32) ** self.magnitude_power
        allowed = self.hints.allowed(self.sources, block.times) if self.hints else None
        activations = [self.activations(V, k, allowed).T for k in range(len(self.template_sets))]

        def masks_of(part: slice) -> Matrix:
            allowed_part = None if allowed is None else allowed[:, part]
            return self._masks(V[:, part].T, [H[part] for H in activations], allowed_part)[:, None]

        return masked_in_parts(block, self.sources, masks_of)

    def _masks(self, V: Matrix, activations: list[Matrix], allowed: NDArray[np.bool_] | None) -> Matrix:
        """Return the weighted sum of the masks of all template sets, shape (sources, frames, bins)."""
        masks = np.zeros((len(self.sources), *V.shape), np.float32)
        for template_set, H in zip(self.template_sets, activations, strict=True):
            masks += template_set.weight * self.masks_of_set(V, template_set, H, allowed)
        return masks

    def masks_of_set(
        self, V: Matrix, template_set: TemplateSet, H: Matrix, allowed: NDArray[np.bool_] | None = None
    ) -> Matrix:
        """Return the masks that one template set gives, shape (sources, frames, bins); they sum to one.

        Parameters
        ----------
        V : ndarray, shape (frames, bins)
        template_set : TemplateSet
        H : ndarray, shape (frames, components)
            Activations of its templates.
        allowed : ndarray of bool, shape (sources, frames), optional
            Frames in which each source may sound.
        """
        estimates = np.empty((len(self.sources), *V.shape), np.float32)
        for source in range(len(self.sources)):
            members = template_set.members(source)
            np.matmul(H[:, members], template_set.by_component[members], out=estimates[source])
        if template_set.leaves_rest:
            estimates[-1] = np.maximum(V - estimates[:-1].sum(axis=0), 0)
            if allowed is not None:
                estimates[-1] *= allowed[-1][:, None]
        self._extend(estimates)
        if allowed is not None:  # what no template explains goes to the sources that may sound
            estimates += _ALLOWED_FLOOR * V[None] * allowed[:, :, None]
        exponent = self.mask_exponent / self.magnitude_power
        return normalised_masks(estimates, exponent, by_root=True)

    def _extend(self, estimates: Matrix) -> None:
        """Fill uncovered bins with each source's mean level in the third of an octave below them."""
        if self.covered_bins < estimates.shape[2]:
            below = slice(int(self.covered_bins * 2 ** (-1 / 3)), self.covered_bins)
            estimates[:, :, self.covered_bins :] = estimates[:, :, below].mean(axis=2, keepdims=True)
