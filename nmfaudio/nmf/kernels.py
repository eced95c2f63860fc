"""The numba loops, on buffers that the solver owns.

Everything here is frames-major: V is (frames, bins) and H is (frames, components), so that a frame is one
contiguous row. `T` is W transposed, (components, bins). The model of a frame is `H T + floor`: a constant far
below the data that keeps every quotient finite and, being a part of the model that is merely never updated,
leaves the proof of descent as it is.

A block of frames meets the templates a few bins at a time: their model, its quotients and what these say of
the factors stay in the cache of one core, and no product of frames and bins is ever in memory. The products
are those of `intrinsics.py`; they take one factor in panels, (panels, rows, PANEL), each a stretch of memory
of its own. They have no code for remainders, because every buffer is `aligned`: rounded up to whole tiles,
with zeros in the spare rows and columns of T and of the activations.

All loops of plain factorization stand in this one file, because the compiler's cache sees changes of the file
that a loop stands in and none of the files it calls. The loops of `lagged_kernels.py` call some of these.

One call works on some frames alone and releases the interpreter lock, so the solver runs several calls side
by side; sums over frames are collected per call and added by the solver in a fixed order.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from nmfaudio.nmf.intrinsics import (
    HALF_SHORT,
    HALF_TALL,
    PANEL,
    SHORT,
    TALL,
    exponent_of,
    half_short,
    half_tall,
    mantissa_of,
    short,
    tall,
)

# Frames and bins that one core works on at a time: their model and quotients stay in its first-level cache.
BLOCK_FRAMES, TILE_BINS = 48, 64
# What `aligned` rounds up to: rows, for the tiles of the products, and the floats of one cache line.
TILE_ROWS, LINE = 8, 16

KULLBACK_LEIBLER, ITAKURA_SAITO, EUCLIDEAN, GENERAL = 0, 1, 2, 3

# (log(1 + t) - t + t^2 / 2) / t^3 over the m above, a fit of least greatest error: 3e-8 of the logarithm.
_LOGARITHM = tuple(
    np.float32(c)
    for c in (0.333338581, -0.250017469, 0.199653965, -0.165656362, 0.148769822, -0.143501881, 0.0891778275)
)

Buffer = NDArray[np.float32]


class Terms(NamedTuple):
    """What is minimised: V times `scale`, against the model plus `floor`, in the divergence `beta`."""

    scale: float
    floor: float
    kind: int
    beta: float
    exponent: float


_NOTHING = np.empty((0, 0), np.float32)


class Templates(NamedTuple):
    """W transposed, as `padded` makes it, the sums of its rows, and what `packed` makes of it for the loops.

    `panels` holds T, (bins / PANEL, components, PANEL), and `columns` W, (components / PANEL, bins, PANEL),
    both as rows of PANEL numbers. At beta 2 alone, `products` are T T'.
    """

    T: Buffer
    sums: NDArray[np.float64]
    panels: Buffer = _NOTHING
    columns: Buffer = _NOTHING
    products: Buffer = _NOTHING


class Penalty(NamedTuple):
    """What a penalty adds below and above the quotient of the activations' update.

    `linear` and `quadratic`, (components,), are weights of h and of h^2 / 2. `entries` and `pull`,
    (frames, components) or (0, components) where there are none, are a weight of each entry, and what draws
    each entry up.
    """

    linear: Buffer
    quadratic: Buffer
    entries: Buffer
    pull: Buffer

    def of_frames(self, start: int, stop: int) -> Penalty:
        """Return the penalty of some frames."""
        return self._replace(entries=self.entries[start:stop], pull=self.pull[start:stop])


class Workspace(NamedTuple):
    """Room for one block.

    (frames, components): its activations, what stands above and below in the quotient of their update. Its
    data, tile after tile. For one tile, each in a row: its model, what is inverse to this, a copy of the
    model, its divergences.
    """

    data: Buffer
    h: Buffer
    gain: Buffer
    weight: Buffer
    tiles: Buffer


_compile = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
_compile_sum = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "reassoc"})


@_compile
def aligned(rows: int, columns: int) -> Buffer:
    """Return room, not yet filled: both sides rounded up to whole tiles, rows starting a cache line."""
    height, width = -(-rows // TILE_ROWS) * TILE_ROWS, -(-columns // LINE) * LINE
    memory = np.empty(height * width + LINE, np.float32)
    skipped = LINE - memory.ctypes.data % (4 * LINE) // 4
    return memory[skipped : skipped + height * width].reshape(height, width)


def padded(matrix: Buffer) -> Buffer:
    """Copy a matrix into aligned room, zeros around it."""
    copied: Buffer = aligned(*matrix.shape)
    copied[:] = 0
    copied[: matrix.shape[0], : matrix.shape[1]] = matrix
    return copied


def packed(templates: Templates, *, products: bool) -> Templates:
    """Return templates with all that the loops take, the products of all pairs of them where asked for."""
    T = templates.T
    W = padded(T.T)
    pairs = padded(T @ T.T) if products else _NOTHING
    return templates._replace(panels=_panels(T), columns=_panels(W), products=pairs)


def _panels(matrix: Buffer) -> Buffer:
    """Return the columns of a padded matrix in panels, one below the other."""
    cut = matrix.reshape(len(matrix), -1, PANEL).swapaxes(0, 1).reshape(-1, PANEL)
    return padded(cut)


def unpacked(panels: Buffer, rows: int) -> Buffer:
    """Return the matrix of so many rows that was cut into panels."""
    return panels.reshape(-1, rows, PANEL).swapaxes(0, 1).reshape(rows, -1)


@_compile
def _multiply(
    A: Buffer, a: int, down: int, right: int, rows: int,
    B: Buffer, b: int, below: int,
    C: Buffer, c: int, under: int,
    depth: int, add: bool,
) -> None:  # fmt: skip
    """Write to C, or add to it, the product of rows of A by a panel of B: see `plain_tile`."""
    shorts = (-rows % TALL) // (TALL - SHORT)
    between = rows - shorts * SHORT
    for r in range(0, between, TALL):
        tall(A, a + r * down, down, right, B, b, below, C, c + r * under, under, depth, add)
    for r in range(between, rows, SHORT):
        short(A, a + r * down, down, right, B, b, below, C, c + r * under, under, depth, add)


@_compile
def _multiply_half(
    A: Buffer, a: int, down: int, right: int, rows: int,
    B: Buffer, b: int, below: int,
    C: Buffer, c: int, under: int,
    depth: int, add: bool,
) -> None:  # fmt: skip
    """Do the same with the first half of the panel."""
    shorts = (-rows % HALF_TALL) // (HALF_TALL - HALF_SHORT)
    between = rows - shorts * HALF_SHORT
    for r in range(0, between, HALF_TALL):
        half_tall(A, a + r * down, down, right, B, b, below, C, c + r * under, under, depth, add)
    for r in range(between, rows, HALF_SHORT):
        half_short(A, a + r * down, down, right, B, b, below, C, c + r * under, under, depth, add)


@_compile
def _copy(a: Buffer, b: Buffer) -> None:
    """Copy the first corner of a to b, which is smaller."""
    for n in range(b.shape[0]):
        for k in range(b.shape[1]):
            b[n, k] = a[n, k]


@_compile
def _lay_out(v: Buffer, terms: Terms, rows: int, bins: int, tiled: Buffer) -> None:
    """Copy a block of V, scaled, so that each tile of it is one stretch; zeros beyond the edges of V.

    Read as it stands, a row at a time: to read it tile by tile is to wait for the memory.
    """
    scale, inside = np.float32(terms.scale), v.shape[1]
    tiled[: rows * bins] = np.float32(0)
    for n in range(v.shape[0]):
        for first in range(0, inside, TILE_BINS):
            width = min(TILE_BINS, bins - first)
            # Unsigned numbers: for others the compiler asks at each step whether they count from the end.
            begin, target = np.uint64(first), np.uint64(first * rows + n * width)
            for i in range(np.uint64(min(width, inside - first))):
                tiled[target + i] = v[n, begin + i] * scale


@_compile
def _blank(inside: int, width: int, tile: Buffer) -> None:
    """Clear what a tile holds beyond the last bin."""
    if inside < width:
        for start in range(0, tile.size, width):
            tile[start + inside : start + width] = np.float32(0)


@_compile
def _quotients(seen: Buffer, terms: Terms, model: Buffer, inverse: Buffer) -> None:
    """Turn `model` into V * model^(beta-2); write model^(beta-1) to `inverse` where it is needed.

    Not at beta 2, where no quotient of V is taken.
    """
    floor = np.float32(terms.floor)
    if terms.kind == KULLBACK_LEIBLER:
        for i in range(seen.size):
            model[i] = seen[i] / (model[i] + floor)
    elif terms.kind == ITAKURA_SAITO:
        for i in range(seen.size):
            q = np.float32(1) / (model[i] + floor)
            inverse[i] = q
            model[i] = (seen[i] + floor) * q * q
    else:
        # A datum of zero has no divergence below beta = 1: the floor stands in for it.
        lift = floor if terms.beta < 1 else np.float32(0)
        power = np.float32(terms.beta - 2)
        for i in range(seen.size):
            p = model[i] + floor
            q = p**power
            inverse[i] = q * p
            model[i] = (seen[i] + lift) * q


@_compile
def logarithm(x: np.float32) -> np.float32:
    """Return the natural logarithm of a positive normal number, to about 2e-7; -88 or less of one below.

    x = 2^e m with m = 1 + t near 1, and log m = t - t^2 / 2 + t^3 times a polynomial fitted to the rest.
    """
    c0, c1, c2, c3, c4, c5, c6 = _LOGARITHM
    t = mantissa_of(x) - np.float32(1)
    q = t * t
    # Two short chains of multiplications, of the even and of the odd powers, instead of a long one.
    even, odd = c0 + q * (c2 + q * (c4 + q * c6)), c1 + q * (c3 + q * c5)
    rest = t + q * (t * (even + t * odd) - np.float32(0.5))
    found: np.float32 = exponent_of(x) * np.float32(0.6931471805599453) + rest
    return found


@_compile_sum
def _total(x: Buffer) -> float:
    """Sum in float64."""
    total = np.float64(0)
    for i in range(x.size):
        total += np.float64(x[i])
    return total


@_compile_sum
def _whole(v: Buffer, terms: Terms, templates: Templates, room: Workspace) -> float:
    """Return what the divergence of a block has beside what `_divergence` says of each datum.

    For Kullback-Leibler it is the sum of the model.
    """
    if terms.kind != KULLBACK_LEIBLER:
        return 0.0
    total = np.float64(v.shape[0] * v.shape[1] * terms.floor)
    for n in range(v.shape[0]):
        for k in range(templates.sums.size):
            total += np.float64(room.h[n, k]) * templates.sums[k]
    return total


@_compile
def _divergence(
    seen: Buffer, terms: Terms, quotients: Buffer, inverse: Buffer, model: Buffer, each: Buffer
) -> None:
    """Write to `each` the divergence of each datum from its model (without its floor).

    `quotients` and `inverse` are those that `_quotients` made of it; the model itself is needed at other
    betas than 0 and 1 alone. For Kullback-Leibler the model, whose sum `_whole` knows, is left out.
    """
    floor, beta = np.float32(terms.floor), terms.beta
    if terms.kind == EUCLIDEAN:
        for i in range(seen.size):
            difference = seen[i] - model[i] - floor
            each[i] = np.float32(0.5) * difference * difference
    elif terms.kind == KULLBACK_LEIBLER:
        for i in range(seen.size):
            each[i] = seen[i] * logarithm(quotients[i]) - seen[i]
    elif terms.kind == ITAKURA_SAITO:
        for i in range(seen.size):
            ratio = (seen[i] + floor) * inverse[i]
            each[i] = ratio - logarithm(ratio) - np.float32(1)
    else:
        lift = np.float64(floor) if beta < 1 else 0.0
        for i in range(seen.size):
            d = np.float64(seen[i]) + lift
            p = np.float64(model[i] + floor)
            power = p ** (beta - 1)
            each[i] = (d**beta + (beta - 1) * power * p - beta * d * power) / (beta * (beta - 1))


@_compile
def _model(templates: Templates, room: Workspace, first: int, width: int, model: Buffer) -> None:
    """Write the model of a block in the bins from `first` on."""
    rows, stride, height = room.h.shape[0], room.h.shape[1], templates.T.shape[0]
    for p in range(0, width, PANEL):
        panel = (first + p) * height
        _multiply(room.h, 0, stride, 1, rows, templates.panels, panel, PANEL, model, p, width, height, False)


@_compile
def _project(Q: Buffer, templates: Templates, first: int, width: int, G: Buffer) -> None:
    """Add to G what a tile Q, (frames, bins), gives in the direction of each template."""
    height, bins = templates.T.shape
    whole, rows, stride, add = height - height % PANEL, G.shape[0], G.shape[1], first > 0
    for k in range(0, whole, PANEL):
        panel = k * bins + first * PANEL
        _multiply(Q, 0, width, 1, rows, templates.columns, panel, PANEL, G, k, stride, width, add)
    if whole < height:
        panel = whole * bins + first * PANEL
        _multiply_half(Q, 0, width, 1, rows, templates.columns, panel, PANEL, G, whole, stride, width, add)


@_compile
def _compare(
    v: Buffer, terms: Terms, templates: Templates, room: Workspace, first: int, width: int, measure: bool
) -> tuple[Buffer, Buffer, float]:
    """Return the quotients of a block in some bins, and their divergence, or 0 unless `measure`.

    At beta 2 the data themselves stand for the quotients.
    """
    size, inside = room.h.shape[0] * width, min(width, v.shape[1] - first)
    begin = first * room.h.shape[0]
    seen, model, inverse = room.data[0, begin : begin + size], room.tiles[0, :size], room.tiles[1, :size]
    spare, each = room.tiles[2, :size], room.tiles[3, :size]
    euclidean = terms.kind == EUCLIDEAN
    if measure or not euclidean:
        _model(templates, room, first, width, model)
        if measure and (euclidean or terms.kind == GENERAL):
            spare[:] = model
        if not euclidean:
            _quotients(seen, terms, model, inverse)
            _blank(inside, width, model)
            _blank(inside, width, inverse)
    objective = 0.0
    if measure:
        _divergence(seen, terms, model, inverse, spare, each)
        _blank(inside, width, each)
        objective = _total(each[: v.shape[0] * width])
    return (seen if euclidean else model), inverse, objective


@_compile
def project_frames(v: Buffer, terms: Terms, templates: Templates, room: Workspace) -> None:
    """Write what stands above and below in the quotient of the activations to `room.gain` and `room.weight`.

    At beta 2 what stands below is H (T T'), which needs no model.
    """
    for first in range(0, templates.T.shape[1], TILE_BINS):
        width = min(TILE_BINS, templates.T.shape[1] - first)
        above, below, _ = _compare(v, terms, templates, room, first, width, False)
        _project(above, templates, first, width, room.gain)
        if terms.kind != KULLBACK_LEIBLER and terms.kind != EUCLIDEAN:
            _project(below, templates, first, width, room.weight)
    stride = room.h.shape[1]
    if terms.kind == KULLBACK_LEIBLER:
        for n in range(v.shape[0]):
            for k in range(templates.sums.size):
                room.weight[n, k] = np.float32(templates.sums[k])
    elif terms.kind == EUCLIDEAN:
        for k in range(0, stride, PANEL):
            _multiply(
                room.h, 0, stride, 1, room.h.shape[0], templates.products, k, stride,
                room.weight, k, stride, templates.T.shape[0], False,
            )  # fmt: skip


@_compile
def _step_activations(
    v: Buffer, terms: Terms, templates: Templates, penalty: Penalty, room: Workspace
) -> None:
    """Update the activations of a block once."""
    project_frames(v, terms, templates, room)
    for n in range(v.shape[0]):
        for k in range(penalty.linear.size):
            room.weight[n, k] += penalty.linear[k] + penalty.quadratic[k] * room.h[n, k]
    for n in range(penalty.entries.shape[0]):
        for k in range(penalty.entries.shape[1]):
            room.weight[n, k] += penalty.entries[n, k]
    for n in range(penalty.pull.shape[0]):
        for k in range(penalty.pull.shape[1]):
            room.gain[n, k] += penalty.pull[n, k]
    for n in range(v.shape[0]):
        for k in range(penalty.linear.size):
            above, below = room.gain[n, k], room.weight[n, k]
            room.gain[n, k] = above / below if below > 0 else np.float32(0)
    _raise(room.gain, v.shape[0], terms.exponent)
    for n in range(v.shape[0]):
        for k in range(penalty.linear.size):
            room.h[n, k] *= room.gain[n, k]


@_compile
def _raise(ratio: Buffer, rows: int, exponent: float) -> None:
    """Raise the first rows to a power."""
    if exponent == 0.5:
        for n in range(rows):
            for k in range(ratio.shape[1]):
                ratio[n, k] = np.sqrt(ratio[n, k])
    elif exponent != 1:
        for n in range(rows):
            for k in range(ratio.shape[1]):
                ratio[n, k] = ratio[n, k] ** np.float32(exponent)


@_compile
def room_for_block(frames: int, bins: int, rank: int) -> Workspace:
    """Make the room for one block."""
    h = aligned(frames, rank)
    h[:] = np.float32(0)
    return Workspace(
        aligned(TILE_ROWS, h.shape[0] // TILE_ROWS * bins).reshape(1, -1),
        h,
        aligned(frames, rank),
        aligned(frames, rank),
        aligned(4, h.shape[0] * TILE_BINS + LINE),
    )


@_compile
def data_block(V: Buffer, terms: Terms, whole: Workspace, first: int) -> tuple[Buffer, Workspace]:
    """Return a block of V and the room for it, into which it is laid; activations of rows beyond it are 0."""
    last = min(first + BLOCK_FRAMES, len(V))
    v, rows = V[first:last], -(-(last - first) // TILE_ROWS) * TILE_ROWS
    _lay_out(v, terms, rows, -(-V.shape[1] // LINE) * LINE, whole.data[0])
    room = Workspace(whole.data, whole.h[:rows], whole.gain[:rows], whole.weight[:rows], whole.tiles)
    room.h[len(v) :] = np.float32(0)
    return v, room


@_compile
def _block(
    V: Buffer, terms: Terms, H: Buffer, whole: Workspace, penalty: Penalty, first: int
) -> tuple[Buffer, Buffer, Workspace, Penalty]:
    """Return a block's part of all: its frames, activations, room (into which these are copied), penalty."""
    last = min(first + BLOCK_FRAMES, len(V))
    h = H[first:last]
    v, room = data_block(V, terms, whole, first)
    for n in range(h.shape[0]):
        for k in range(h.shape[1]):
            room.h[n, k] = h[n, k]
    here = Penalty(penalty.linear, penalty.quadratic, penalty.entries[first:last], penalty.pull[first:last])
    return v, h, room, here


@_compile
def _gather(Q: Buffer, room: Workspace, first: int, width: int, sums: Buffer, height: int) -> None:
    """Add to sums, in panels, what a tile Q, (frames, bins), gives in the direction of each activation."""
    stride, frames = room.h.shape[1], room.h.shape[0]
    for p in range(0, width, PANEL):
        _multiply(room.h, 0, 1, stride, height, Q, p, width, sums, (first + p) * height, PANEL, frames, True)


@_compile
def _add_activations(terms: Terms, room: Workspace, denominator: Buffer) -> None:
    """Add what a block's activations alone say of the templates: their sums, at beta 2 their products."""
    if terms.kind == KULLBACK_LEIBLER:
        for n in range(room.h.shape[0]):
            for k in range(room.h.shape[1]):
                denominator[0, k] += room.h[n, k]
    elif terms.kind == EUCLIDEAN:
        stride, frames = room.h.shape[1], room.h.shape[0]
        for k in range(0, stride, PANEL):
            _multiply(
                room.h, 0, 1, stride, denominator.shape[0], room.h, k, stride,
                denominator, k, stride, frames, True,
            )  # fmt: skip


@_compile
def gather_block(
    v: Buffer, terms: Terms, templates: Templates, room: Workspace, sums: tuple[Buffer, Buffer], measure: bool
) -> float:
    """Add what a block says of the templates to `sums`, as `factorize_frames` has them.

    Returns the divergence, or 0 unless `measure`.
    """
    height, objective = templates.T.shape[0], 0.0
    _add_activations(terms, room, sums[1])
    for first in range(0, templates.T.shape[1], TILE_BINS):
        width = min(TILE_BINS, templates.T.shape[1] - first)
        above, below, found = _compare(v, terms, templates, room, first, width, measure)
        objective += found
        _gather(above, room, first, width, sums[0], height)
        if terms.kind != KULLBACK_LEIBLER and terms.kind != EUCLIDEAN:
            _gather(below, room, first, width, sums[1], height)
    return objective + _whole(v, terms, templates, room) if measure else 0.0


@_compile
def activate_frames(
    V: Buffer, terms: Terms, templates: Templates, penalty: Penalty, H: Buffer, iterations: int
) -> float:
    """Update the activations of the frames of V `iterations` times; return their divergence."""
    whole = room_for_block(min(BLOCK_FRAMES, len(V)), templates.T.shape[1], H.shape[1])
    objective = 0.0
    for first in range(0, len(V), BLOCK_FRAMES):
        v, h, room, here = _block(V, terms, H, whole, penalty, first)
        for _ in range(iterations):
            _step_activations(v, terms, templates, here, room)
        _copy(room.h, h)
        for start in range(0, templates.T.shape[1], TILE_BINS):
            width = min(TILE_BINS, templates.T.shape[1] - start)
            objective += _compare(v, terms, templates, room, start, width, True)[2]
        objective += _whole(v, terms, templates, room)
    return objective


@_compile
def factorize_frames(
    V: Buffer,
    terms: Terms,
    templates: Templates,
    penalty: Penalty,
    H: Buffer,
    sums: tuple[Buffer, Buffer],
    measure: bool,
) -> float:
    """Update the activations of the frames of V once and add what they say of the templates.

    `sums` are the numerator and denominator of the templates' update, in panels like T, which take sums over
    these frames. For Kullback-Leibler the denominator is the same in every bin: one row. At beta 2 it takes
    the products of activations, (components, components). Returns the divergence at the new activations and
    the given templates, or 0 unless `measure`.
    """
    whole, objective = room_for_block(min(BLOCK_FRAMES, len(V)), templates.T.shape[1], H.shape[1]), 0.0
    for first in range(0, len(V), BLOCK_FRAMES):
        v, h, room, here = _block(V, terms, H, whole, penalty, first)
        _step_activations(v, terms, templates, here, room)
        _copy(room.h, h)
        objective += gather_block(v, terms, templates, room, sums, measure)
    return objective


# The logarithm of what an extrapolated entry is at least and at most of what plain updates give: with less it
# could be lost for good.
_LEAST, _MOST = np.float32(-1.2), np.float32(2)
_TINY = np.float32(1e-35)


@_compile
def _bend(x0: np.float32, x1: np.float32, x2: np.float32) -> tuple[np.float32, np.float32]:
    """Return the first and the second difference of the logarithms of an entry."""
    x0, x1, x2 = x0 + _TINY, x1 + _TINY, x2 + _TINY
    first = logarithm(x1 / x0)
    return first, logarithm(x2 / x1) - first


@_compile
def exponential(x: np.float32) -> np.float32:
    """Return e^x for x between `_LEAST` and `_MOST`, to about 5e-7: a Taylor series at x / 8."""
    t = x * np.float32(1 / 8)
    q = np.float32(1) + t * (np.float32(1 / 5) + t * np.float32(1 / 30))
    q = np.float32(1) + t * (np.float32(1 / 3) + t * np.float32(1 / 12) * q)
    q = np.float32(1) + t * (np.float32(1) + t * np.float32(1 / 2) * q)
    q *= q
    q *= q
    return q * q


@_compile_sum
def bends(x0: Buffer, x1: Buffer, x2: Buffer) -> tuple[float, float, float]:
    """Return sums of squares of the first and second differences of a factor's logarithms, and of weights.

    Each entry weighs as much as it is large.
    """
    first, second, size = np.float64(0), np.float64(0), np.float64(0)
    for i in range(x0.shape[0]):
        a = b = c = np.float32(0)
        for j in range(x0.shape[1]):
            r, v = _bend(x0[i, j], x1[i, j], x2[i, j])
            a, b, c = a + x1[i, j] * r * r, b + x1[i, j] * v * v, c + x1[i, j]
        first, second, size = first + a, second + b, size + c
    return first, second, size


@_compile
def extrapolate(x0: Buffer, x1: Buffer, x2: Buffer, length: float, found: Buffer) -> None:
    """Write log x0 + 2 s r + s^2 v, r and v its differences, as a number that is not far from x2."""
    once, twice = np.float32(2 * length - 2), np.float32(length * length - 1)
    for i in range(x0.shape[0]):
        for j in range(x0.shape[1]):
            r, v = _bend(x0[i, j], x1[i, j], x2[i, j])
            ahead = min(max(once * r + twice * v, _LEAST), _MOST)
            found[i, j] = x2[i, j] * exponential(ahead)
