"""Penalties on the factors, as terms of the denominators of their updates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nmfaudio.errors import OptionError
from nmfaudio.nmf.divergence import Divergence
from nmfaudio.nmf.kernels import Penalty


@dataclass(frozen=True)
class Penalties:
    """Linear and quadratic penalties on templates and activations.

    They add sum_k ( l1_W[k] |w_k|_1 + l2_W[k] / 2 |w_k|_2^2 + l1_H[k] |h_k|_1 + l2_H[k] / 2 |h_k|_2^2 ) to
    the divergence, w_k and h_k being template and activation of component k. Where one factor alone is
    penalised, the other takes up the scale: penalise both.

    Parameters
    ----------
    l1_W, l2_W, l1_H, l2_H : float or array_like, shape (components,)
        Weights, not negative.

    Raises
    ------
    OptionError
        For a weight that is negative or not finite.

    References
    ----------
    V. Y. F. Tan and C. Fevotte, "Automatic relevance determination in nonnegative matrix factorization with
    the beta-divergence", IEEE TPAMI 35(7), 2013: the updates and the proof that they descend.

    Examples
    --------
    >>> from nmfaudio import factorize
    >>> V = np.eye(6) + 0.1
    >>> free, held = (factorize(V, 3, penalties=Penalties(l1_W=l, l1_H=l)) for l in (0.0, 0.5))
    >>> bool(held.W.sum() * held.H.sum() < free.W.sum() * free.H.sum())
    True
    """

    l1_W: ArrayLike = 0.0
    l2_W: ArrayLike = 0.0
    l1_H: ArrayLike = 0.0
    l2_H: ArrayLike = 0.0

    def __post_init__(self) -> None:
        for name in ("l1_W", "l2_W", "l1_H", "l2_H"):
            weight = np.asarray(getattr(self, name), np.float64)
            if weight.ndim > 1 or not np.isfinite(weight).all() or (weight < 0).any():
                raise OptionError(f"{name}={getattr(self, name)}: penalties must be finite and not negative")

    def __bool__(self) -> bool:
        return any(np.any(w) for w in (self.l1_W, self.l2_W, self.l1_H, self.l2_H))

    def of_templates(self, rank: int, scale: float, divergence: Divergence) -> Penalty:
        """Return the penalties of W where the data, and with them H, are multiplied by `scale`."""
        factor = scale**divergence.beta
        return _penalty(rank, ("l1_W", self.l1_W, factor), ("l2_W", self.l2_W, factor))

    def of_activations(self, rank: int, scale: float, divergence: Divergence) -> Penalty:
        """Return the penalties of H where the data, and with them H, are multiplied by `scale`."""
        linear = scale ** (divergence.beta - 1)
        return _penalty(rank, ("l1_H", self.l1_H, linear), ("l2_H", self.l2_H, linear / scale))

    def per_total(self, total: NDArray[np.float64]) -> Penalties:
        """Return the penalties of activations whose templates were divided by their sums, (components,)."""
        safe = np.where(total > 0, total, 1.0)
        return Penalties(l1_H=np.asarray(self.l1_H) / safe, l2_H=np.asarray(self.l2_H) / safe**2)


def value(penalty: Penalty, factor: NDArray[Any]) -> float:
    """Return what a penalty adds to the objective, for a factor (entries, components)."""
    added = 0.0
    if penalty.linear.any():
        added += float(factor.sum(axis=0, dtype=np.float64) @ penalty.linear)
    if penalty.quadratic.any():
        added += float(np.einsum("nk,nk->k", factor, factor, dtype=np.float64) @ penalty.quadratic) / 2
    return added


def _penalty(rank: int, *terms: tuple[str, ArrayLike, float]) -> Penalty:
    vectors = []
    for name, weight, factor in terms:
        given = np.asarray(weight, np.float64)
        if given.ndim and given.shape != (rank,):
            raise OptionError(
                f"{name} has shape {given.shape}: it must be one number or one for each of {rank}"
            )
        vectors.append(np.ascontiguousarray(np.broadcast_to(given * factor, rank), dtype=np.float32))
    return Penalty(*vectors)
