"""The numba loops over the stored entries of a sparse matrix.

A sparse matrix is given by `bounds`, `positions` and `values` as in CSR: row n has its entries at
`bounds[n]` to `bounds[n + 1]`. One factor, X, has a row for each row of the matrix; the other one, Y, has a
row for each column. The update of the activations reads the frames of V as rows, and the update of the
templates reads its bins as rows: both are the same loop, and no two calls write to the same row.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from nmfaudio.nmf.kernels import logarithm

Rows = NDArray[np.float32]

_compile = numba.njit(
    cache=True, nogil=True, error_model="numpy", fastmath={"contract", "reassoc"}
)  # reassoc: the sums over components use vector registers; their order is fixed by the number of components


@_compile
def project_quotients(
    bounds: NDArray[Any],
    positions: NDArray[Any],
    values: Rows,
    X: Rows,
    Y: Rows,
    floor: np.float32,
    gain: Rows,
    measure: bool,
) -> float:
    """Write to rows of `gain` the sum of y v / (x y + floor) over each row's stored entries.

    Returns the sum of v log(v / (x y + floor)) - v over these entries, or 0 unless `measure`.
    """
    rank, total = X.shape[1], np.float64(0)
    for n in range(len(gain)):
        x, above = X[n], gain[n]
        for k in range(rank):
            above[k] = np.float32(0)
        for i in range(bounds[n], bounds[n + 1]):
            y, model = Y[np.uint64(positions[i])], np.float32(0)
            for k in range(rank):
                model += x[k] * y[k]
            quotient = values[i] / (model + floor)
            for k in range(rank):
                above[k] += quotient * y[k]
            if measure:
                total += np.float64(values[i]) * np.float64(logarithm(quotient) - np.float32(1))
    return total


@_compile
def project_values(
    bounds: NDArray[Any],
    positions: NDArray[Any],
    values: Rows,
    Y: Rows,
    gain: Rows,
) -> None:
    """Write to rows of `gain` the sum of y v over each row's stored entries."""
    rank = Y.shape[1]
    for n in range(len(gain)):
        above = gain[n]
        for k in range(rank):
            above[k] = np.float32(0)
        for i in range(bounds[n], bounds[n + 1]):
            y, value = Y[np.uint64(positions[i])], values[i]
            for k in range(rank):
                above[k] += value * y[k]
