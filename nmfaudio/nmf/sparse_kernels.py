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

from nmfaudio.nmf.compilation import compiled
from nmfaudio.nmf.intrinsics import (
    ACROSS,
    PANEL,
    ROWS,
    UNROLL,
    four_sparse_panels,
    one_sparse_panel,
    three_transposed_panels,
    two_sparse_panels,
)
from nmfaudio.nmf.layout import Penalty
from nmfaudio.nmf.logarithm_kernels import logarithm

Rows = NDArray[np.float32]

_WIDE = 2 * ACROSS  # rows that are transposed at a time
_TOGETHER = 32  # rows whose entries are one loop: a multiple of the numbers in any vector register

# Sums over components use vector registers; their order is fixed by the number of components.
_compile = compiled(reassociate=True)
_inlined = numba.njit(nogil=True, error_model="numpy", fastmath={"contract"}, inline="always")


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


@_inlined
def _project_row(
    first: int, last: int, positions: NDArray[Any], values: Rows, Y: Rows, rank: int, sums: Rows
) -> None:
    """Write to `sums` the sum of rows of Y, each times the value of a stored entry.

    Whole panels are read, beyond the end of a row: what that writes to `sums` beyond `rank` means nothing.
    """
    column = 0
    while column < rank:
        left = -(-(rank - column) // PANEL)
        if first == last:
            sums[column] = np.float32(0)
            column += 1
        elif left >= 4:
            four_sparse_panels(positions, values, first, last, Y, column, rank, sums, column)
            column += 4 * PANEL
        elif left >= 2:
            two_sparse_panels(positions, values, first, last, Y, column, rank, sums, column)
            column += 2 * PANEL
        else:
            one_sparse_panel(positions, values, first, last, Y, column, rank, sums, column)
            column += PANEL


@_compile
def update_rows(
    bounds: NDArray[Any],
    positions: NDArray[Any],
    values: Rows,
    Y: Rows,
    products: Rows,
    numerator: Rows,
    has_numerator: bool,
    X: Rows,
    penalty: Penalty,
    least: Rows,
    exponent: float,
    dead: float,
    steps: int,
) -> None:
    """Update X so many times at beta 2.

    `numerator`, the product of the sparse matrix and Y, is written unless `has_numerator`. `products` are
    those of all pairs of components of Y, padded. Y is flat, with PANEL spare numbers at its end. See
    `multiply_rows` for the rest.

    Some rows at a time are transposed: vector registers hold one component of several rows, so no part of
    them is empty, whatever the number of components is.
    """
    rank, width = X.shape[1], products.shape[1]
    sums = np.zeros(rank + PANEL, np.float32)
    depth, height = -(-rank // UNROLL) * UNROLL, -(-rank // ROWS) * ROWS
    buffers = np.zeros((7, len(products), _WIDE), np.float32)
    x, above, below = buffers[0], buffers[1], buffers[2]
    for k in range(rank):
        for n in range(_WIDE):
            buffers[3, k, n], buffers[4, k, n] = penalty.linear[k], penalty.quadratic[k]
            buffers[5, k, n] = least[k]
    flat, size = buffers.reshape(7, -1), rank * _WIDE
    for first in range(0, len(X), _WIDE):
        rows = min(_WIDE, len(X) - first)
        for n in range(rows):
            if not has_numerator:
                _project_row(bounds[first + n], bounds[first + n + 1], positions, values, Y, rank, sums)
                for k in range(rank):
                    numerator[first + n, k] = sums[k]
            for k in range(rank):
                x[k, n], above[k, n] = X[first + n, k], numerator[first + n, k]
        for n in range(min(rows, len(penalty.pull))):
            for k in range(rank):
                above[k, n] += penalty.pull[first + n, k]
        for _ in range(steps):
            for i in range(below.size):
                flat[2, i] = np.float32(0)
            for n in range(min(rows, len(penalty.entries))):
                for k in range(rank):
                    below[k, n] = penalty.entries[first + n, k]
            for k in range(0, height, ROWS):
                for n in range(0, _WIDE, ACROSS):
                    three_transposed_panels(
                        products, k, width, x, n, _WIDE, below, k * _WIDE + n, _WIDE, PANEL, depth
                    )
            _multiply(
                flat[0][:size], flat[1][:size], flat[2][:size], flat[3][:size], flat[4][:size],
                flat[5][:size], exponent, np.float32(dead), flat[6][:size],
            )  # fmt: skip
        for n in range(rows):
            for k in range(rank):
                X[first + n, k] = x[k, n]


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
