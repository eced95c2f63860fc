"""Updates of a factor of a sparse matrix at beta 2, by products of all pairs of components."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmfaudio.nmf.initialize import Matrix
from nmfaudio.nmf.layout import LINE, Penalty, padded
from nmfaudio.nmf.threads import WorkerPool, share_out

_PIECE = 65536  # rows of a factor that are converted to float64 at a time
_LEAST_ROWS, _MOST_PORTIONS = 4096, 16  # where the numerator is known


class Products:
    """What the update of a factor X at beta 2 needs of the matrix and of the other factor Y.

    The numerator is the product of the matrix and Y, whatever X is, and is computed by the first update.

    Parameters
    ----------
    matrix : scipy.sparse.csr_array, shape (rows, columns)
    Y : ndarray of float32, shape (columns, components)
    portions : sequence of tuple
        Bounds of rows that are updated together while the numerator is computed.
    """

    def __init__(self, matrix: Any, Y: Matrix, portions: Sequence[tuple[int, int]]) -> None:
        self._matrix, self._portions, self._other = matrix, portions, Y
        self._Y, self._products = np.append(Y, np.zeros(LINE, np.float32)), padded(Y.T @ Y)
        self._numerator, self._has_numerator = np.empty((matrix.shape[0], Y.shape[1]), np.float32), False

    @cached_property
    def squares(self) -> NDArray[np.float64]:
        """Products of all pairs of components of Y, in float64."""
        return squares_of(self._other)

    def multiply(
        self,
        X: Matrix,
        penalty: Penalty,
        least: Matrix,
        exponent: float,
        dead: float,
        steps: int,
        pool: WorkerPool | None,
    ) -> None:
        """Update X, (rows, components), so many times in place: see `sparse_kernels.update_rows`."""
        from nmfaudio.nmf.sparse_kernels import update_rows  # loads numba

        matrix, portions = self._matrix, self._portions
        if self._has_numerator:
            portions = _equal(len(X))

        def multiply_portion(number: int) -> None:
            start, stop = portions[number]
            part = penalty.of_frames(start, stop)
            update_rows(
                matrix.indptr[start : stop + 1], matrix.indices, matrix.data, self._Y, self._products,
                self._numerator[start:stop], self._has_numerator, X[start:stop], part, least, exponent, dead,
                steps,
            )  # fmt: skip

        share_out(multiply_portion, len(portions), pool)
        self._has_numerator = True

    def minus_product(self, X: Matrix) -> float:
        """Return minus the product of the matrix and the model, after a first update."""
        return -float(np.einsum("nk,nk->", X, self._numerator, dtype=np.float64))


def _equal(rows: int) -> Sequence[tuple[int, int]]:
    """Return bounds of equal portions, few enough that a call takes much longer than to start it."""
    cuts = np.linspace(0, rows, max(1, min(rows // _LEAST_ROWS, _MOST_PORTIONS)) + 1).astype(int)
    return list(zip(cuts[:-1], cuts[1:], strict=True))


def squares_of(factor: Matrix) -> NDArray[np.float64]:
    """Return the products of all pairs of components, (components, components)."""
    products = np.zeros((factor.shape[1], factor.shape[1]))
    for start in range(0, len(factor), _PIECE):
        part = factor[start : start + _PIECE].astype(np.float64)
        products += part.T @ part
    return products
