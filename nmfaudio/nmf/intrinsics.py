"""What is said in the compiler's own language, since its loops would take half as long again without.

The innermost product: a tile of rows by one panel of columns, whose sums stay in vector registers, a vector
for each row. (A compiler that vectorises loops puts every sum back into memory after a few terms.) Any
processor cuts the vectors to the length that it has. And the two halves of a number, for a logarithm.

Each has a twin in plain Python, which says what it does and stands in where the compiler is turned off. The
compiler's cache does not see changes of this file: after one, touch `kernels.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import llvmlite.binding
import numba
import numpy as np
from llvmlite import ir
from numba.extending import intrinsic
from numpy.typing import NDArray

_CONFIG: Any = numba.core.config
# Columns of a panel: two vectors of AVX, one of AVX-512, four of NEON. A narrow tile takes half of them.
PANEL, HALF = 16, 8


def _wide_registers() -> bool:
    """Say whether numba compiles for AVX-512, which has twice the registers, of twice the length."""
    features = _CONFIG.CPU_FEATURES
    if features is None:
        features = llvmlite.binding.get_host_cpu_features().flatten()
    return "+avx512f" in features.split(",")


# Rows of a tile: as many as there are registers for, or fewer, such that both together cut any multiple of 8.
TALL, SHORT = (12, 8) if _wide_registers() else (6, 4)
HALF_TALL, HALF_SHORT = 12, 8

Buffer = NDArray[np.float32]
Tile = Callable[..., None]


def plain_tile(rows: int, columns: int) -> Tile:
    """Return the product of so many rows and columns, in Python."""

    def tile(
        A: Buffer, a: int, down: int, right: int,
        B: Buffer, b: int, below: int,
        C: Buffer, c: int, under: int,
        depth: int, add: bool,
    ) -> None:  # fmt: skip
        """Write to C, or add to it, A times the first columns of a panel of B.

        Each buffer is one stretch of memory whatever its shape. Row r of A begins at a + r `down`, and its
        numbers are `right` apart; rows of B begin at b, `below` apart; rows of C at c, `under` apart.
        """
        flat_a, flat_b, flat_c = A.reshape(-1), B.reshape(-1), C.reshape(-1)
        for r in range(rows):
            row = flat_c[c + r * under : c + r * under + columns]
            total = row.copy() if add else np.zeros(columns, np.float32)
            for k in range(depth):
                first = b + k * below
                total += flat_a[a + r * down + k * right] * flat_b[first : first + columns]
            row[:] = total

    return tile


def _compiled_tile(rows: int, columns: int) -> Tile:
    """Return the product of so many rows and columns, for use in compiled functions."""

    @intrinsic
    def tile(typing: Any, A: Any, a: Any, down: Any, right: Any, B: Any, b: Any, below: Any, C: Any, c: Any, under: Any, depth: Any, add: Any) -> Any:  # fmt: skip  # noqa: E501
        size = numba.types.intp
        signature = numba.types.void(
            A, size, size, size, B, size, size, C, size, size, size, numba.types.boolean
        )
        return signature, _generator(rows, columns)

    return tile


def _generator(rows: int, columns: int) -> Callable[..., Any]:
    """Return what writes the tile's code."""
    vector = ir.VectorType(ir.FloatType(), columns)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, given: Any) -> Any:
        A, a, down, right, B, b, below, C, c, under, depth, add = given
        starts = [
            builder.gep(context.make_array(signature.args[n])(context, builder, array).data, [first])
            for n, array, first in ((0, A, a), (4, B, b), (7, C, c))
        ]
        sources = _spaced(builder, starts[0], down, rows)
        rows_of_C = _spaced(builder, starts[2], under, rows)
        targets = [builder.bitcast(row, vector.as_pointer()) for row in rows_of_C]
        sums = _sums(builder, sources, right, starts[1], below, targets, depth, add)
        for target, total in zip(targets, sums, strict=True):
            builder.store(total, target, align=4)
        return context.get_dummy_value()

    return generate


def _spaced(builder: ir.IRBuilder, start: Any, stride: Any, count: int) -> list[Any]:
    """Return pointers a stride apart."""
    return [builder.gep(start, [builder.mul(stride, stride.type(r))]) for r in range(count)]


