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

from nmfaudio.nmf.intrinsics import PANEL

_CONFIG: Any = numba.core.config
_VECTOR = ir.VectorType(ir.FloatType(), PANEL)
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
    positions: NDArray[Any], values: Buffer, first: int,
    X: Buffer, x: int, Y: Buffer, width: int,
    floor: np.float32, above: Buffer, a: int, quotients: Buffer,
) -> None:  # fmt: skip
    """Divide PANEL stored entries of a row by their models, and add what the update needs of them.

    The entries are those from `first` on. The model of one is the product of the row of X that begins at x
    and of the row of Y at its position, plus `floor`. Writes the quotients to `quotients`, and adds the sum
    of rows of Y, each times its quotient, to `above`, from a on. Rows are `width` numbers long, a multiple of
    PANEL; matrices are addressed as if they were flat.
    """
    rows = Y.reshape(-1, width)[positions[first : first + PANEL]]
    quotients[:PANEL] = values[first : first + PANEL] / (rows @ X.reshape(-1)[x : x + width] + floor)
    above.reshape(-1)[a : a + width] += quotients[:PANEL] @ rows


@intrinsic
def compiled_copy_panel(typing: Any, A: Any, a: Any, B: Any, b: Any, count: Any) -> Any:
    """Return the typed `plain_copy_panel` for use in compiled functions."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        (source, target), (a, b, count) = (
            [_pointer(context, builder, signature, n, arguments[n]) for n in (0, 2)],
            [arguments[n] for n in (1, 3, 4)],
        )
        columns = ir.Constant(ir.VectorType(count.type, PANEL), list(range(PANEL)))
        counted = builder.icmp_signed("<", columns, _splat(builder, count))
        vector = _load(builder, builder.gep(source, [a]))
        _store(builder, builder.select(counted, vector, _VECTOR(None)), builder.gep(target, [b]))
        return context.get_dummy_value()

    n = numba.types.intp
    return numba.types.void(A, n, B, n, n), generate


@intrinsic
def compiled_compare_entries(typing: Any, positions: Any, values: Any, first: Any, X: Any, x: Any, Y: Any, width: Any, floor: Any, above: Any, a: Any, quotients: Any) -> Any:  # fmt: skip  # noqa: E501
    """Return the typed `plain_compare_entries` for use in compiled functions."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        positions, values, first, X, x, Y, width, floor, above, a, quotients = arguments

        def pointer(number: int, start: Any) -> Any:
            whole = _pointer(context, builder, signature, number, arguments[number])
            return builder.gep(whole, [start])

        zero = first.type(0)
        places, start = pointer(0, first), pointer(5, zero)
        rows = []
        for entry in range(PANEL):
            place = builder.load(builder.gep(places, [first.type(entry)]))
            place = place if place.type == first.type else builder.zext(place, first.type)
            rows.append(builder.gep(start, [builder.mul(place, width)]))
        own = pointer(3, x)
        models = _over_panels(
            builder,
            width,
            [_VECTOR(None)] * PANEL,
            lambda column, sums: [
                _multiplied_sum(
                    builder,
                    _load(builder, builder.gep(own, [column])),
                    _load(builder, builder.gep(row, [column])),
                    total,
                )
                for row, total in zip(rows, sums, strict=True)
            ],
        )
        model = builder.fadd(_sums_of_each(builder, models), _splat(builder, floor))
        quotient = builder.fdiv(_load(builder, pointer(1, first)), model)
        _store(builder, quotient, pointer(10, zero))
        factors = [
            builder.shuffle_vector(quotient, quotient, _places([entry] * PANEL)) for entry in range(PANEL)
        ]
        target = pointer(8, a)

        def add(column: Any, _: Any) -> list[Any]:
            spot = builder.gep(target, [column])
            chains = [_load(builder, spot), *[_VECTOR(None)] * (_CHAINS - 1)]
            for entry, (factor, row) in enumerate(zip(factors, rows, strict=True)):
                vector, chain = _load(builder, builder.gep(row, [column])), entry % _CHAINS
                chains[chain] = _multiplied_sum(builder, factor, vector, chains[chain])
            while len(chains) > 1:
                chains = [builder.fadd(chains[n], chains[n + 1]) for n in range(0, len(chains), 2)]
            _store(builder, chains[0], spot)
            return []

        _over_panels(builder, width, [], add)
        return context.get_dummy_value()

    n, real = numba.types.intp, numba.types.float32
    return numba.types.void(positions, values, n, X, n, Y, n, real, above, n, quotients), generate


def _over_panels(
    builder: ir.IRBuilder, width: Any, start: list[Any], step: Callable[[Any, list[Any]], list[Any]]
) -> list[Any]:
    """Write a loop over the columns of all panels; return what the last step returns."""
    before, loop = builder.basic_block, builder.append_basic_block("panels")
    builder.branch(loop)
    builder.position_at_end(loop)
    column, *carried = phis = [builder.phi(kind.type) for kind in (width, *start)]
    results = step(column, carried)
    following = builder.add(column, width.type(PANEL))
    for phi, first, later in zip(phis, [width.type(0), *start], [following, *results], strict=True):
        phi.add_incoming(first, before)
        phi.add_incoming(later, loop)
    after = builder.append_basic_block("after")
    builder.cbranch(builder.icmp_signed("<", following, width), loop, after)
    builder.position_at_end(after)
    return results


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


def _splat(builder: ir.IRBuilder, number: Any) -> Any:
    """Return a vector that holds a number in every place."""
    empty = ir.Constant(ir.VectorType(number.type, PANEL), ir.Undefined)
    vector = builder.insert_element(empty, number, ir.IntType(32)(0))
    return builder.shuffle_vector(vector, vector, _places([0] * PANEL))


def _multiplied_sum(builder: ir.IRBuilder, a: Any, b: Any, added: Any) -> Any:
    """Return a b + added, in one instruction where the processor has it."""
    return builder.fadd(builder.fmul(a, b, flags=("contract",)), added, flags=("contract",))


def _pointer(context: Any, builder: ir.IRBuilder, signature: Any, number: int, array: Any) -> Any:
    """Return a pointer to the first entry of an array, given its argument's number."""
    return context.make_array(signature.args[number])(context, builder, array).data


def _load(builder: ir.IRBuilder, pointer: Any) -> Any:
    return builder.load(builder.bitcast(pointer, _VECTOR.as_pointer()), align=4)


def _store(builder: ir.IRBuilder, vector: Any, pointer: Any) -> None:
    builder.store(vector, builder.bitcast(pointer, _VECTOR.as_pointer()), align=4)


copy_panel: Any = plain_copy_panel if _CONFIG.DISABLE_JIT else compiled_copy_panel
compare_entries: Any = plain_compare_entries if _CONFIG.DISABLE_JIT else compiled_compare_entries
