"""Steps over the stored entries of a sparse row in LLVM vector code.

The other factor, Y, is padded: its rows are whole panels, so that each begins at a cache line where a panel
is one. `compare_entries` takes as many entries at a time as a vector register has numbers: their models are
one vector, and so is the division.

Each step has a twin in plain Python, as in `intrinsics`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.extending import intrinsic
from numpy.typing import NDArray

from nmfaudio.nmf.intrinsics import PANEL, VECTOR, Tile, broadcast, load, multiplied_sum, store

_CONFIG: Any = numba.core.config
_LANE = 4  # numbers of 128 bits: shuffles within these are fast on every processor
_CHAINS = 4  # sums that are added to in turn, so that additions do not wait for each other

Buffer = NDArray[np.float32]


def plain_copy_panel(A: Buffer, a: int, B: Buffer, b: int, count: int) -> None:
    """Write so many numbers of A, from a on, and zeros up to PANEL numbers to B, from b on.

    Both are addressed as if they were flat, and have PANEL numbers there. A negative count writes zeros.
    """
    column = np.arange(PANEL)
    B.reshape(-1)[b + column] = np.where(column < count, A.reshape(-1)[a + column], np.float32(0))


def plain_compare_entries(
    positions: NDArray[Any], values: Buffer, first: int, count: int,
    X: Buffer, x: int, Y: Buffer, width: int, floor: np.float32,
    above: Buffer, a: int, quotients: Buffer,
) -> None:  # fmt: skip
    """Divide stored entries of a row by their models, and add what the update needs of them.

    The entries are those from `first` on: the first `count`, but no more than PANEL of them; PANEL positions
    and values can be read there. The model of an entry is the product of the row of X that begins at x and of
    the row of Y at its position, plus `floor`. Writes the quotients, and zeros behind them, to `quotients`,
    and adds the sum of rows of Y, each times its quotient, to `above`, from a on. Rows are `width` numbers
    long, a multiple of PANEL; matrices are addressed as if they were flat.
    """
    here = slice(first, first + min(count, PANEL))
    rows = Y.reshape(-1, width)[positions[here]]
    seen = values[here] / (rows @ X.reshape(-1)[x : x + width] + floor)
    quotients[:PANEL] = 0
    quotients[: len(seen)] = seen
    above.reshape(-1)[a : a + width] += seen @ rows


def plain_fold_rows(source: Buffer, start: int, rows: int, width: int, sums: Buffer, largest: Buffer) -> None:
    """Write the sum of each column of some rows, and the largest entry to `largest` where it is larger.

    `source` is addressed as if it were flat; its rows begin at `start` and are `width` numbers long, a
    multiple of PANEL.
    """
    block = source.reshape(-1)[start : start + rows * width].reshape(rows, width)
    sums[:width], largest[:width] = block.sum(axis=0), np.maximum(largest[:width], block.max(axis=0))


def plain_sparse_row(panels: int) -> Tile:
    """Return the product of a sparse row and so many panels, in plain Python."""

    def product(
        positions: NDArray[Any], values: Buffer, first: int, last: int,
        B: Buffer, b: int, b_row: int,
        C: Buffer, c: int,
    ) -> None:  # fmt: skip
        """Write to C, from c on, the sum of rows of B, each times a value.

        The entries `first` to `last` of `positions` and `values` count; there is at least one. B is addressed
        as if it were flat: from b on, its rows `b_row` apart; what follows the panels in a row is left out.
        """
        places = b + np.add.outer(positions[first:last].astype(np.intp) * b_row, np.arange(panels * PANEL))
        C[c : c + panels * PANEL] = values[first:last] @ B.reshape(-1)[places]

    return product


@intrinsic
def compiled_copy_panel(typing: Any, A: Any, a: Any, B: Any, b: Any, count: Any) -> Any:
    """Return the typed `plain_copy_panel` for use in compiled functions."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        (source, target), (a, b, count) = (
            [_pointer(context, builder, signature, n, arguments[n]) for n in (0, 2)],
            [arguments[n] for n in (1, 3, 4)],
        )
        vector = _first_numbers(builder, load(builder, builder.gep(source, [a])), count)
        store(builder, vector, builder.gep(target, [b]))
        return context.get_dummy_value()

    n = numba.types.intp
    return numba.types.void(A, n, B, n, n), generate


