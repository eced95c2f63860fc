"""Matrix-product tiles in LLVM vector code; numba's own loops take about 1.5 times as long.

A tile multiplies a few rows by one to three panels of columns. All its sums stay in vector registers; a loop
that the compiler vectorises stores them to memory after a few terms. `compare` is such a product with a last
step: the data are divided by the model before the sums leave the registers.

Each tile has a twin in plain Python. The twin documents it and replaces it where numba is switched off.
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


def _registers() -> tuple[int, int]:
    """Return the float32 numbers of a vector register, and the rows of a tile that is three registers wide.

    The sums of a tile fill the registers: AVX-512 and NEON have 32 of them, all other processors 16.
    """
    features = _CONFIG.CPU_FEATURES
    if features is None:
        features = llvmlite.binding.get_host_cpu_features().flatten()
    present = features.split(",")
    if "+avx512f" in present:
        return 16, 8
    return (8, 4) if "+avx" in present else (4, 8 if "+neon" in present else 4)


PANEL, ROWS = _registers()  # columns of a panel, rows of a tile
ACROSS = 3 * PANEL  # columns of a tile of three panels
UNROLL = 4  # terms that one step of the innermost loop adds
QUOTIENT, TWO_QUOTIENTS, MODEL = 0, 1, 2  # what `compare` writes

Buffer = NDArray[np.float32]
Tile = Callable[..., None]
VECTOR = ir.VectorType(ir.FloatType(), PANEL)


@intrinsic
def compiled_whole_registers(typing: Any) -> Any:
    """Let the loops of the function that calls this use whole registers.

    LLVM takes half of the registers of AVX-512 for loops, because the clock of older processors slows down.
    """

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        # llvmlite's own `add` knows no attributes with values.
        set.add(builder.function.attributes, f'"prefer-vector-width"="{32 * PANEL}"')
        return context.get_dummy_value()

    return numba.types.void(), generate


def plain_product(rows: int, panels: int, transposed: bool = False) -> Tile:
    """Return the product of so many rows and panels, in plain Python."""

    def product(
        A: Buffer, a: int, a_row: int,
        B: Buffer, b: int, b_panel: int,
        C: Buffer, c: int, c_row: int, c_panel: int,
        depth: int,
    ) -> None:  # fmt: skip
        """Write to C the product of some rows of A and some panels of B.

        All buffers are contiguous and addressed as if they were flat: A from a on, its rows `a_row` apart; B
        from b on, its panels `b_panel` apart; C from c on, rows `c_row` and panels `c_panel` apart. A panel
        holds PANEL columns, one row after the other. `depth` is a multiple of UNROLL.

        The transposed product takes columns of A, with rows `a_row` apart, and a matrix B with rows `b_panel`
        apart in place of panels, and it adds to C.
        """
        r, k, p, column = np.arange(rows), np.arange(depth), np.arange(panels), np.arange(PANEL)
        left = a + (np.add.outer(r, k * a_row) if transposed else np.add.outer(r * a_row, k))
        starts = np.add.outer(k * b_panel, p * PANEL) if transposed else np.add.outer(k * PANEL, p * b_panel)
        right = b + np.add.outer(starts, column).reshape(depth, -1)
        target = c + np.add.outer(np.add.outer(r * c_row, p * c_panel), column).reshape(rows, -1)
        total = A.reshape(-1)[left] @ B.reshape(-1)[right]
        flat = C.reshape(-1)
        flat[target] = flat[target] + total if transposed else total

    return product


def plain_compare(
    A: Buffer, a: int, a_row: int,
    B: Buffer, b: int, b_panel: int,
    V: Buffer, v: int, v_row: int,
    C: Buffer, inverse: Buffer, c: int, c_row: int,
    depth: int, scale: np.float32, floor: np.float32, ending: int,
) -> None:  # fmt: skip
    """Write to C a tile of V, times `scale`, compared with its model: the product of A and B, plus `floor`.

    With the ending QUOTIENT it is V divided by the model; with TWO_QUOTIENTS it is V, plus `floor`, divided
    by the square of the model, and `inverse` gets 1 divided by the model; with MODEL it is the model.
    """
    plain_product(ROWS, 3)(A, a, a_row, B, b, b_panel, C, c, c_row, PANEL, depth)
    rows, columns = np.arange(ROWS)[:, None], np.arange(ACROSS)
    data, target = V.reshape(-1)[v + rows * v_row + columns] * scale, c + rows * c_row + columns
    model = C.reshape(-1)[target] + floor
    if ending == TWO_QUOTIENTS:
        inverse.reshape(-1)[target] = 1 / model
        C.reshape(-1)[target] = (data + floor) / model / model
    else:
        C.reshape(-1)[target] = data / model if ending == QUOTIENT else model


def compiled_product(rows: int, panels: int, transposed: bool = False) -> Tile:
    """Return the product of so many rows and panels, for use in compiled functions."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        A, a, a_row, B, b, b_panel, C, c, c_row, c_panel, depth = arguments
        pointer, one, width = _pointers(context, builder, signature), depth.type(1), depth.type(PANEL)
        steps = (one, a_row, width, b_panel) if transposed else (a_row, one, b_panel, width)
        left = _spaced(builder, pointer(0, A, a), steps[0], rows)
        right = _spaced(builder, pointer(3, B, b), steps[2], panels)
        sums = _sums(builder, left, steps[1], right, steps[3], VECTOR(None), depth)
        for row, start in zip(sums, _spaced(builder, pointer(6, C, c), c_row, rows), strict=True):
            for total, spot in zip(row, _spaced(builder, start, c_panel, panels), strict=True):
                store(builder, builder.fadd(load(builder, spot), total) if transposed else total, spot)
        return context.get_dummy_value()

    @intrinsic
    def product(typing: Any, A: Any, a: Any, a_row: Any, B: Any, b: Any, b_panel: Any, C: Any, c: Any, c_row: Any, c_panel: Any, depth: Any) -> Any:  # fmt: skip  # noqa: E501
        n = numba.types.intp
        return numba.types.void(A, n, n, B, n, n, C, n, n, n, n), generate

    return product


