"""Sums over the stored entries of a sparse V, for the updates of W and H.

With Kullback-Leibler an update needs the model W H at the stored entries alone, since elsewhere V / (W H) is
zero, and otherwise sums of the factors. With the Euclidean distance it needs products of V with a factor, and
of a factor with itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmfaudio.nmf.entrywise import Bounds, Products, run_portions
from nmfaudio.nmf.initialize import Matrix
from nmfaudio.nmf.problem import Problem
from nmfaudio.nmf.sparse import SparseFrames, portions
from nmfaudio.nmf.threads import WorkerPool

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

    def summary(self, W: Matrix, pool: WorkerPool | None) -> Any:
        """Return the sums of the templates with Kullback-Leibler, and products at beta 2."""
        if self._likelihood:
            return _sums_of(W)
        numerator = self._values(self._V.by_frame, W, self.frame_portions, pool)
        return Products(numerator, W.T @ W)

    def project(
        self, W: Matrix, summary: Any, H: Matrix, portion: Bounds, measure: bool
    ) -> tuple[NDArray[Any], NDArray[Any], float]:
        """Return numerator, denominator and objective of a portion of the frames, for the update of H."""
        if self._likelihood:
            above, objective = self._quotients(self._V.by_frame, H, W, portion, measure)
            return above, summary, objective
        h, above = H[slice(*portion)], summary.numerator[slice(*portion)]
        return above, h @ summary.products, _minus_product(h, above) if measure else 0.0

    def gather(
        self, W: Matrix, H: Matrix, pool: WorkerPool | None, measure: bool
    ) -> tuple[NDArray[Any], NDArray[Any], float]:
        """Return numerator, denominator and objective for the update of W, (bins, components)."""
        by_bin = self._V.by_bin
        if self._likelihood:
            parts = run_portions(
                lambda portion: self._quotients(by_bin, W, H, portion, measure), self._bin_portions, pool
            )
            above, objectives = zip(*parts, strict=True)
            return np.concatenate(above), _sums_of(H), sum(objectives)
        numerator = self._values(by_bin, H, self._bin_portions, pool)
        return numerator, W @ (H.T @ H), _minus_product(W, numerator) if measure else 0.0

    def constant(self, W: Matrix, H: Matrix) -> float:
        """Return the part of the objective that is not a sum over stored entries."""
        if self._likelihood:
            frames, bins = self._V.shape
            total = W.sum(axis=0, dtype=np.float64) @ H.sum(axis=0, dtype=np.float64)
            return float(total + float(self._floor) * frames * bins)
        return float(np.vdot(_products(W), _products(H)) + self._V.squares) / 2

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

    def _values(self, matrix: Any, Y: Matrix, bounds: Sequence[Bounds], pool: WorkerPool | None) -> Matrix:
        """Return the product of a matrix and a factor with a row for each column of the matrix."""
        from nmfaudio.nmf.sparse_kernels import project_values  # loads numba

        product = np.empty((matrix.shape[0], Y.shape[1]), np.float32)

        def multiply(portion: Bounds) -> None:
            start, stop = portion
            project_values(
                matrix.indptr[start : stop + 1], matrix.indices, matrix.data, Y, product[start:stop]
            )

        run_portions(multiply, bounds, pool)
        return product


def _sums_of(factor: Matrix) -> Matrix:
    """Return the sum of each component, in one row."""
    return np.asarray(factor.sum(axis=0, keepdims=True, dtype=np.float64), np.float32)


def _minus_product(factor: Matrix, numerator: Matrix) -> float:
    return -float(np.einsum("nk,nk->", factor, numerator, dtype=np.float64))


def _products(factor: Matrix) -> NDArray[np.float64]:
    """Return the products of all pairs of components, (components, components)."""
    products = np.zeros((factor.shape[1], factor.shape[1]))
    for start in range(0, len(factor), _PIECE):
        part = factor[start : start + _PIECE].astype(np.float64)
        products += part.T @ part
    return products
