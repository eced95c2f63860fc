"""Updates of a factor of a sparse matrix, given the other factor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nmfaudio.nmf.entrywise import Bounds, run_portions
from nmfaudio.nmf.initialize import Matrix
from nmfaudio.nmf.layout import Change, StoredRows, aligned
from nmfaudio.nmf.threads import WorkerPool


class _Rows:
    """A factor Y whose rows are padded to whole panels, with what updates of the other factor need of it.

    Attributes
    ----------
    padded : ndarray of float32, shape (rows, width)
        Y, with zeros at the ends of its rows.
    largest : ndarray of float32, shape (components,)
        Largest entry of each component.
    sums : ndarray of float64, shape (components,)
    products : ndarray of float64, shape (width * width,)
        Products of all pairs of components, in panels; empty if they are not asked for.
    """

    def __init__(self, Y: Matrix, *, products: bool) -> None:
        from nmfaudio.nmf.intrinsics import PANEL, ROWS
        from nmfaudio.nmf.sparse_kernels import prepare_rows  # loads numba

        rows, rank = Y.shape
        self.padded = aligned(rows, rank, max(PANEL, ROWS))
        width = self.padded.shape[1]
        largest, sums = np.zeros(width, np.float32), np.zeros(width)
        self.products = np.zeros(width * width if products else 0)
        prepare_rows(Y, self.padded, largest, sums, self.products)
        self.largest, self.sums = largest[:rank], sums[:rank]


class _Update:
    """What the updates of a factor X have in common.

    Parameters
    ----------
    matrix : scipy.sparse.csr_array, shape (rows, columns)
    Y : ndarray of float32, shape (columns, components)
    portions : sequence of tuple
        Bounds of rows that are updated together.
    products : bool
        Whether products of all pairs of components of Y are needed.
    """

    def __init__(self, matrix: Any, Y: Matrix, portions: Sequence[Bounds], *, products: bool) -> None:
        self._matrix, self._portions = matrix, portions
        self._rows = _Rows(Y, products=products)

    @property
    def largest(self) -> Matrix:
        """Largest entry of each component of the other factor."""
        return self._rows.largest

    def _sum(
        self, task: Callable[[slice, StoredRows, Change], float], change: Change, pool: WorkerPool | None
    ) -> float:
        """Call a task with each portion, its stored rows and its change; return the sum of its results."""

        def run(portion: Bounds) -> float:
            return task(slice(*portion), StoredRows.of(self._matrix, *portion), change.of_rows(*portion))

        return float(sum(run_portions(run, self._portions, pool)))


class Products(_Update):
    """The update of a factor X at beta 2, by products of all pairs of components.

    The numerator is the product of the matrix and Y, whatever X is: the first update may keep it.

    Parameters
    ----------
    matrix, Y, portions
        As for all updates.
    squares : callable
        Returns the sum of the squares of all entries of the matrix.
    keep : bool
        Whether to keep the numerator for later updates, which takes memory.
    """

    def __init__(
        self,
        matrix: Any,
        Y: Matrix,
        portions: Sequence[Bounds],
        squares: Callable[[], float],
        *,
        keep: bool,
    ) -> None:
        super().__init__(matrix, Y, portions, products=True)
        self._squares, self._has_numerator = squares, False
        self._numerator = aligned(matrix.shape[0] if keep else 0, self._rows.padded.shape[1])

    def multiply(
        self, X: Matrix, change: Change, steps: int, pool: WorkerPool | None, *, measure: bool = False
    ) -> float:
        """Update X in place so many times: see `entrywise.FactorUpdate`."""
        from nmfaudio.nmf.sparse_kernels import update_by_products  # loads numba

        Y, products, known = self._rows.padded, self._rows.products.astype(np.float32), self._has_numerator

        def task(here: slice, matrix: StoredRows, part: Change) -> float:
            above = self._numerator[here]
            return float(update_by_products(matrix, Y, products, above, known, X[here], part, steps, measure))

        total = self._sum(task, change, pool)
        self._has_numerator = len(self._numerator) > 0
        return total

    def constant(self, X: Matrix, other: Products | None = None) -> float:
        """Return the part of the objective that is not a sum over stored entries."""
        rows = _Rows(X, products=True) if other is None else other._rows
        return float(self._rows.products @ rows.products + self._squares()) / 2


class Quotients(_Update):
    """The update of a factor X at beta 1, by quotients of the stored entries and their models.

    Parameters
    ----------
    matrix, Y, portions
        As for all updates.
    floor : float
        Number that is added to each entry of the model.
    """

    def __init__(self, matrix: Any, Y: Matrix, portions: Sequence[Bounds], floor: float) -> None:
        super().__init__(matrix, Y, portions, products=False)
        self._floor = floor

    def multiply(
        self, X: Matrix, change: Change, steps: int, pool: WorkerPool | None, *, measure: bool = False
    ) -> float:
        """Update X in place so many times: see `entrywise.FactorUpdate`."""
        from nmfaudio.nmf.sparse_kernels import update_by_quotients  # loads numba

        Y, sums, floor = self._rows.padded, self._rows.sums.astype(np.float32), self._floor

        def task(here: slice, matrix: StoredRows, part: Change) -> float:
            return float(update_by_quotients(matrix, Y, sums, floor, X[here], part, steps, measure))

        return self._sum(task, change, pool)

    def constant(self, X: Matrix, other: Quotients | None = None) -> float:
        """Return the part of the objective that is not a sum over stored entries."""
        rows, columns = self._matrix.shape
        sums = X.sum(axis=0, dtype=np.float64) if other is None else other._rows.sums
        return float(self._rows.sums @ sums + self._floor * rows * columns)
