"""Sums over the stored entries of a sparse V, for the updates of W and H.

With Kullback-Leibler an update needs the model W H at the stored entries alone, since elsewhere V / (W H) is
zero, and otherwise sums of the factors. With the Euclidean distance it needs products of V with a factor, and
of a factor with itself.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmfaudio.nmf.entrywise import Bounds, run_portions
from nmfaudio.nmf.initialize import Matrix
from nmfaudio.nmf.problem import Problem
from nmfaudio.nmf.sparse import SparseFrames, portions
from nmfaudio.nmf.sparse_kernels import project_quotients, project_values

_PIECE = 65536  # rows of a factor that are converted to float64 at a time


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

    def summary(self, factor: Matrix) -> NDArray[Any]:
        """Return a factor's sums with Kullback-Leibler, and the products of its components at beta 2."""
        if self._likelihood:
            return factor.sum(axis=0, dtype=np.float64).astype(np.float32)
        return factor.T @ factor

    def project(
        self, W: Matrix, summary: NDArray[Any], H: Matrix, portion: Bounds, measure: bool
    ) -> tuple[NDArray[Any], NDArray[Any], float]:
        """Return numerator, denominator and objective of a portion of the frames, for the update of H."""
        return self._sums(self._V.by_frame, H, W, summary, portion, measure)

    def gather(
        self, W: Matrix, H: Matrix, pool: ThreadPoolExecutor | None, measure: bool
    ) -> tuple[NDArray[Any], NDArray[Any], float]:
        """Return numerator, denominator and objective for the update of W, (bins, components)."""
        by_bin, summary = self._V.by_bin, self.summary(H)
        parts = run_portions(
            lambda portion: self._sums(by_bin, W, H, summary, portion, measure), portions(by_bin), pool
        )
        above, below, objectives = zip(*parts, strict=True)
        return np.concatenate(above), np.concatenate(below), sum(objectives)

    def constant(self, W: Matrix, H: Matrix) -> float:
        """Return the part of the objective that is not a sum over stored entries."""
        if self._likelihood:
            frames, bins = self._V.shape
            total = W.sum(axis=0, dtype=np.float64) @ H.sum(axis=0, dtype=np.float64)
            return float(total + float(self._floor) * frames * bins)
        return float(np.vdot(_products(W), _products(H)) + self._V.squares) / 2

    def _sums(
        self, matrix: Any, X: Matrix, Y: Matrix, summary: NDArray[Any], portion: Bounds, measure: bool
    ) -> tuple[NDArray[Any], NDArray[Any], float]:
        """Return the sums for the update of rows of X, which has a row for each row of the matrix."""
        start, stop = portion
        above = np.empty((stop - start, X.shape[1]), np.float32)
        bounds = matrix.indptr[start : stop + 1]
        if self._likelihood:
            objective = project_quotients(
                bounds, matrix.indices, matrix.data, X[start:stop], Y, self._floor, above, measure
            )
            return above, np.broadcast_to(summary, above.shape), float(objective)
        project_values(bounds, matrix.indices, matrix.data, Y, above)
        objective = -np.einsum("nk,nk->", X[start:stop], above, dtype=np.float64) if measure else 0.0
        return above, X[start:stop] @ summary, float(objective)


def _products(factor: Matrix) -> NDArray[np.float64]:
    """Return the products of all pairs of components, (components, components)."""
    products = np.zeros((factor.shape[1], factor.shape[1]))
    for start in range(0, len(factor), _PIECE):
        part = factor[start : start + _PIECE].astype(np.float64)
        products += part.T @ part
    return products
