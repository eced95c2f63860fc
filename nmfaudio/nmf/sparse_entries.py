"""Sums over the stored entries of a sparse V, for the updates of W and H.

With Kullback-Leibler an update needs the model W H at the stored entries alone, since elsewhere V / (W H) is
zero, and otherwise sums of the factors. With the Euclidean distance it needs products of V with a factor, and
of a factor with itself.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from nmfaudio.nmf.entrywise import Bounds, Quotient, run_portions
from nmfaudio.nmf.initialize import Matrix
from nmfaudio.nmf.problem import Problem
from nmfaudio.nmf.sparse import SparseFrames, portions
from nmfaudio.nmf.sparse_products import Products, squares_of
from nmfaudio.nmf.threads import WorkerPool


class StoredEntries:
    """The entries of a sparse V, at beta 1 or 2.

    Parameters
    ----------
    problem : Problem
        Whose V is a `SparseFrames`.
    """

    def __init__(self, problem: Problem) -> None:
        self._V: SparseFrames = problem.V
        self._likelihood = problem.divergence.beta == 1
        self._floor = np.float32(problem.divergence.floor)
        self.frame_portions = portions(self._V.by_frame)

    def summary(self, W: Matrix, pool: WorkerPool | None) -> Any:
        """Return the sums of the templates with Kullback-Leibler, and `Products` at beta 2."""
        if self._likelihood:
            return _sums_of(W)
        return Products(self._V.by_frame, W, self.frame_portions)

    def project(self, W: Matrix, summary: Any, H: Matrix, portion: Bounds) -> Quotient:
        """Return numerator and denominator of a portion of the frames, for the update of H at beta 1."""
        return self._quotients(self._V.by_frame, H, W, portion, False)[0], summary

    def measure(self, W: Matrix, summary: Any, H: Matrix, pool: WorkerPool | None) -> float:
        """Return the objective of all portions, after an update of H with the same summary."""
        if isinstance(summary, Products):
            return summary.minus_product(H)
        by_frame = self._V.by_frame
        parts = run_portions(
            lambda portion: self._quotients(by_frame, H, W, portion, True)[1], self.frame_portions, pool
        )
        return sum(parts)

    def gather(
        self, W: Matrix, H: Matrix, pool: WorkerPool | None, measure: bool
    ) -> tuple[Quotient | Products, float]:
        """Return what the update of W, (bins, components), needs, and the objective."""
        by_bin = self._V.by_bin
        if self._likelihood:
            parts = run_portions(
                lambda portion: self._quotients(by_bin, W, H, portion, measure), self._bin_portions, pool
            )
            above, objectives = zip(*parts, strict=True)
            return (np.concatenate(above), _sums_of(H)), sum(objectives)
        return Products(by_bin, H, self._bin_portions), 0.0

    def constant(self, W: Matrix, summary: Any, H: Matrix) -> float:
        """Return the part of the objective that is not a sum over stored entries."""
        if self._likelihood:
            frames, bins = self._V.shape
            total = W.sum(axis=0, dtype=np.float64) @ H.sum(axis=0, dtype=np.float64)
            return float(total + float(self._floor) * frames * bins)
        return float(np.vdot(summary.squares, squares_of(H)) + self._V.squares) / 2

    @cached_property
    def _bin_portions(self) -> list[Bounds]:
        return portions(self._V.by_bin)

    def _quotients(
        self, matrix: Any, X: Matrix, Y: Matrix, portion: Bounds, measure: bool
    ) -> tuple[Matrix, float]:
        """Return numerator and objective of some rows of X, which has a row for each row of the matrix."""
        from nmfaudio.nmf.sparse_kernels import project_quotients  # loads numba

        start, stop = portion
        above, bounds = np.empty((stop - start, X.shape[1]), np.float32), matrix.indptr[start : stop + 1]
        stored = bounds, matrix.indices, matrix.data
        objective = project_quotients(*stored, X[start:stop], Y, self._floor, above, measure)
        return above, float(objective)


def _sums_of(factor: Matrix) -> Matrix:
    """Return the sum of each component, in one row."""
    return np.asarray(factor.sum(axis=0, keepdims=True, dtype=np.float64), np.float32)
