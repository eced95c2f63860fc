"""A smooth gain over the rows for each group of fixed templates, by multiplicative updates.

The model of entry (f, n) is sum_k (B a_g(k))_f W_fk H_kn: `B` holds basis curves over the rows, `a_g` the
gains of group g. It is linear in the gains as it is in H, so the same multiplicative updates apply to both.
NumPy is fast enough here: the matrices have some hundred rows, and twenty updates are done once per mixture.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmfaudio.nmf.divergence import Divergence
from nmfaudio.nmf.solve import activate

_FIRST_ACTIVATION_UPDATES = 30  # updates of the activations alone, before the first update of the gains
_RELATIVE_FLOOR = 1e-9  # constant in the model, relative to the mean of V: it keeps quotients finite

Real = NDArray[np.float64]


@dataclass(frozen=True)
class GroupGains:
    """Gains of groups of templates.

    Attributes
    ----------
    values : ndarray, shape (groups, curves)
        Weight of each basis curve in the gain of each group; 1 leaves the templates as they are.
    objective : ndarray, shape (updates,)
        Divergence plus the penalty of the gains, before each update. It never rises.
    """

    values: Real
    objective: Real


def fit_group_gains(
    V: NDArray[Any],
    W: NDArray[Any],
    labels: NDArray[np.intp],
    basis: Real,
    *,
    beta: float = 1.0,
    hold: float = 0.1,
    iterations: int = 20,
    allowed: NDArray[np.bool_] | None = None,
) -> GroupGains:
    """Find the smooth gain of each group with which its templates explain V best.

    The objective is the beta-divergence plus hold * sum(V^beta) / curves * d(1 | a), summed over all gains a,
    with the same divergence d. The penalty acts as further measurements of each gain, all of which give 1.

    Parameters
    ----------
    V : ndarray, shape (rows, frames)
    W : ndarray, shape (rows, components)
    labels : ndarray of int, shape (components,)
        Group of each component, counted from 0; components with the label -1 have no gain.
    basis : ndarray, shape (rows, curves)
        Basis curves of the gains, not negative; each row sums to one.
    beta : float
        Parameter of the divergence.
    hold : float
        Weight of the penalty that holds the gains near 1.
    iterations : int
        Number of updates.
    allowed : ndarray of bool, shape (components, frames), optional
        Frames in which each component may be active.

    Returns
    -------
    GroupGains

    References
    ----------
    C. Fevotte and J. Idier, "Algorithms for nonnegative matrix factorization with the beta-divergence",
    Neural Computation 23(9), 2011 (the updates, which hold for every factor in which the model is linear).

    Examples
    --------
    >>> W, basis = np.ones((4, 1)), np.repeat(np.eye(2), 2, axis=0)
    >>> gains = fit_group_gains(np.array([[1.0], [1.0], [3.0], [3.0]]), W, np.zeros(1, int), basis, hold=1e-6)
    >>> (gains.values[0, 1] / gains.values[0, 0]).round(3)
    np.float64(3.0)
    """
    fit = _GainFit(V, W, labels, basis, beta, hold, allowed)
    objective = [fit.step() for _ in range(iterations)]
    return GroupGains(fit.gains, np.array(objective))


class _GainFit:
    """Activations and gains, updated in turn."""

    def __init__(
        self,
        V: NDArray[Any],
        W: NDArray[Any],
        labels: NDArray[np.intp],
        basis: Real,
        beta: float,
        hold: float,
        allowed: NDArray[np.bool_] | None,
    ) -> None:
        groups, curves = int(labels.max()) + 1, basis.shape[1]
        self.gains = np.ones((groups, curves))
        self._divergence, self._labels, self._basis = Divergence(beta), labels, basis
        self._floor = _RELATIVE_FLOOR * max(float(V.mean()), np.finfo(float).tiny)
        self._V = V.astype(np.float64) + (self._floor if beta < 1 else 0)
        self._W = W.astype(np.float64)
        self._penalty: float = hold * float((self._V**beta).sum()) / curves
        self._membership = (labels[:, None] == np.arange(groups)).astype(np.float64)
        first = activate(
            V, W, divergence=beta, allowed=allowed, iterations=_FIRST_ACTIVATION_UPDATES, tolerance=0
        )
        self._H = first.H.astype(np.float64)

    def step(self) -> float:
        """Update activations and gains once; return the objective before the update."""
        W = self._templates_with_gains()
        numerator, denominator, objective = self._quotient_parts(W)
        self._H *= self._update_factor(W.T @ numerator, W.T @ denominator)
        numerator, denominator, _ = self._quotient_parts(W)
        above, below = (self._sums_per_gain(part) for part in (numerator, denominator))
        beta, a = self._divergence.beta, self.gains
        pull = a ** (beta - 2)
        self.gains = a * self._update_factor(above + self._penalty * pull, below + self._penalty * pull * a)
        return objective + self._penalty * float(self._divergence.between(np.ones_like(a), a))

    def _templates_with_gains(self) -> Real:
        curves = np.vstack([self.gains @ self._basis.T, np.ones((1, len(self._W)))])
        return np.asarray(self._W * curves[self._labels].T)  # the label -1 is the last curve, which is 1

    def _quotient_parts(self, W: Real) -> tuple[Real, Real, float]:
        """Return V * P^(beta - 2) and P^(beta - 1) for the model P, and the divergence."""
        model = W @ self._H + self._floor
        denominator = model ** (self._divergence.beta - 1)
        divergence = float(self._divergence.between(self._V, model))
        return self._V * denominator / model, denominator, divergence

    def _sums_per_gain(self, part: Real) -> Real:
        """Return the sums of one part of the quotient that belong to each gain, shape (groups, curves)."""
        return np.asarray((self._basis.T @ (self._W * (part @ self._H.T)) @ self._membership).T)

    def _update_factor(self, above: Real, below: Real) -> Real:
        ratio = np.divide(above, below, out=np.ones_like(above), where=below > 0)
        return np.asarray(ratio**self._divergence.exponent)
