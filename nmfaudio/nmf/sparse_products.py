"""Updates of a factor of a sparse matrix, given the other factor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nmfaudio.nmf.entrywise import Bounds, Change, run_portions
from nmfaudio.nmf.initialize import Matrix
from nmfaudio.nmf.layout import aligned
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


class Products:
    """The update of a factor X at beta 2, by products of all pairs of components.

    The numerator is the product of the matrix and Y, whatever X is: the first update may keep it.

    Parameters
    ----------
    matrix : scipy.sparse.csr_array, shape (rows, columns)
    Y : ndarray of float32, shape (columns, components)
    portions : sequence of tuple
        Bounds of rows that are updated together.
    squares : float
        Sum of the squares of all entries of the matrix.
    keep : bool
        Whether to keep the numerator for later updates, which takes memory.
    """

    def __init__(
        self, matrix: Any, Y: Matrix, portions: Sequence[Bounds], squares: float, *, keep: bool
    ) -> None:
        self._matrix, self._portions, self._squares = matrix, portions, squares
        self._rows, self._has_numerator = _Rows(Y, products=True), False
        self._numerator = aligned(matrix.shape[0] if keep else 0, self._rows.padded.shape[1])

    @property
    def largest(self) -> Matrix:
        """Largest entry of each component of the other factor."""
        return self._rows.largest

    def multiply(
        self, X: Matrix, change: Change, steps: int, pool: WorkerPool | None, *, measure: bool = False
    ) -> float:
        """Update X in place so many times: see `entrywise.FactorUpdate`."""
        from nmfaudio.nmf.sparse_kernels import update_by_products  # loads numba

        matrix, weights = self._matrix, change.weights
        products = self._rows.products.astype(np.float32)

        def multiply_portion(portion: Bounds) -> float:
            start, stop = portion
            part = change.penalty.of_frames(start, stop)
            total: float = update_by_products(
                matrix.indptr[start : stop + 1], matrix.indices, matrix.data, self._rows.padded,
                products,
                self._numerator[start:stop], self._has_numerator, X[start:stop], weights, part.entries,
                part.pull, change.exponent, change.dead, steps, measure,
            )  # fmt: skip
            return total

        parts = run_portions(multiply_portion, self._portions, pool)
        self._has_numerator = len(self._numerator) > 0
        return float(sum(parts))

    def constant(self, X: Matrix) -> float:
        """Return the part of the objective that is not a sum over stored entries."""
        return float(self._rows.products @ _Rows(X, products=True).products + self._squares) / 2


class Quotients:
    """The update of a factor X at beta 1, by quotients of the stored entries and their models.

    Parameters
    ----------
    matrix : scipy.sparse.csr_array, shape (rows, columns)
    Y : ndarray of float32, shape (columns, components)
    portions : sequence of tuple
        Bounds of rows that are updated together.
    floor : float
        Number that is added to each entry of the model.
    """

    def __init__(self, matrix: Any, Y: Matrix, portions: Sequence[Bounds], floor: float) -> None:
        self._matrix, self._portions, self._floor = matrix, portions, floor
        self._rows = _Rows(Y, products=False)

    @property
    def largest(self) -> Matrix:
        """Largest entry of each component of the other factor."""
        return self._rows.largest

    def multiply(
        self, X: Matrix, change: Change, steps: int, pool: WorkerPool | None, *, measure: bool = False
    ) -> float:
        """Update X in place so many times: see `entrywise.FactorUpdate`."""
        from nmfaudio.nmf.sparse_kernels import update_by_quotients  # loads numba

        matrix, weights = self._matrix, change.weights
        sums, floor = self._rows.sums.astype(np.float32), np.float32(self._floor)

        def multiply_portion(portion: Bounds) -> float:
            start, stop = portion
            part = change.penalty.of_frames(start, stop)
            total: float = update_by_quotients(
                matrix.indptr[start : stop + 1], matrix.indices, matrix.data, self._rows.padded, sums, floor,
                X[start:stop], weights, part.entries, part.pull, change.exponent, change.dead, steps, measure,
            )  # fmt: skip
            return total

        return float(sum(run_portions(multiply_portion, self._portions, pool)))

    def constant(self, X: Matrix) -> float:
        """Return the part of the objective that is not a sum over stored entries."""
        rows, columns = self._matrix.shape
        return float(self._rows.sums @ X.sum(axis=0, dtype=np.float64) + self._floor * rows * columns)