@intrinsic
def compiled_compare(typing: Any, A: Any, a: Any, a_row: Any, B: Any, b: Any, b_panel: Any, V: Any, v: Any, v_row: Any, C: Any, inverse: Any, c: Any, c_row: Any, depth: Any, scale: Any, floor: Any, ending: Any) -> Any:  # fmt: skip  # noqa: E501
    """Return the typed `plain_compare` for use in compiled functions."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        A, a, a_row, B, b, b_panel, V, v, v_row, C, inverse, c, c_row, depth, scale, floor, ending = arguments
        pointer, width = _pointers(context, builder, signature), depth.type(PANEL)

        def spots(start: Any, row: Any, rows: int = ROWS) -> list[Any]:
            return [
                s for each in _spaced(builder, start, row, rows) for s in _spaced(builder, each, width, 3)
            ]

        data = spots(pointer(6, V, v), v_row, 2 * ROWS)
        for spot in data[3 * ROWS :]:  # the rows that the next tiles below read: they arrive in time
            _prefetch(builder, spot)
        left = _spaced(builder, pointer(0, A, a), a_row, ROWS)
        right = _spaced(builder, pointer(3, B, b), b_panel, 3)
        scales, floors = broadcast(builder, scale), broadcast(builder, floor)
        rows = _sums(builder, left, depth.type(1), right, width, floors, depth)
        models = [model for row in rows for model in row]
        places = list(zip(models, data[: 3 * ROWS], spots(pointer(9, C, c), c_row), strict=True))
        single, double = (
            builder.icmp_signed("==", ending, ending.type(n)) for n in (QUOTIENT, TWO_QUOTIENTS)
        )
        with builder.if_then(single):
            for model, seen, out in places:
                store(builder, _divided(builder, builder.fmul(load(builder, seen), scales), model), out)
        with builder.if_then(double):
            inverses = spots(pointer(10, inverse, c), c_row)
            for (model, seen, out), spot in zip(places, inverses, strict=True):
                one = _divided(builder, VECTOR([1.0] * PANEL), model)
                value = builder.fadd(builder.fmul(load(builder, seen), scales), floors)
                store(builder, one, spot)
                store(builder, builder.fmul(builder.fmul(value, one), one), out)
        with builder.if_then(builder.not_(builder.or_(single, double))):
            for model, _, out in places:
                store(builder, model, out)
        return context.get_dummy_value()

    n, real = numba.types.intp, numba.types.float32
    return numba.types.void(A, n, n, B, n, n, V, n, n, C, inverse, n, n, n, real, real, n), generate


def _sums(
    builder: ir.IRBuilder, left: list[Any], left_step: Any, right: list[Any], right_step: Any, start: Any,
    depth: Any,
) -> list[list[Any]]:  # fmt: skip
    """Write the loop over the depth; return the sums of each row and panel, all of which begin at `start`."""
    before, loop = builder.basic_block, builder.append_basic_block("loop")
    builder.branch(loop)
    builder.position_at_end(loop)
    entering = [depth, *left, *right, *[start] * (len(left) * len(right))]
    phis = [builder.phi(value.type) for value in entering]
    rows, panels = phis[1 : 1 + len(left)], phis[1 + len(left) : 1 + len(left) + len(right)]
    sums = phis[1 + len(left) + len(right) :]
    for term in range(UNROLL):
        vectors = [load(builder, _moved(builder, panel, right_step, term)) for panel in panels]
        for r, row in enumerate(rows):
            factor = broadcast(builder, builder.load(_moved(builder, row, left_step, term)))
            for place, vector in enumerate(vectors, r * len(vectors)):
                sums[place] = multiplied_sum(builder, factor, vector, sums[place])
    remaining = builder.sub(phis[0], depth.type(UNROLL))
    moved = [_moved(builder, row, left_step, UNROLL) for row in rows]
    moved += [_moved(builder, panel, right_step, UNROLL) for panel in panels]
    for phi, first, later in zip(phis, entering, [remaining, *moved, *sums], strict=True):
        phi.add_incoming(first, before)
        phi.add_incoming(later, loop)
    after = builder.append_basic_block("after")
    builder.cbranch(builder.icmp_signed(">", remaining, depth.type(0)), loop, after)
    builder.position_at_end(after)
    return [sums[r * len(right) : (r + 1) * len(right)] for r in range(len(left))]


def _pointers(context: Any, builder: ir.IRBuilder, signature: Any) -> Callable[[int, Any, Any], Any]:
    """Return a function that returns a pointer into an array, given its argument's number and an offset."""
    make = context.make_array
    return lambda n, array, first: builder.gep(make(signature.args[n])(context, builder, array).data, [first])


