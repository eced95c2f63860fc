"""The numba loops over the stored entries of a sparse matrix.

A sparse matrix is given by `bounds`, `positions` and `values` as in CSR: row n has its entries at
`bounds[n]` to `bounds[n + 1]`. One factor, X, has a row for each row of the matrix; the other one, Y, has a
row for each column. The update of the activations reads the frames of V as rows, and the update of the
templates reads its bins as rows: both are the same loop, and no two calls write to the same row.

Loops work on padded rows, whose length is a multiple of a vector register: `padded_rows` makes Y such, and X
is copied to a buffer, a few rows at a time, and back.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from nmfaudio.nmf.compilation import compiled
from nmfaudio.nmf.intrinsics import (
    PANEL,
    ROWS,
    UNROLL,
    four_sparse_panels,
    one_panel,
    one_sparse_panel,
    transposed_panel,
    two_sparse_panels,
)
from nmfaudio.nmf.logarithm_kernels import logarithm
from nmfaudio.nmf.sparse_intrinsics import compare_entries, copy_panel, fold_rows

Rows = NDArray[np.float32]

_TILE = 8  # rows of `one_panel`
_TOGETHER = 4 * _TILE  # rows that are worked on at a time: their buffers stay in the first-level cache

# Sums over components use vector registers; their order is fixed by the number of components.
_compile = compiled(reassociate=True)
_inlined = numba.njit(nogil=True, error_model="numpy", fastmath={"contract"}, inline="always")


@_inlined
def _widen(source: Rows, first: int, rows: int, rank: int, target: Rows, width: int) -> None:
    """Copy rows of `rank` numbers to rows of `width` numbers, with zeros at their ends; both are flat."""
    for n in range(rows):
        for column in range(0, width, PANEL):
            start = first + n * rank + column
            if start + PANEL <= source.size:
                copy_panel(source, start, target, n * width + column, rank - column)
            else:
                for k in range(PANEL):
                    inside = column + k < rank
                    target[n * width + column + k] = source[start + k] if inside else np.float32(0)


@_inlined
def _narrow(source: Rows, rows: int, width: int, target: Rows, first: int, rank: int) -> None:
    """Copy the first `rank` numbers of rows of `width` numbers to rows without padding; both are flat.

    Whole panels are written, whose ends the next rows overwrite, up to the last of these rows.
    """
    last = first + rows * rank
    for n in range(rows):
        for column in range(0, rank, PANEL):
            start = first + n * rank + column
            if start + PANEL <= last:
                copy_panel(source, n * width + column, target, start, PANEL)
            else:
                for k in range(column, rank):
                    target[first + n * rank + k] = source[n * width + k]
                break


@_compile
def prepare_rows(
    Y: Rows, padded: Rows, largest: Rows, sums: NDArray[np.float64], products: NDArray[np.float64]
) -> None:
    """Copy Y to `padded`, with zeros around it, and add up what updates of the other factor need of Y.

    `padded` has up to UNROLL - 1 more rows, so that their number is a multiple of UNROLL. Largest entries and
    sums of all columns, and the products of all pairs of columns in panels, are added to what the last three
    hold. `products` may be empty.
    """
    rank, width = Y.shape[1], padded.shape[1]
    flat, target = Y.reshape(Y.size), padded.reshape(padded.size)
    part, pairs = np.empty(width, np.float32), np.empty(products.size, np.float32)
    for first in range(0, len(Y), _TOGETHER):
        rows, start = min(_TOGETHER, len(Y) - first), first * width
        depth = -(-rows // UNROLL) * UNROLL
        _widen(flat, first * rank, rows, rank, target[start:], width)
        for i in range(start + rows * width, start + depth * width):
            target[i] = np.float32(0)
        fold_rows(target, start, rows, width, part, largest)
        for k in range(width):
            sums[k] += np.float64(part[k])
        if products.size > 0:
            _add_products(target, start, width, depth, pairs, products)


@_inlined
def _add_products(
    rows: Rows, start: int, width: int, depth: int, pairs: Rows, products: NDArray[np.float64]
) -> None:
    """Add the products of all pairs of columns of some padded rows, which are flat from `start` on."""
    for i in range(pairs.size):
        pairs[i] = np.float32(0)
    for column in range(0, width, PANEL):
        for row in range(0, width, ROWS):
            place = column * width + row * PANEL
            transposed_panel(
                rows, start + row, width, rows, start + column, width, pairs, place, PANEL, 0, depth
            )
    for i in range(pairs.size):
        products[i] += np.float64(pairs[i])


@_compile
def turn_rows(W: Rows, T: Rows, sums: NDArray[np.float64]) -> None:
    """Write W transposed to the first rows and columns of T, and the sums of its columns to `sums`."""
    rows, rank = W.shape
    for n in range(rows):
        for k in range(rank):
            T[k, n] = W[n, k]
    for k in range(rank):
        total = np.float64(0)
        for n in range(rows):
            total += np.float64(T[k, n])
        sums[k] = total


@_compile
def survey(values: NDArray[Any]) -> tuple[bool, bool, float, float]:
    """Return whether all numbers are finite and not negative, whether one is zero, and two sums.

    The sums are those of the numbers and of their squares.
    """
    wrong, zeros, total, squares = 0, 0, np.float64(0), np.float64(0)
    for i in range(values.size):
        value = np.float64(values[i])
        wrong += 0 if 0 <= value < np.inf else 1
        zeros += 1 if value == 0 else 0
        total += value
        squares += value * value
    return wrong == 0, zeros > 0, total, squares


@_compile
def sum_rows(bounds: NDArray[Any], values: Rows, sums: NDArray[np.float64]) -> None:
    """Write the sum of each row."""
    for n in range(len(sums)):
        total = np.float64(0)
        for i in range(bounds[n], bounds[n + 1]):
            total += np.float64(values[i])
        sums[n] = total


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
    weights = np.empty((3, rank), np.float32)
    for k in range(rank):
        weights[0, k], weights[1, k], weights[2, k] = linear[k], quadratic[k], least[k]
    buffers, denominator = _buffers(weights, rank), below.reshape(below.size)
    repeated = buffers[4]
    for i in range(length if shared else 0):
        repeated[i] = below[0, i % rank]
    x, numerator = X.reshape(size), above.reshape(size)
    for first in range(0, size, length):
        count = min(length, size - first)
        part = repeated if shared else denominator[first : first + count]
        _multiply(x[first:], numerator[first:], part, buffers, count, exponent, np.float32(dead))


@_inlined
def _buffers(weights: Rows, width: int) -> Rows:
    """Return buffers of some padded rows each; the first ones hold the weights of each component."""
    rank, length = weights.shape[1], _TOGETHER * width
    buffers = np.zeros((8, length), np.float32)
    for i in range(length):
        if i % width < rank:
            for kind in range(3):
                buffers[kind, i] = weights[kind, i % width]
    return buffers


@_inlined
def _added(rows: Rows, first: int, count: int, width: int, target: Rows) -> None:
    """Add rows of a penalty, if it has any, to padded rows."""
    for n in range(min(count, len(rows))):
        for k in range(rows.shape[1]):
            target[n * width + k] += rows[first + n, k]


@_compile
def update_by_products(
    bounds: NDArray[Any],
    positions: NDArray[Any],
    values: Rows,
    Y: Rows,
    products: Rows,
    numerator: Rows,
    has_numerator: bool,
    X: Rows,
    weights: Rows,
    entries: Rows,
    pull: Rows,
    exponent: float,
    dead: float,
    steps: int,
    measure: bool,
) -> float:
    """Update X so many times at beta 2; return minus the product of the matrix and the model before.

    `numerator`, the product of the sparse matrix and Y, is written unless `has_numerator`; it has no rows
    where no later update needs it. `products` are those of all pairs of components of Y, in panels. The rows
    of `weights` are those of `multiply_rows`: linear and quadratic weights, least entries. `entries` and
    `pull` are those of a `Penalty`. Y and `numerator` are padded.
    """
    rank, width, total = X.shape[1], Y.shape[1], np.float64(0)
    buffers, flat = _buffers(weights, width), X.reshape(X.size)
    sums = numerator.reshape(numerator.size) if len(numerator) > 0 else buffers[7]
    x, below, depth = buffers[3], buffers[4], -(-rank // UNROLL) * UNROLL
    for first in range(0, len(X), _TOGETHER):
        rows = min(_TOGETHER, len(X) - first)
        size, start = rows * width, first * width if len(numerator) > 0 else 0
        if not has_numerator:
            for n in range(first, first + rows):
                at = start + (n - first) * width
                _project_row(bounds[n], bounds[n + 1], positions, values, Y, width, sums, at)
        _widen(flat, first * rank, rows, rank, x, width)
        above = sums[start : start + size]
        if measure:
            for i in range(size):
                total -= np.float64(x[i]) * np.float64(above[i])
        if len(pull) > 0:
            for i in range(size):
                buffers[6, i] = above[i]
            above = buffers[6]
            _added(pull, first, rows, width, above)
        for _ in range(steps):
            for column in range(0, width, PANEL):
                for row in range(0, _TOGETHER * width, _TILE * width):
                    one_panel(
                        x, row, width, products, column * width, 0, below, row + column, width, 0, depth
                    )
            _added(entries, first, rows, width, below)
            _multiply(x, above, below, buffers, size, exponent, np.float32(dead))
        _narrow(x, rows, width, flat, first * rank, rank)
    return total


@_compile
def update_by_quotients(
    bounds: NDArray[Any],
    positions: NDArray[Any],
    values: Rows,
    Y: Rows,
    sums: Rows,
    floor: np.float32,
    X: Rows,
    weights: Rows,
    entries: Rows,
    pull: Rows,
    exponent: float,
    dead: float,
    steps: int,
    measure: bool,
) -> float:
    """Update X so many times at beta 1, with sums of y v / (x y + floor) over each row's stored entries.

    Returns the sum of v log(v / (x y + floor)) - v over these entries before, or 0 unless `measure`. `sums`
    are those of the components of Y. See `update_by_products` for the rest.
    """
    rank, width, total = X.shape[1], Y.shape[1], np.float64(0)
    buffers, flat = _buffers(weights, width), X.reshape(X.size)
    x, below, above = buffers[3], buffers[4], buffers[6]
    spare = np.empty(PANEL, positions.dtype), np.empty(PANEL, np.float32), np.empty(PANEL, np.float32)
    for first in range(0, len(X), _TOGETHER):
        rows = min(_TOGETHER, len(X) - first)
        _widen(flat, first * rank, rows, rank, x, width)
        for n in range(rows):
            for k in range(rank):
                below[n * width + k] = sums[k]
        _added(entries, first, rows, width, below)
        for step in range(max(steps, 1)):
            for i in range(above.size):
                above[i] = np.float32(0)
            for n in range(rows):
                total += _compare_row(
                    bounds[first + n], bounds[first + n + 1], positions, values, x, Y, n * width, width,
                    floor, above, spare, measure and step == 0,
                )  # fmt: skip
            _added(pull, first, rows, width, above)
            if steps > 0:
                _multiply(x, above, below, buffers, rows * width, exponent, np.float32(dead))
        _narrow(x, rows, width, flat, first * rank, rank)
    return total


@_inlined
def _project_row(
    first: int, last: int, positions: NDArray[Any], values: Rows, Y: Rows, width: int, sums: Rows, at: int
) -> None:
    """Write to `sums`, from `at` on, the sum of rows of Y, each times the value of a stored entry."""
    column = 0
    while column < width:
        left = width - column
        if first == last:
            sums[at + column] = np.float32(0)
            column += 1
        elif left >= 4 * PANEL:
            four_sparse_panels(positions, values, first, last, Y, column, width, sums, at + column)
            column += 4 * PANEL
        elif left >= 2 * PANEL:
            two_sparse_panels(positions, values, first, last, Y, column, width, sums, at + column)
            column += 2 * PANEL
        else:
            one_sparse_panel(positions, values, first, last, Y, column, width, sums, at + column)
            column += PANEL


@_inlined
def _copy_last(
    positions: NDArray[Any], values: Rows, first: int, spare: tuple[NDArray[Any], Rows, Rows]
) -> None:
    """Copy the last entries of all to buffers that have more room, with positions of zero behind them."""
    for j in range(PANEL):
        inside = first + j < positions.size
        spare[0][j], spare[1][j] = positions[first + j] if inside else 0, values[first + j] if inside else 0


@_inlined
def _compare_row(
    first: int, last: int, positions: NDArray[Any], values: Rows, x: Rows, Y: Rows, at: int, width: int,
    floor: np.float32, above: Rows, spare: tuple[NDArray[Any], Rows, Rows], measure: bool,
) -> float:  # fmt: skip
    """Add to `above` the sum of rows of Y, each times a stored entry divided by its model.

    The row's own factor begins in x where its sums begin in `above`. Returns the sum of
    v log(v / model) - v, or 0 unless `measure`.
    """
    total, quotients = np.float64(0), spare[2]
    for i in range(first, last, PANEL):
        count = last - i
        if i + PANEL <= positions.size:
            compare_entries(
                positions, values, i, count, x, at, Y, width, floor, above, at, quotients
            )  # fmt: skip
        else:
            _copy_last(positions, values, i, spare)
            compare_entries(
                spare[0], spare[1], 0, count, x, at, Y, width, floor, above, at, quotients
            )  # fmt: skip
        if measure:
            for j in range(min(PANEL, last - i)):
                term = logarithm(quotients[j]) - np.float32(1)
                total += np.float64(values[i + j]) * np.float64(term)
    return total


@_inlined
def _multiply(
    x: Rows, above: Rows, below: Rows, buffers: Rows, size: int, exponent: float, dead: np.float32
) -> None:
    """Do the same for entries that stand in a row, whose weights are in `buffers`."""
    linear, quadratic, least, ratio = buffers[0], buffers[1], buffers[2], buffers[5]
    if exponent == 1:
        for i in range(size):
            denominator = below[i] + linear[i] + quadratic[i] * x[i]
            moved = x[i] * (above[i] / denominator if denominator > 0 else dead)
            x[i] = moved if moved >= least[i] else np.float32(0)
        return
    for i in range(size):
        denominator = below[i] + linear[i] + quadratic[i] * x[i]
        ratio[i] = above[i] / denominator if denominator > 0 else dead
    for i in range(size):
        ratio[i] = ratio[i] ** np.float32(exponent)
    for i in range(size):
        moved = x[i] * ratio[i]
        x[i] = moved if moved >= least[i] else np.float32(0)
