"""Sums over the entries of a V with a weight for each, for the updates of W and H."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from nmfaudio.nmf.divergence import Divergence
from nmfaudio.nmf.entrywise import Bounds, FactorUpdate, run_portions
from nmfaudio.nmf.initialize import Matrix
from nmfaudio.nmf.layout import Change, largest_entries
from nmfaudio.nmf.threads import WorkerPool

_PORTIONS: Final = 8  # of the frames; their sums are added in order, so that threads change no bit
_BLOCK: Final = 96  # frames at a time: the model of a block stays in the cache


@dataclass(frozen=True)
class WeightedEntries:
    """The entries of a V with a weight for each.

    Attributes
    ----------
    V, weights : ndarray of float32, shape (frames, bins)
    scale : float
        Factor that V is multiplied by.
    divergence : Divergence
    """

    V: Matrix
    weights: Matrix
    scale: float
    divergence: Divergence

    def activations(self, W: Matrix, *, fixed: bool) -> FactorUpdate:
        """Return the update of H, (frames, components)."""
        return _Activations(self, W, np.ascontiguousarray(W.T))

    def templates(self, H: Matrix) -> FactorUpdate:
        """Return the update of W, (bins, components)."""
        return _Templates(self, H)

    @property
    def portions(self) -> list[Bounds]:
        """Portions of the frames."""
        return _bounds(0, len(self.V), -(-len(self.V) // _PORTIONS))

    def block(
        self, T: Matrix, H: Matrix, start: int, stop: int, measure: bool
    ) -> tuple[Matrix, Matrix, float]:
        """Return weight V P^(beta - 2), weight P^(beta - 1) and the weighted divergence of some frames."""
        beta, floor = self.divergence.beta, np.float32(self.divergence.floor)
        weight, model = self.weights[start:stop], H[start:stop] @ T + floor
        data = self.V[start:stop] * np.float32(self.scale)
        if beta < 1:
            data += floor  # a datum of zero has no divergence below beta = 1
        objective = 0.0
        if measure:
            objective = float(np.vdot(weight.astype(np.float64), self.divergence.entries(data, model)))
        if beta == 2:
            return weight * data, weight * model, objective
        if beta == 1:
            return weight * data / model, weight, objective
        below = weight * model ** np.float32(beta - 1)
        return below * data / model, below, objective


@dataclass(frozen=True)
class _Activations:
    """The update of H, given W and its transpose."""

    entries: WeightedEntries
    W: Matrix
    T: Matrix

    @property
    def largest(self) -> Matrix:
        """Largest entry of each component of W."""
        return largest_entries(self.W)

    def multiply(
        self, X: Matrix, change: Change, steps: int, pool: WorkerPool | None, *, measure: bool = False
    ) -> float:
        """Update X in place so many times: see `entrywise.FactorUpdate`."""
        from nmfaudio.nmf.sparse_kernels import multiply_rows  # loads numba

        def multiply_portion(portion: Bounds) -> float:
            objective = 0.0
            for start, stop in _bounds(*portion, _BLOCK):
                x, here = X[start:stop], change.of_rows(start, stop)
                for step in range(max(steps, 1)):
                    measured = measure and step == 0
                    above, below, part = self.entries.block(self.T, X, start, stop, measured)
                    objective += part
                    if steps > 0:
                        multiply_rows(x, above @ self.W, below @ self.W, here)
            return objective

        return sum(run_portions(multiply_portion, self.entries.portions, pool))

    def constant(self, X: Matrix, other: Any = None) -> float:
        """Return 0: all of the objective is a sum over entries."""
        return 0.0


@dataclass(frozen=True)
class _Templates:
    """The update of W, given H."""

    entries: WeightedEntries
    H: Matrix

    @property
    def largest(self) -> Matrix:
        """Largest entry of each component of H."""
        return largest_entries(self.H)

    def multiply(
        self, X: Matrix, change: Change, steps: int, pool: WorkerPool | None, *, measure: bool = False
    ) -> float:
        """Update X in place so many times: see `entrywise.FactorUpdate`."""
        from nmfaudio.nmf.sparse_kernels import multiply_rows  # loads numba

        objective = 0.0
        for step in range(steps):
            above, below, part = self._sums(X, pool, measure and step == 0)
            multiply_rows(X, above, below, change)
            objective += part
        return objective

    def _sums(self, W: Matrix, pool: WorkerPool | None, measure: bool) -> tuple[Matrix, Matrix, float]:
        """Return numerator and denominator of all templates, and the objective."""
        H, T = self.H, np.ascontiguousarray(W.T)

        def sum_portion(portion: Bounds) -> tuple[Matrix, float]:
            sums, objective = np.zeros((2, *W.shape), np.float32), 0.0
            for start, stop in _bounds(*portion, _BLOCK):
                above, below, part = self.entries.block(T, H, start, stop, measure)
                sums[0] += above.T @ H[start:stop]
                sums[1] += below.T @ H[start:stop]
                objective += part
            return sums, objective

        sums, objectives = zip(*run_portions(sum_portion, self.entries.portions, pool), strict=True)
        above, below = np.sum(sums, axis=0)
        return above, below, sum(objectives)

    def constant(self, X: Matrix, other: Any = None) -> float:
        """Return 0: all of the objective is a sum over entries."""
        return 0.0


def _bounds(start: int, stop: int, length: int) -> list[Bounds]:
    return [(first, min(first + length, stop)) for first in range(start, stop, length)]