def _moved(builder: ir.IRBuilder, pointer: Any, step: Any, count: int) -> Any:
    return builder.gep(pointer, [builder.mul(step, step.type(count))])


def _spaced(builder: ir.IRBuilder, pointer: Any, step: Any, count: int) -> list[Any]:
    return [_moved(builder, pointer, step, n) for n in range(count)]


def load(builder: ir.IRBuilder, pointer: Any) -> Any:
    """Return the vector at a pointer to its first number."""
    return builder.load(builder.bitcast(pointer, VECTOR.as_pointer()), align=4)


def store(builder: ir.IRBuilder, vector: Any, pointer: Any) -> None:
    """Write a vector at a pointer to its first number."""
    builder.store(vector, builder.bitcast(pointer, VECTOR.as_pointer()), align=4)


def _prefetch(builder: ir.IRBuilder, pointer: Any) -> None:
    """Ask for a cache line to be read into the second-level cache."""
    byte, word = ir.IntType(8).as_pointer(), ir.IntType(32)
    kind = ir.FunctionType(ir.VoidType(), [byte, word, word, word])
    prefetch = builder.module.declare_intrinsic("llvm.prefetch", [byte], kind)
    builder.call(prefetch, [builder.bitcast(pointer, byte), word(0), word(2), word(1)])


def _divided(builder: ir.IRBuilder, a: Any, b: Any) -> Any:
    """Return a / b of finite numbers.

    AVX-512 has an estimate of the inverse that one Newton step makes exact to the last bit or two, in a third
    of the time. The errors of the coarser estimates of other processors all have one sign: they shift sums.
    """
    return builder.fdiv(a, b, flags=("arcp", "nnan", "ninf", "contract") if PANEL == 16 else ())


def broadcast(builder: ir.IRBuilder, number: Any) -> Any:
    """Return a vector that holds a number in every place."""
    empty, places = ir.VectorType(number.type, PANEL)(ir.Undefined), ir.VectorType(ir.IntType(32), PANEL)
    first = builder.insert_element(empty, number, ir.IntType(32)(0))
    return builder.shuffle_vector(first, empty, places([0] * PANEL))


def multiplied_sum(builder: ir.IRBuilder, a: Any, b: Any, added: Any) -> Any:
    """Return a b + added, in one instruction where the processor has it."""
    return builder.fadd(builder.fmul(a, b, flags=("contract",)), added, flags=("contract",))


_make = plain_product if _CONFIG.DISABLE_JIT else compiled_product
# A tile of one panel is eight rows high on every processor: fewer sums would wait for each other.
one_panel, two_panels, three_panels = _make(8, 1), _make(ROWS, 2), _make(ROWS, 3)
transposed_panel, three_transposed_panels = _make(ROWS, 1, True), _make(ROWS, 3, True)
whole_registers: Any = (lambda: None) if _CONFIG.DISABLE_JIT else compiled_whole_registers
compare: Any = plain_compare if _CONFIG.DISABLE_JIT else compiled_compare
