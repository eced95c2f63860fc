"""What automatic relevance determination believes of a component's scale before it sees data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmfaudio.nmf.factorization import Factorization
from nmfaudio.nmf.penalty import Penalties

_PIECE = 4096  # frames whose model is made at a time
_LEAST_FREEDOM = 0.1  # of all entries: what the parameters of a rich model leave over at least

Sizes = NDArray[np.float64]


@dataclass(frozen=True)
class Prior:
    """Exponential (norm 1) or half-normal (norm 2) factors whose scales lambda are inverse-gamma.

    The objective is D(V | W H) / dispersion + sum_k ((f(w_k) + f(h_k) + b) / lambda_k + c log lambda_k); the
    size f of a template or an activation is its sum (norm 1) or half the sum of its squares (norm 2).

    References
    ----------
    V. Y. F. Tan and C. Fevotte, "Automatic relevance determination in nonnegative matrix factorization with
    the beta-divergence", IEEE TPAMI 35(7), 2013.

    Examples
    --------
    >>> Prior.of(np.ones((10, 20)), 4, shape=6.0, norm=1)
    Prior(norm=1, b=2.236..., c=37.0)
    """

    norm: int
    b: float
    c: float

    @classmethod
    def of(cls, V: NDArray[Any], rank: int, *, shape: float, norm: int) -> Prior:
        """Choose b such that the prior's mean of W H is the mean of V."""
        mean = float(V.mean(dtype=np.float64)) or 1.0  # silence has no scale
        if norm == 1:
            b = float(np.sqrt((shape - 1) * (shape - 2) * mean / rank))
            return cls(norm, b, sum(V.shape) + shape + 1)
        return cls(norm, float(np.pi / 2 * (shape - 1) * mean / rank), sum(V.shape) / 2 + shape + 1)

    @property
    def bound(self) -> float:
        """The scale of a component that was switched off."""
        return self.b / self.c

    def sizes(self, W: NDArray[Any], H: NDArray[Any]) -> Sizes:
        """Return the sizes of templates and activations, shape (2, components)."""
        pair = np.power(W, self.norm, dtype=np.float64), np.power(H, self.norm, dtype=np.float64)
        return np.array([pair[0].sum(axis=0), pair[1].sum(axis=1)]) / self.norm

    def scales(self, sizes: Sizes) -> NDArray[np.float64]:
        """Return the scales of lowest cost for given sizes: the closed form."""
        return np.asarray((sizes.sum(axis=0) + self.b) / self.c)

    def cost(self, sizes: Sizes, scales: NDArray[np.float64]) -> float:
        """Return the prior's part of the objective."""
        return float(np.sum((sizes.sum(axis=0) + self.b) / scales + self.c * np.log(scales)))

    def penalties(self, scales: NDArray[np.float64], dispersion: float) -> Penalties:
        """Return what the scales make of the sizes, in units of the divergence."""
        weights = dispersion / scales
        if self.norm == 1:
            return Penalties(l1_W=weights, l1_H=weights)
        return Penalties(l2_W=weights, l2_H=weights)

    def balanced(self, W: NDArray[Any], H: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Share each component's level out such that its template and its activation are of one size.

        No step of the paper's: of all ways to share a level out this has the lowest cost, and the paper's
        updates only creep towards it.
        """
        ours, theirs = self.sizes(W, H)
        alive = (ours > 0) & (theirs > 0)
        gain = np.divide(theirs, ours, out=np.ones_like(ours), where=alive) ** (0.5 / self.norm)
        return W * gain, H / gain[:, None]


def estimated_dispersion(V: NDArray[Any], factorization: Factorization) -> float:
    """Return the mean of the squared residuals over P^(2 - beta), P = W H, for each degree of freedom.

    In units of V to the power beta. A fit that is exact in float32 has the dispersion of float32's rounding.
    """
    beta, (bins, frames) = factorization.divergence.beta, V.shape
    mean = float(V.mean(dtype=np.float64)) or 1.0
    lift, total = factorization.divergence.floor * mean, 0.0
    for start in range(0, frames, _PIECE):
        part = slice(start, start + _PIECE)
        model = factorization.W.astype(np.float64) @ factorization.H[:, part] + lift
        observed = V[:, part] + (lift if beta < 1 else 0.0)
        total += float(np.sum((observed - model) ** 2 * model ** (beta - 2)))
    freedom = max(V.size - factorization.rank * (bins + frames - factorization.rank), _LEAST_FREEDOM * V.size)
    return float(max(total / freedom, np.finfo(np.float32).eps * mean**beta))
