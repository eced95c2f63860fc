"""The numba loops over the stored entries of a sparse matrix.

A sparse matrix is given by `bounds`, `positions` and `values` as in CSR: row n has its entries at
`bounds[n]` to `bounds[n + 1]`. One factor, X, has a row for each row of the matrix; the other one, Y, has a
row for each column. The update of the activations reads the frames of V as rows, and the update of the
templates reads its bins as rows: both are the same loop, and no two calls write to the same row.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmfaudio.nmf.compilation import compiled
from nmfaudio.nmf.logarithm_kernels import logarithm

Rows = NDArray[np.float32]

# Sums over components use vector registers; their order is fixed by the number of components.
_compile = compiled(reassociate=True)


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


@_compile
def multiply_rows(
    X: Rows,
    above: Rows,
    below: Rows,
    linear: Rows,
    quadratic: Rows,
    least: Rows,
    exponent: float,
    dead: float,
) -> None:
    """Multiply X by above / (below + linear + quadratic X), to a power.

    `below` has a row for each row of X, or one for all. Entries under `least`, one number for each component,
    become zero; where the denominator is zero, the quotient is `dead`.
    """
    shared = len(below) == 1
    for n in range(len(X)):
        x, numerator, denominators = X[n], above[n], below[0 if shared else n]
        for k in range(X.shape[1]):
            denominator = denominators[k] + linear[k] + quadratic[k] * x[k]
            ratio = numerator[k] / denominator if denominator > 0 else np.float32(dead)
            if exponent != 1:
                ratio = ratio ** np.float32(exponent)
            moved = x[k] * ratio
            x[k] = moved if moved >= least[k] else np.float32(0)


@_compile
def descend_rows(
    X: Rows, above: Rows, products: Rows, linear: Rows, quadratic: Rows, least: Rows,
    exponent: float, dead: float, steps: int,
) -> None:  # fmt: skip
    """Do the same so many times with the denominator X products, the one of the Euclidean distance."""
    rank = X.shape[1]
    below = np.empty((1, rank), np.float32)
    for n in range(len(X)):
        for _ in range(steps):
            for k in range(rank):
                below[0, k] = np.float32(0)
            for j in range(rank):
                x, row = X[n, j], products[j]
                for k in range(rank):
                    below[0, k] += x * row[k]
            multiply_rows(X[n : n + 1], above[n : n + 1], below, linear, quadratic, least, exponent, dead)
