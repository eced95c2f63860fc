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

_TOGETHER = 32  # rows whose entries are one loop: a multiple of the numbers in any vector register

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
    """Write to rows of `gain` the sum of y v over each row's stored entries, four entries at a time."""
    rank = Y.shape[1]
    for n in range(len(gain)):
        above, first, last = gain[n], bounds[n], bounds[n + 1]
        for k in range(rank):
            above[k] = np.float32(0)
        whole = last - (last - first) % 4
        for i in range(first, whole, 4):
            a, b = Y[np.uint64(positions[i])], Y[np.uint64(positions[i + 1])]
            c, d = Y[np.uint64(positions[i + 2])], Y[np.uint64(positions[i + 3])]
            s, t, u, v = values[i], values[i + 1], values[i + 2], values[i + 3]
            for k in range(rank):
                above[k] += (s * a[k] + t * b[k]) + (u * c[k] + v * d[k])
        for i in range(whole, last):
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
    become zero; where the denominator is zero, the quotient is `dead`. All arrays are contiguous: some rows
    at a time are one long loop, which uses vector registers whatever the number of components is.
    """
    rank, shared = X.shape[1], len(below) == 1
    length, size = _TOGETHER * rank, X.size
    repeated, ratio = np.empty((4, length), np.float32), np.empty(length, np.float32)
    for i in range(length):
        k = i % rank
        repeated[0, i], repeated[1, i], repeated[2, i] = linear[k], quadratic[k], least[k]
        repeated[3, i] = below[0, k]
    x, numerator, denominator = X.reshape(size), above.reshape(size), below.reshape(below.size)
    for first in range(0, size, length):
        here = slice(first, min(first + length, size))
        _multiply(
            x[here], numerator[here], repeated[3] if shared else denominator[here],
            repeated[0], repeated[1], repeated[2], exponent, np.float32(dead), ratio,
        )  # fmt: skip


@_compile
def _multiply(
    x: Rows, above: Rows, below: Rows, linear: Rows, quadratic: Rows, least: Rows, exponent: float,
    dead: np.float32, ratio: Rows,
) -> None:  # fmt: skip
    """Do the same for entries that stand in a row."""
    for i in range(x.size):
        denominator = below[i] + linear[i] + quadratic[i] * x[i]
        ratio[i] = above[i] / denominator if denominator > 0 else dead
    if exponent != 1:
        for i in range(x.size):
            ratio[i] = ratio[i] ** np.float32(exponent)
    for i in range(x.size):
        moved = x[i] * ratio[i]
        x[i] = moved if moved >= least[i] else np.float32(0)
