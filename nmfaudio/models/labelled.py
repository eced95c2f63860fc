"""A factorization whose components are assigned to sources."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmfaudio.nmf import Factorization


@dataclass(frozen=True)
class LabelledFactorization:
    """A factorization of the spectrograms of all channels, and the source of each component.

    Attributes
    ----------
    factorization : Factorization
        Factorization of the spectrograms of all channels, joined along the frames.
    channels : int
        Number of channels.
    labels : ndarray of int, shape (components,)
        Index of each component's source in the model's `sources`.

    Examples
    --------
    >>> from nmfaudio import factorize
    >>> found = LabelledFactorization(factorize(np.eye(4), 2, iterations=9), 1, np.array([0, 1]))
    >>> found.activations.shape
    (1, 2, 4)
    """

    factorization: Factorization
    channels: int
    labels: NDArray[np.intp]

    @property
    def templates(self) -> NDArray[Any]:
        """Templates W, shape (bins, components)."""
        return self.factorization.W

    @property
    def activations(self) -> NDArray[Any]:
        """Activations of each channel, shape (channels, components, frames)."""
        H = self.factorization.H
        return H.reshape(len(H), self.channels, -1).swapaxes(0, 1)

    @property
    def shares(self) -> NDArray[np.float64]:
        """Part of the total energy that each component has, shape (components,); the parts sum to one."""
        W, H = self.templates.astype(np.float64), self.factorization.H
        power = (W**2).sum(axis=0) * np.einsum("kn,kn->k", H, H, dtype=np.float64)
        total = power.sum()
        return power / total if total > 0 else np.full(len(power), 1 / len(power))

    def ordered(self) -> LabelledFactorization:
        """Return the same components sorted by source and, within a source, by falling energy."""
        order = np.lexsort((-self.shares, self.labels))
        one = self.factorization
        sorted_factors = replace(one, W=one.W[:, order], H=one.H[order])
        return replace(self, factorization=sorted_factors, labels=self.labels[order])
