"""A model of fixed templates: frames are independent, so any block of a mixture can be split alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmfaudio.hints import Hints
from nmfaudio.masking import soft_masks
from nmfaudio.nmf import activate
from nmfaudio.sound.bands import band_starts, in_bands
from nmfaudio.sound.stft import STFT, Blocks, Spectrogram

BANDS_AN_OCTAVE = 24

Matrix = NDArray[np.float32]


@dataclass(frozen=True)
class TemplateModel:
    """Sources as fixed templates; the masks of several sets of templates are averaged.

    Activations are looked for in bands of a 24th of an octave, which takes a tenth of the time; masks are
    made from the full templates.

    Attributes
    ----------
    stft : STFT
    sources : tuple of str
    takes : tuple of (ndarray, ndarray)
        Templates (bins, components) and the source of each, counted as in `sources`.
    exponent : float
        Of the masks.
    power : float
        Templates are magnitudes to this power.
    beta : float
        Of the divergence.
    iterations : int
        Updates of the activations.
    hints : Hints or None
        Where sources are known to be alone or silent.
    weights : tuple of float
        Of the takes in the average of their masks.
    context : int
    """

    stft: STFT
    sources: tuple[str, ...]
    takes: tuple[tuple[Matrix, NDArray[np.intp]], ...]
    exponent: float
    power: float
    beta: float
    iterations: int
    hints: Hints | None = None
    weights: tuple[float, ...] = (1.0,)
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    context: int = 0

    @cached_property
    def known_bins(self) -> int:
        """Bins of which the templates know; those above are shared as the highest of these are."""
        heard = np.any([templates.any(axis=1) for templates, _ in self.takes], axis=0)
        return int(np.flatnonzero(heard)[-1]) + 1

    @cached_property
    def _starts(self) -> NDArray[np.intp]:
        """First bins of the bands; those that the templates do not know of are left out."""
        starts = band_starts(self.stft.frequencies(1), BANDS_AN_OCTAVE)
        return starts[starts < self.known_bins]

    @cached_property
    def _banded(self) -> tuple[Matrix, ...]:
        return tuple(self._in_bands(templates) for templates, _ in self.takes)

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
            allowed=None if allowed is None else allowed[self.takes[take][1]],
            iterations=self.iterations,
            tolerance=0,
        ).H

    def separate(self, block: Spectrogram) -> dict[str, Spectrogram]:
        """Mask the block by the average over all takes; all channels get the same mask."""
        V = block.magnitude.mean(axis=0, dtype=np.float32) ** self.power
        allowed = self.hints.allowed(self.sources, block.times) if self.hints else None
        masks = np.zeros((len(self.sources), *V.shape), np.float32)
        for take in range(len(self.takes)):
            masks += self.weights[take] * self._masks(V, take, allowed)
        return soft_masks(block, {name: mask[None] for name, mask in zip(self.sources, masks, strict=True)})

    def _masks(self, V: NDArray[Any], take: int, allowed: NDArray[np.bool_] | None) -> Matrix:
        templates, labels = self.takes[take]
        H = self.activations(V, take, allowed)
        members = [labels == source for source in range(len(self.sources))]
        power = np.array([templates[:, m] @ H[m] for m in members], np.float32)
        self._extend(power)
        if allowed is not None:  # where all are silent, what is left is shared by those who may sound
            power += 1e-6 * V[None] * allowed[:, None, :]
        return shares(power, self.exponent / self.power)

    def _extend(self, power: Matrix) -> None:
        """Give the bins that no template knows of the sources' level in the third of an octave below them."""
        if self.known_bins < power.shape[1]:
            below = slice(int(self.known_bins * 2 ** (-1 / 3)), self.known_bins)
            power[:, self.known_bins :] = power[:, below].mean(axis=1, keepdims=True)


def shares(power: NDArray[Any], exponent: float) -> Matrix:
    """Return each source's part of the sum of powers to an exponent; equal parts where all are silent.

    Parameters
    ----------
    power : ndarray, shape (sources, ...)
    exponent : float

    Examples
    --------
    >>> shares(np.array([[3.0, 0.0], [1.0, 0.0]]), 1.0)
    array([[0.75, 0.5 ],
           [0.25, 0.5 ]], dtype=float32)
    """
    loudest = power.max(axis=0)
    relative: Matrix = np.ones_like(power, np.float32)
    np.divide(power, loudest, out=relative, where=loudest > 0)
    if exponent == 1.5:  # a root and a product take a third of the time of a general power
        relative *= np.sqrt(relative)
    elif exponent != 1:
        np.power(relative, np.float32(exponent), out=relative)
    relative /= relative.sum(axis=0)
    return relative


def stacked(groups: Sequence[NDArray[Any]]) -> tuple[Matrix, NDArray[np.intp]]:
    """Return templates side by side, with the number of the group that each belongs to.

    Examples
    --------
    >>> stacked([np.eye(3, 2), np.eye(3, 1)])[1]
    array([0, 0, 1])
    """
    labels = np.repeat(np.arange(len(groups)), [group.shape[1] for group in groups])
    return np.ascontiguousarray(np.hstack(groups), np.float32), labels


def spread_frames(
    mixture: Blocks, power: float, most: int
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Return magnitudes to a power, mean over channels, of frames evenly spread over a mixture.

    Returns
    -------
    ndarray of float32, shape (bins, frames)
        At most `most` frames.
    ndarray, shape (frames,)
        Their times in seconds.
    """
    step = max(1, -(-mixture.frames // most))
    alone = (mixture.block(frame, frame + 1) for frame in range(0, mixture.frames, step))
    parts, times = [], []
    for block in mixture if step == 1 else alone:  # no frame is transformed that is not used
        parts.append(block.magnitude.mean(axis=0).T.astype(np.float32) ** power)
        times.append(block.times)
    return np.ascontiguousarray(np.concatenate(parts), np.float32).T, np.concatenate(times)