def _sums(
    builder: ir.IRBuilder,
    sources: list[Any],
    right: Any,
    B: Any,
    below: Any,
    targets: list[Any],
    depth: Any,
    add: Any,
) -> list[Any]:
    """Write the loop over the depth; return the sums of all rows."""
    before, present, loop, after = (
        builder.basic_block,
        *(builder.append_basic_block(name) for name in ("present", "loop", "after")),
    )
    adding = builder.icmp_unsigned("!=", add, add.type(0))
    builder.cbranch(adding, present, loop)
    builder.position_at_end(present)
    there = [builder.load(target, align=4) for target in targets]
    builder.branch(loop)
    builder.position_at_end(loop)
    index = _phi(builder, depth.type, ((depth.type(0), before), (depth.type(0), present)))
    vector = there[0].type
    zero = ir.Constant(vector, [0.0] * vector.count)
    sums = [_phi(builder, vector, ((zero, before), (found, present))) for found in there]
    panel = builder.bitcast(builder.gep(B, [builder.mul(index, below)]), vector.as_pointer())
    across, column = builder.load(panel, align=4), builder.mul(index, right)
    longer = []
    for source, total in zip(sources, sums, strict=True):
        factor = _spread(builder, builder.load(builder.gep(source, [column])), vector)
        product = builder.fmul(factor, across, flags=("contract",))
        longer.append(builder.fadd(product, total, flags=("contract",)))
    following = builder.add(index, index.type(1))
    for phi, value in zip([index, *sums], [following, *longer], strict=True):
        phi.add_incoming(value, loop)
    builder.cbranch(builder.icmp_signed("<", following, depth), loop, after)
    builder.position_at_end(after)
    return longer


def _phi(builder: ir.IRBuilder, kind: Any, incoming: Any) -> Any:
    phi = builder.phi(kind)
    for value, block in incoming:
        phi.add_incoming(value, block)
    return phi


def _spread(builder: ir.IRBuilder, number: Any, vector: ir.VectorType) -> Any:
    """Return a vector that holds a number in every place."""
    nothing, places = ir.Constant(vector, ir.Undefined), ir.VectorType(ir.IntType(32), vector.count)
    first = builder.insert_element(nothing, number, ir.IntType(32)(0))
    return builder.shuffle_vector(first, nothing, ir.Constant(places, [0] * vector.count))


# The bits of sqrt(1/2): subtracting them splits a float32 into 2^e m with m within [sqrt(1/2), sqrt(2)).
_HALF_ROOT_BITS = 0x3F3504F3


def plain_exponent(x: np.float32) -> np.float32:
    """Return e of x = 2^e m, with m within [sqrt(1/2), sqrt(2))."""
    return np.float32((x.view(np.int32) - np.int32(_HALF_ROOT_BITS)) >> np.int32(23))


def plain_mantissa(x: np.float32) -> np.float32:
    """Return m of x = 2^e m, within [sqrt(1/2), sqrt(2))."""
    bits = int(x.view(np.int32)) - (int(plain_exponent(x)) << 23)
    return np.int32(bits).view(np.float32)


def _split(builder: ir.IRBuilder, number: Any) -> tuple[Any, Any]:
    """Return a number's bits, and its exponent as an integer, both of 32 bits as numba's are not."""
    word = ir.IntType(32)
    bits = builder.bitcast(number, word)
    return bits, builder.ashr(builder.sub(bits, word(_HALF_ROOT_BITS)), word(23))


@intrinsic
def _compiled_exponent(typing: Any, x: Any) -> Any:
    def generate(context: Any, builder: ir.IRBuilder, signature: Any, given: Any) -> Any:
        return builder.sitofp(_split(builder, given[0])[1], ir.FloatType())

    return numba.types.float32(numba.types.float32), generate


@intrinsic
def _compiled_mantissa(typing: Any, x: Any) -> Any:
    def generate(context: Any, builder: ir.IRBuilder, signature: Any, given: Any) -> Any:
        bits, exponent = _split(builder, given[0])
        near = builder.sub(bits, builder.shl(exponent, exponent.type(23)))
        return builder.bitcast(near, ir.FloatType())

    return numba.types.float32(numba.types.float32), generate


_plain = bool(_CONFIG.DISABLE_JIT)
_make = plain_tile if _plain else _compiled_tile
tall, short = _make(TALL, PANEL), _make(SHORT, PANEL)
half_tall, half_short = _make(HALF_TALL, HALF), _make(HALF_SHORT, HALF)
exponent_of: Any = plain_exponent if _plain else _compiled_exponent
mantissa_of: Any = plain_mantissa if _plain else _compiled_mantissa