@intrinsic
def compiled_compare_entries(typing: Any, positions: Any, values: Any, first: Any, count: Any, X: Any, x: Any, Y: Any, width: Any, floor: Any, above: Any, a: Any, quotients: Any) -> Any:  # fmt: skip  # noqa: E501
    """Return the typed `plain_compare_entries` for use in compiled functions."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        _, _, first, count, _, x, _, width, floor, _, a, _ = arguments
        zero = first.type(0)
        places, here, own, Y, target, out = (
            builder.gep(_pointer(context, builder, signature, number, arguments[number]), [start])
            for number, start in ((0, first), (1, first), (4, x), (6, zero), (9, a), (11, zero))
        )
        rows = _rows_at(builder, places, count, Y, width)

        def multiply(column: Any, sums: list[Any]) -> list[Any]:
            factor = load(builder, builder.gep(own, [column]))
            vectors = [load(builder, builder.gep(row, [column])) for row in rows]
            return [multiplied_sum(builder, factor, *pair) for pair in zip(vectors, sums, strict=True)]

        products = _over_panels(builder, width, [VECTOR(None)] * PANEL, multiply)
        model = builder.fadd(_sums_of_each(builder, products), broadcast(builder, floor))
        quotient = builder.fdiv(_first_numbers(builder, load(builder, here), count), model)
        store(builder, quotient, out)
        _add_rows(builder, quotient, rows, width, target)
        return context.get_dummy_value()

    n, real = numba.types.intp, numba.types.float32
    return numba.types.void(positions, values, n, n, X, n, Y, n, real, above, n, quotients), generate


@intrinsic
def compiled_fold_rows(typing: Any, source: Any, start: Any, rows: Any, width: Any, sums: Any, largest: Any) -> Any:  # fmt: skip  # noqa: E501
    """Return the typed `plain_fold_rows` for use in compiled functions."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        _, start, rows, width, _, _ = arguments
        source, sums, largest = (
            _pointer(context, builder, signature, number, arguments[number]) for number in (0, 4, 5)
        )
        block, size = builder.gep(source, [start]), builder.mul(rows, width)

        def fold_column(column: Any, _: list[Any]) -> list[Any]:
            top, spot = builder.gep(block, [column]), builder.gep(largest, [column])

            def fold(place: Any, carried: list[Any]) -> list[Any]:
                total, most = carried
                row = load(builder, builder.gep(top, [place]))
                larger = builder.fcmp_ordered(">", row, most)
                return [builder.fadd(total, row), builder.select(larger, row, most)]

            total, most = _loop(builder, width, size, [VECTOR(None), load(builder, spot)], fold)
            store(builder, total, builder.gep(sums, [column]))
            store(builder, most, spot)
            return []

        _over_panels(builder, width, [], fold_column)
        return context.get_dummy_value()

    n = numba.types.intp
    return numba.types.void(source, n, n, n, sums, largest), generate


