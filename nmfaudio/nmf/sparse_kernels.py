"""The numba loops over the stored entries of a sparse matrix.

A sparse matrix is given by its `StoredRows`. One factor, X, has a row for each row of the matrix; the other
one, Y, has a row for each column. The update of the activations reads the frames of V as rows, and the update
of the templates reads its bins as rows: both are the same loop, and no two calls write to the same row.

Loops work on padded rows, whose length is a multiple of a vector register: `prepare_rows` makes Y such, and X
is copied to a buffer, a few rows at a time, and back.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from nmfaudio.nmf.compilation import compiled
from nmfaudio.nmf.intrinsics import PANEL, ROWS, UNROLL, one_panel, transposed_panel
from nmfaudio.nmf.layout import Change, StoredRows
from nmfaudio.nmf.logarithm_kernels import logarithm
from nmfaudio.nmf.sparse_intrinsics import (
    compare_entries,
    copy_panel,
    fold_rows,
    four_sparse_panels,
    one_sparse_panel,
    two_sparse_panels,
)

Rows = NDArray[np.float32]

_TILE = 8  # rows of `one_panel`
_TOGETHER = 4 * _TILE  # rows that are worked on at a time: their buffers stay in the first-level cache

# Sums over components use vector registers; their order is fixed by the number of components.
_compile = compiled(reassociate=True)
_compile_in_order = compiled()
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


@_compile_in_order
def sum_rows(bounds: NDArray[Any], values: Rows, sums: NDArray[np.float64]) -> None:
    """Write the sum of each row; rows of few entries would take twice as long in vector registers."""
    for n in range(len(sums)):
        total = np.float64(0)
        for i in range(bounds[n], bounds[n + 1]):
            total += np.float64(values[i])
        sums[n] = total


class _Work(NamedTuple):
    """Buffers of `_TOGETHER` padded rows each, which are flat.

    A part of a factor X, the numerator and the denominator of its update, their quotient, and for each entry
    the weights and the least size of its component.
    """

    x: Rows
    above: Rows
    below: Rows
    ratio: Rows
    linear: Rows
    quadratic: Rows
    least: Rows


@_inlined
def _make_work(change: Change, width: int) -> _Work:
    """Return buffers for rows of `width` numbers; the last three are filled."""
    buffers, rank = np.zeros((7, _TOGETHER * width), np.float32), change.least.size
    for i in range(buffers.shape[1]):
        k = i % width
        if k < rank:
            buffers[4, i], buffers[5, i] = change.penalty.linear[k], change.penalty.quadratic[k]
            buffers[6, i] = change.least[k]
    return _Work(
        buffers[0], buffers[1], buffers[2], buffers[3], buffers[4], buffers[5], buffers[6]
    )  # fmt: skip


@_compile
def multiply_rows(X: Rows, above: Rows, below: Rows, change: Change) -> None:
    """Change X, (rows, components), given the numerator and the denominator of each entry.

    Some rows at a time are one long loop, which uses vector registers whatever the number of components is.
    """
    rank, size, penalty = X.shape[1], X.size, change.penalty
    work, x, length = _make_work(change, rank), X.reshape(size), _TOGETHER * rank
    numerator, denominator = above.reshape(size), below.reshape(size)
    for first in range(0, size, length):
        count, row = min(length, size - first), first // rank
        for i in range(count):
            work.above[i], work.below[i] = numerator[first + i], denominator[first + i]
        _add_rows(penalty.pull, row, count // rank, rank, work.above)
        _add_rows(penalty.entries, row, count // rank, rank, work.below)
        _multiply(x[first:], work.above, work, count, change)


@_inlined
def _add_rows(rows: Rows, first: int, count: int, width: int, target: Rows) -> None:
    """Add rows of a penalty, if it has any, to padded rows."""
    for n in range(min(count, len(rows))):
        for k in range(rows.shape[1]):
            target[n * width + k] += rows[first + n, k]


@_compile
def update_by_products(
    matrix: StoredRows,
    Y: Rows,
    products: Rows,
    numerator: Rows,
    has_numerator: bool,
    X: Rows,
    change: Change,
    steps: int,
    measure: bool,
) -> float:
    """Change X so many times at beta 2; return minus the product of the matrix and the model before.

    `numerator`, the product of the sparse matrix and Y, is written unless `has_numerator`; it has no rows
    where no later update needs it. `products` are those of all pairs of components of Y, in panels. Y and
    `numerator` are padded.
    """
    rank, width, total, penalty = X.shape[1], Y.shape[1], np.float64(0), change.penalty
    work, flat = _make_work(change, width), X.reshape(X.size)
    x, sums = work.x, numerator.reshape(numerator.size) if len(numerator) > 0 else work.above
    depth = -(-rank // UNROLL) * UNROLL
    for first in range(0, len(X), _TOGETHER):
        rows = min(_TOGETHER, len(X) - first)
        size, start = rows * width, first * width if len(numerator) > 0 else 0
        for n in range(0 if has_numerator else rows):
            _project_row(matrix, first + n, Y, width, sums, start + n * width)
        _widen(flat, first * rank, rows, rank, x, width)
        above = sums[start : start + size]
        if measure:
            for i in range(size):
                total -= np.float64(x[i]) * np.float64(above[i])
        if len(penalty.pull) > 0:
            for i in range(size):
                work.above[i] = above[i]
            above = work.above
            _add_rows(penalty.pull, first, rows, width, above)
        for _ in range(steps):
            for column in range(0, width, PANEL):
                for row in range(0, size, _TILE * width):
                    place = row + column
                    one_panel(x, row, width, products, column * width, 0, work.below, place, width, 0, depth)
            _add_rows(penalty.entries, first, rows, width, work.below)
            _multiply(x, above, work, size, change)
        _narrow(x, rows, width, flat, first * rank, rank)
    return total


@_compile
def update_by_quotients(
    matrix: StoredRows,
    Y: Rows,
    sums: Rows,
    floor: float,
    X: Rows,
    change: Change,
    steps: int,
    measure: bool,
) -> float:
    """Change X so many times at beta 1, with sums of y v / (x y + floor) over each row's stored entries.

    Returns the sum of v log(v / (x y + floor)) - v over these entries before, or 0 unless `measure`. `sums`
    are those of the components of Y, which is padded.
    """
    rank, width, total, penalty = X.shape[1], Y.shape[1], np.float64(0), change.penalty
    work, flat = _make_work(change, width), X.reshape(X.size)
    spare = np.empty(PANEL, matrix.positions.dtype), np.empty(PANEL, np.float32), np.empty(PANEL, np.float32)
    for first in range(0, len(X), _TOGETHER):
        rows = min(_TOGETHER, len(X) - first)
        _widen(flat, first * rank, rows, rank, work.x, width)
        for n in range(rows):
            for k in range(rank):
                work.below[n * width + k] = sums[k]
        _add_rows(penalty.entries, first, rows, width, work.below)
        for step in range(max(steps, 1)):
            for i in range(work.above.size):
                work.above[i] = np.float32(0)
            for n in range(rows):
                measured = measure and step == 0
                total += _compare_row(matrix, first + n, work, n * width, Y, width, floor, spare, measured)
            _add_rows(penalty.pull, first, rows, width, work.above)
            if steps > 0:
                _multiply(work.x, work.above, work, rows * width, change)
        _narrow(work.x, rows, width, flat, first * rank, rank)
    return total


@_inlined
def _project_row(matrix: StoredRows, n: int, Y: Rows, width: int, sums: Rows, at: int) -> None:
    """Write to `sums`, from `at` on, the sum of rows of Y, each times the value of a stored entry."""
    first, last, column = matrix.bounds[n], matrix.bounds[n + 1], 0
    positions, values = matrix.positions, matrix.values
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
def _copy_last(matrix: StoredRows, first: int, spare: tuple[NDArray[Any], Rows, Rows]) -> None:
    """Copy the last entries of all to buffers that have more room, with positions of zero behind them."""
    for j in range(PANEL):
        inside = first + j < matrix.positions.size
        spare[0][j] = matrix.positions[first + j] if inside else 0
        spare[1][j] = matrix.values[first + j] if inside else 0


@_inlined
def _compare_row(
    matrix: StoredRows, n: int, work: _Work, at: int, Y: Rows, width: int, floor: float,
    spare: tuple[NDArray[Any], Rows, Rows], measure: bool,
) -> float:  # fmt: skip
    """Add to the numerator the sum of rows of Y, each times a stored entry divided by its model.

    The row's own factor and its numerator begin at `at`. Returns the sum of v log(v / model) - v, or 0 unless
    `measure`.
    """
    total, last, lift = np.float64(0), matrix.bounds[n + 1], np.float32(floor)
    (places, values, quotients), size = spare, matrix.positions.size
    for i in range(matrix.bounds[n], last, PANEL):
        if i + PANEL <= size:
            compare_entries(
                matrix.positions, matrix.values, i, last - i, work.x, at, Y, width, lift, work.above, at,
                quotients,
            )  # fmt: skip
        else:
            _copy_last(matrix, i, spare)
            compare_entries(
                places, values, 0, last - i, work.x, at, Y, width, lift, work.above, at, quotients
            )  # fmt: skip
        if measure:
            for j in range(min(PANEL, last - i)):
                term = logarithm(quotients[j]) - np.float32(1)
                total += np.float64(matrix.values[i + j]) * np.float64(term)
    return total


@_inlined
def _multiply(x: Rows, above: Rows, work: _Work, size: int, change: Change) -> None:
    """Change entries that stand in a row, whose denominators and weights are in `work`."""
    below, linear, quadratic, least, ratio = work.below, work.linear, work.quadratic, work.least, work.ratio
    dead, exponent = np.float32(change.dead), np.float32(change.exponent)
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
        ratio[i] = ratio[i] ** exponent
    for i in range(size):
        moved = x[i] * ratio[i]
        x[i] = moved if moved >= least[i] else np.float32(0)
