"""Sums over the entries of a V with a weight for each, for the updates of W and H."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nmfaudio.nmf.divergence import Divergence
from nmfaudio.nmf.entrywise import Bounds, Quotient, run_portions
from nmfaudio.nmf.initialize import Matrix
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

    @property
    def frame_portions(self) -> list[Bounds]:
        """Portions of the frames."""
        return _bounds(len(self.V), -(-len(self.V) // _PORTIONS))

    def summary(self, W: Matrix, pool: WorkerPool | None) -> Matrix:
        """Return the templates transposed."""
        return np.ascontiguousarray(W.T)

    def project(self, W: Matrix, summary: Matrix, H: Matrix, portion: Bounds) -> Quotient:
        """Return numerator and denominator of a portion of the frames, for the update of H."""
        start, stop = portion
        sums = np.empty((2, stop - start, H.shape[1]), np.float32)
        for first, last in _bounds(stop - start, _BLOCK):
            above, below, _ = self._block(summary, H, start + first, start + last, False)
            np.matmul(above, W, out=sums[0, first:last])
            np.matmul(below, W, out=sums[1, first:last])
        return sums[0], sums[1]

    def measure(self, W: Matrix, summary: Matrix, H: Matrix, pool: WorkerPool | None) -> float:
        """Return the objective of all portions."""

        def measure_portion(portion: Bounds) -> float:
            start, stop = portion
            return sum(
                self._block(summary, H, start + first, start + last, True)[2]
                for first, last in _bounds(stop - start, _BLOCK)
            )

        return sum(run_portions(measure_portion, self.frame_portions, pool))

    def gather(self, W: Matrix, H: Matrix, pool: WorkerPool | None, measure: bool) -> tuple[Quotient, float]:
        """Return what the update of W, (bins, components), needs, and the objective."""
        T = self.summary(W, pool)

        def gather_portion(portion: Bounds) -> tuple[NDArray[Any], NDArray[Any], float]:
            sums, objective = np.zeros((2, *W.shape), np.float32), 0.0
            for first, last in _bounds(portion[1] - portion[0], _BLOCK):
                start, stop = portion[0] + first, portion[0] + last
                above, below, part = self._block(T, H, start, stop, measure)
                sums[0] += above.T @ H[start:stop]
                sums[1] += below.T @ H[start:stop]
                objective += part
            return sums[0], sums[1], objective

        above, below, objectives = zip(*run_portions(gather_portion, self.frame_portions, pool), strict=True)
        return (np.sum(above, axis=0), np.sum(below, axis=0)), sum(objectives)

    def constant(self, W: Matrix, summary: Matrix, H: Matrix) -> float:
        """Return 0: all of the objective is a sum over portions."""
        return 0.0

    def _block(
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


def _bounds(count: int, length: int) -> list[Bounds]:
    return [(start, min(start + length, count)) for start in range(0, count, length)]