def compiled_sparse_row(panels: int) -> Tile:
    """Return the product of a sparse row and so many panels, for use in compiled functions."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        _, _, first, last, _, b, b_row, _, c = arguments
        places, values, start, target = (
            builder.gep(_pointer(context, builder, signature, number, arguments[number]), [begin])
            for number, begin in ((0, first), (1, first), (4, b), (7, c))
        )
        columns = [first.type(n * PANEL) for n in range(panels)]

        def add(entry: Any, sums: list[Any]) -> list[Any]:
            row = _row_at(builder, builder.load(builder.gep(places, [entry])), start, b_row)
            factor = broadcast(builder, builder.load(builder.gep(values, [entry])))
            vectors = [load(builder, builder.gep(row, [column])) for column in columns]
            return [multiplied_sum(builder, factor, *pair) for pair in zip(vectors, sums, strict=True)]

        count = builder.sub(last, first)
        sums = _loop(builder, first.type(1), count, [VECTOR(None)] * panels, add)
        for total, column in zip(sums, columns, strict=True):
            store(builder, total, builder.gep(target, [column]))
        return context.get_dummy_value()

    @intrinsic
    def product(typing: Any, positions: Any, values: Any, first: Any, last: Any, B: Any, b: Any, b_row: Any, C: Any, c: Any) -> Any:  # fmt: skip  # noqa: E501
        n = numba.types.intp
        return numba.types.void(positions, values, n, n, B, n, n, C, n), generate

    return product


def _rows_at(builder: ir.IRBuilder, places: Any, count: Any, Y: Any, width: Any) -> list[Any]:
    """Return pointers to the rows of Y at PANEL places; after `count` of them all are the first one."""
    rows, first = [], builder.load(places)
    for entry in range(PANEL):
        place = builder.load(builder.gep(places, [count.type(entry)]))
        place = builder.select(builder.icmp_signed(">", count, count.type(entry)), place, first)
        rows.append(_row_at(builder, place, Y, width))
    return rows


def _row_at(builder: ir.IRBuilder, place: Any, Y: Any, width: Any) -> Any:
    """Return a pointer to the row of Y at a place."""
    place = place if place.type == width.type else builder.zext(place, width.type)
    return builder.gep(Y, [builder.mul(place, width)])


def _add_rows(builder: ir.IRBuilder, factors: Any, rows: list[Any], width: Any, target: Any) -> None:
    """Add rows, each times a number of a vector, to the row at a pointer."""
    splats = [builder.shuffle_vector(factors, factors, _places([entry] * PANEL)) for entry in range(PANEL)]

    def add(column: Any, _: list[Any]) -> list[Any]:
        spot = builder.gep(target, [column])
        chains = [load(builder, spot), *[VECTOR(None)] * (_CHAINS - 1)]
        for entry, (factor, row) in enumerate(zip(splats, rows, strict=True)):
            vector, chain = load(builder, builder.gep(row, [column])), entry % _CHAINS
            chains[chain] = multiplied_sum(builder, factor, vector, chains[chain])
        while len(chains) > 1:
            chains = [builder.fadd(chains[n], chains[n + 1]) for n in range(0, len(chains), 2)]
        store(builder, chains[0], spot)
        return []

    _over_panels(builder, width, [], add)


def _over_panels(
    builder: ir.IRBuilder, width: Any, start: list[Any], step: Callable[[Any, list[Any]], list[Any]]
) -> list[Any]:
    """Write a loop over the columns of all panels; return what the last step returns."""
    return _loop(builder, width.type(PANEL), width, start, step)


def _loop(
    builder: ir.IRBuilder, stride: Any, end: Any, start: list[Any],
    step: Callable[[Any, list[Any]], list[Any]],
) -> list[Any]:  # fmt: skip
    """Write a loop over 0, stride, ... below `end`, of at least one step; return what the last one returns.

    A step takes the number and what the step before returned; the first one takes `start`.
    """
    before, loop = builder.basic_block, builder.append_basic_block("loop")
    builder.branch(loop)
    builder.position_at_end(loop)
    number, *carried = phis = [builder.phi(kind.type) for kind in (end, *start)]
    results = step(number, carried)
    following, last = builder.add(number, stride), builder.basic_block
    for phi, first, later in zip(phis, [end.type(0), *start], [following, *results], strict=True):
        phi.add_incoming(first, before)
        phi.add_incoming(later, last)
    after = builder.append_basic_block("after")
    builder.cbranch(builder.icmp_signed("<", following, end), loop, after)
    builder.position_at_end(after)
    return results


def _first_numbers(builder: ir.IRBuilder, vector: Any, count: Any) -> Any:
    """Return the first numbers of a vector, and zeros in place of the others."""
    columns = ir.Constant(ir.VectorType(count.type, PANEL), list(range(PANEL)))
    return builder.select(builder.icmp_signed("<", columns, broadcast(builder, count)), vector, VECTOR(None))


def _sums_of_each(builder: ir.IRBuilder, vectors: list[Any]) -> Any:
    """Return a vector whose number n is the sum of the numbers in vector n.

    Two vectors at a time become one, with half as many terms of each sum left to add: first by numbers and
    by pairs within 128 bits, then by whole 128 bits.
    """
    lane, both = range(0, PANEL, _LANE), range(0, 2 * PANEL, 2 * _LANE)
    numbers = [s + n for s in lane for n in (0, PANEL, 1, PANEL + 1)]
    pairs = [s + n for s in lane for n in (0, 1, PANEL, PANEL + 1)]
    lanes = [s + n for s in both for n in range(_LANE)]
    stages = [(numbers, 2), (pairs, 2)]
    stages += [(lanes, _LANE)] * ((PANEL // _LANE).bit_length() - 1)
    for places, other in stages:
        halves = (_places(places), _places([place + other for place in places]))
        vectors = [
            builder.fadd(*(builder.shuffle_vector(*vectors[n : n + 2], half) for half in halves))
            for n in range(0, len(vectors), 2)
        ]
    return vectors[0]


def _places(numbers: list[int]) -> Any:
    return ir.Constant(ir.VectorType(ir.IntType(32), PANEL), numbers)


def _pointer(context: Any, builder: ir.IRBuilder, signature: Any, number: int, array: Any) -> Any:
    """Return a pointer to the first entry of an array, given its argument's number."""
    return context.make_array(signature.args[number])(context, builder, array).data


_PLAIN = _CONFIG.DISABLE_JIT
copy_panel: Any = plain_copy_panel if _PLAIN else compiled_copy_panel
compare_entries: Any = plain_compare_entries if _PLAIN else compiled_compare_entries
fold_rows: Any = plain_fold_rows if _PLAIN else compiled_fold_rows
_make_row = plain_sparse_row if _PLAIN else compiled_sparse_row
one_sparse_panel, two_sparse_panels, four_sparse_panels = _make_row(1), _make_row(2), _make_row(4)
