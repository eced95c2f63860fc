"""The numba loops, on buffers that the solver owns.

Everything here is frames-major: V is (frames, bins) and H is (frames, components), so that a frame is one
contiguous row and a block of frames stays in the cache of one core. `T` is W transposed, (components, bins).
The model of a frame is `H T + floor`: a constant far below the data that keeps every quotient finite and,
being a part of the model that is merely never updated, leaves the proof of descent as it is.

The products are plain loops that the compiler turns into vector instructions, on any processor: several rows
are in work at a time, so that a number once loaded is used several times. At these shapes a BLAS is slower.
They have no code for remainders, because every buffer is `aligned`: rounded up to whole tiles, with zeros in
the spare rows and columns of T and of the activations.

All loops stand in this one file, because the compiler's cache sees changes of the file that a loop stands in
and none of the files it calls.

One call works on some frames alone and releases the interpreter lock, so the solver runs several calls side
by side; sums over frames are collected per call and added by the solver in a fixed order.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

# Frames that one core works on at a time: their model and quotients stay in its second-level cache.
BLOCK_FRAMES = 48
# What `aligned` rounds up to: rows, for the tiles of the products, and the floats of one cache line.
TILE_ROWS, LINE = 8, 16

KULLBACK_LEIBLER, ITAKURA_SAITO, EUCLIDEAN, GENERAL = 0, 1, 2, 3

# Below this a (scaled) datum counts as zero, so that model / datum stays inside float32.
_SMALLEST = np.float32(1e-30)
# The bits of sqrt(1/2): subtracting them splits a float32 into 2^e m with m within [sqrt(1/2), sqrt(2)).
_HALF_ROOT_BITS = np.int32(0x3F3504F3)

# (log(1 + t) - t + t^2 / 2) / t^3 over the m above, a fit of least greatest error: 3e-8 of the logarithm.
_LOGARITHM = tuple(
    np.float32(c)
    for c in (0.333338581, -0.250017469, 0.199653965, -0.165656362, 0.148769822, -0.143501881, 0.0891778275)
)

Buffer = NDArray[np.float32]
Numbers = tuple[np.float32, ...]


class Terms(NamedTuple):
    """What is minimised: V times `scale`, against the model plus `floor`, in the divergence `beta`."""

    scale: float
    floor: float
    kind: int
    beta: float
    exponent: float


class Templates(NamedTuple):
    """W transposed, as `padded` makes it, the sums of its rows and, at beta 2 alone, their products T T'."""

    T: Buffer
    sums: Buffer
    products: Buffer = np.empty((0, 0), np.float32)


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
    """Room for one block: its activations, also turned to (components, frames), its model, what they give."""

    h: Buffer
    turned: Buffer
    model: Buffer
    inverse: Buffer
    gain: Buffer
    weight: Buffer
    spare: Buffer
    logs: Buffer


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


@_compile
def _copy(a: Buffer, b: Buffer) -> None:
    """Copy the first corner of a to b, which is smaller."""
    for n in range(b.shape[0]):
        for k in range(b.shape[1]):
            b[n, k] = a[n, k]


@_compile
def _across(x: Buffer, i: int, j: int) -> Numbers:
    """Return eight neighbours in a row."""
    return x[i, j], x[i, j + 1], x[i, j + 2], x[i, j + 3], x[i, j + 4], x[i, j + 5], x[i, j + 6], x[i, j + 7]


@_compile
def _down(x: Buffer, i: int, j: int) -> Numbers:
    """Return eight neighbours in a column."""
    return x[i, j], x[i + 1, j], x[i + 2, j], x[i + 3, j], x[i + 4, j], x[i + 5, j], x[i + 6, j], x[i + 7, j]


@_compile
def _plus(y: np.float32, a: Numbers, x: Numbers) -> np.float32:
    """Return y + a x."""
    y = y + a[0] * x[0] + a[1] * x[1] + a[2] * x[2] + a[3] * x[3]
    return y + a[4] * x[4] + a[5] * x[5] + a[6] * x[6] + a[7] * x[7]


@_compile
def _combine(A: Buffer, B: Buffer, C: Buffer, add: bool) -> None:
    """Write A B to C, or add it: four rows of C at a time take eight rows of B, bin by bin."""
    zero = np.float32(0)
    # Elements, not views of rows: numba counts the uses of views, which took a quarter of the time.
    for i in range(0, C.shape[0], 4):
        for k in range(0, B.shape[0], 8):
            a0, a1 = _across(A, i, k), _across(A, i + 1, k)
            a2, a3 = _across(A, i + 2, k), _across(A, i + 3, k)
            if add or k > 0:
                for j in range(C.shape[1]):
                    b = _down(B, k, j)
                    c0, c1 = _plus(C[i, j], a0, b), _plus(C[i + 1, j], a1, b)
                    c2, c3 = _plus(C[i + 2, j], a2, b), _plus(C[i + 3, j], a3, b)
                    C[i, j], C[i + 1, j], C[i + 2, j], C[i + 3, j] = c0, c1, c2, c3
            else:
                for j in range(C.shape[1]):
                    b = _down(B, k, j)
                    c0, c1 = _plus(zero, a0, b), _plus(zero, a1, b)
                    c2, c3 = _plus(zero, a2, b), _plus(zero, a3, b)
                    C[i, j], C[i + 1, j], C[i + 2, j], C[i + 3, j] = c0, c1, c2, c3


@_compile_sum
def _project(Q: Buffer, T: Buffer, G: Buffer) -> None:
    """Write Q times T transposed to G: eight sums at a time, of two rows of Q by four of T."""
    for k in range(0, T.shape[0], 4):
        for n in range(0, Q.shape[0], 2):
            a0 = a1 = a2 = a3 = b0 = b1 = b2 = b3 = np.float32(0)
            for j in range(Q.shape[1]):
                a, b = Q[n, j], Q[n + 1, j]
                t0, t1, t2, t3 = T[k, j], T[k + 1, j], T[k + 2, j], T[k + 3, j]
                a0, a1, a2, a3 = a0 + a * t0, a1 + a * t1, a2 + a * t2, a3 + a * t3
                b0, b1, b2, b3 = b0 + b * t0, b1 + b * t1, b2 + b * t2, b3 + b * t3
            G[n, k], G[n, k + 1], G[n, k + 2], G[n, k + 3] = a0, a1, a2, a3
            G[n + 1, k], G[n + 1, k + 1], G[n + 1, k + 2], G[n + 1, k + 3] = b0, b1, b2, b3


@_compile
def _quotients(v: Buffer, terms: Terms, model: Buffer, inverse: Buffer) -> None:
    """Turn `model` into V * model^(beta-2); write model^(beta-1) to `inverse` where it is needed.

    Not at beta 2, where no quotient of V is taken.
    """
    scale, floor = np.float32(terms.scale), np.float32(terms.floor)
    if terms.kind == KULLBACK_LEIBLER:
        for n in range(v.shape[0]):
            for i in range(v.shape[1]):
                model[n, i] = v[n, i] * scale / (model[n, i] + floor)
    elif terms.kind == ITAKURA_SAITO:
        for n in range(v.shape[0]):
            for i in range(v.shape[1]):
                q = np.float32(1) / (model[n, i] + floor)
                inverse[n, i] = q
                model[n, i] = (v[n, i] * scale + floor) * q * q
    else:
        # A datum of zero has no divergence below beta = 1: the floor stands in for it.
        lift = floor if terms.beta < 1 else np.float32(0)
        power = np.float32(terms.beta - 2)
        for n in range(v.shape[0]):
            for i in range(v.shape[1]):
                p = model[n, i] + floor
                q = p**power
                inverse[n, i] = q * p
                model[n, i] = (v[n, i] * scale + lift) * q


@_compile
def logarithm(x: Buffer, exponent: Buffer) -> None:
    """Replace positive normal numbers by their natural logarithms, to about 2e-7, in loops that vectorise.

    x = 2^e m with m = 1 + t near 1, and log m = t - t^2 / 2 + t^3 times a polynomial fitted to the rest.
    """
    bits = x.view(np.int32)
    for i in range(x.size):
        e = (bits[i] - _HALF_ROOT_BITS) >> np.int32(23)
        bits[i] -= e << np.int32(23)
        exponent[i] = np.float32(e)
    c0, c1, c2, c3, c4, c5, c6 = _LOGARITHM
    for i in range(x.size):
        t = x[i] - np.float32(1)
        q = t * t
        # Two short chains of multiplications, of the even and of the odd powers, instead of a long one.
        even, odd = c0 + q * (c2 + q * (c4 + q * c6)), c1 + q * (c3 + q * c5)
        rest = t + q * (t * (even + t * odd) - np.float32(0.5))
        x[i] = exponent[i] * np.float32(0.6931471805599453) + rest


@_compile_sum
def _total(x: Buffer) -> float:
    """Sum in float64."""
    total = np.float64(0)
    for i in range(x.size):
        total += np.float64(x[i])
    return total


@_compile
def _divergence(v: Buffer, terms: Terms, quotients: Buffer, model: Buffer, logs: Buffer) -> float:
    """Sum the divergence of one frame of V from its model (without its floor), which may be overwritten.

    `quotients` are those that `_quotients` made of it: they save a division.
    """
    scale, floor, beta = np.float32(terms.scale), np.float32(terms.floor), terms.beta
    each, exponent = logs[0], logs[1]
    if terms.kind == EUCLIDEAN:
        for i in range(v.size):
            difference = v[i] * scale - model[i] - floor
            each[i] = np.float32(0.5) * difference * difference
    elif terms.kind == KULLBACK_LEIBLER:
        # Both sides of a choice are loaded first: a load on one side alone keeps the loop from vectorising.
        for i in range(v.size):
            d, q = v[i] * scale, quotients[i]
            each[i] = q if d > _SMALLEST else np.float32(1)
        logarithm(each, exponent)
        for i in range(v.size):
            d, p, log = v[i] * scale, model[i] + floor, each[i]
            surprise = d * log - d
            each[i] = p + (surprise if d > _SMALLEST else np.float32(0))
    elif terms.kind == ITAKURA_SAITO:
        for i in range(v.size):
            model[i] = quotients[i] * (model[i] + floor)
            each[i] = model[i]
        logarithm(each, exponent)
        for i in range(v.size):
            each[i] = model[i] - each[i] - np.float32(1)
    else:
        lift = np.float64(floor) if beta < 1 else 0.0
        for i in range(v.size):
            d = np.float64(v[i] * scale) + lift
            p = np.float64(model[i] + floor)
            power = p ** (beta - 1)
            each[i] = (d**beta + (beta - 1) * power * p - beta * d * power) / (beta * (beta - 1))
    return _total(each)


@_compile
def _compare(v: Buffer, terms: Terms, templates: Templates, room: Workspace, measure: bool) -> float:
    """Turn the activations of a block into quotients; return the divergence, or 0 unless `measure`.

    Few frames at a time, so that their model is still in the first-level cache when it is divided by.
    """
    objective = 0.0
    for first in range(0, room.h.shape[0], TILE_ROWS):
        last = first + TILE_ROWS
        seen, model = v[first:last], room.model[first:last]
        _combine(room.h[first:last], templates.T, model, False)
        if measure:
            _copy(model, room.spare)
        _quotients(seen, terms, model, room.inverse[first:last])
        if measure:
            for n in range(seen.shape[0]):
                objective += _divergence(seen[n], terms, model[n], room.spare[n], room.logs)
    return objective


@_compile
def _distances(v: Buffer, terms: Terms, templates: Templates, room: Workspace) -> float:
    """Return half the squared distance of a block from its model, which is written to `room.inverse`."""
    _combine(room.h, templates.T, room.inverse, False)
    objective = 0.0
    for n in range(v.shape[0]):
        objective += _divergence(v[n], terms, room.model[n], room.inverse[n], room.logs)
    return objective


@_compile
def _look(v: Buffer, terms: Terms, templates: Templates, room: Workspace, measure: bool) -> float:
    """Bring a block's quotients up to its activations; return its divergence, or 0 unless `measure`."""
    if terms.kind != EUCLIDEAN:
        return _compare(v, terms, templates, room, measure)
    return _distances(v, terms, templates, room) if measure else 0.0


@_compile
def _project_frames(v: Buffer, terms: Terms, templates: Templates, room: Workspace) -> None:
    """Write what stands above and below in the quotient of the activations to `room.gain` and `room.weight`.

    At beta 2 what stands below is H (T T'), which needs no model, and `room.model` takes V itself.
    """
    if terms.kind == EUCLIDEAN:
        scale = np.float32(terms.scale)
        room.model[:] = np.float32(0)
        for n in range(v.shape[0]):
            for i in range(v.shape[1]):
                room.model[n, i] = v[n, i] * scale
        _combine(room.h, templates.products, room.weight, False)
    else:
        _compare(v, terms, templates, room, False)
        if terms.kind != KULLBACK_LEIBLER:
            _project(room.inverse, templates.T, room.weight)
    _project(room.model, templates.T, room.gain)


@_compile
def _step_activations(
    v: Buffer, terms: Terms, templates: Templates, penalty: Penalty, room: Workspace
) -> None:
    """Update the activations of a block once."""
    _project_frames(v, terms, templates, room)
    pulled, weighted = penalty.pull.shape[0] > 0, penalty.entries.shape[0] > 0
    for n in range(v.shape[0]):
        for k in range(penalty.linear.size):
            above = room.gain[n, k] + (penalty.pull[n, k] if pulled else np.float32(0))
            below = templates.sums[k] if terms.kind == KULLBACK_LEIBLER else room.weight[n, k]
            below += penalty.linear[k] + penalty.quadratic[k] * room.h[n, k]
            below += penalty.entries[n, k] if weighted else np.float32(0)
            ratio = above / below if below > 0 else np.float32(0)
            if terms.exponent == 0.5:
                ratio = np.sqrt(ratio)
            elif terms.exponent != 1:
                ratio = ratio ** np.float32(terms.exponent)
            room.h[n, k] *= ratio


@_compile
def _room(frames: int, bins: int, rank: int) -> Workspace:
    """Make the room for one block."""
    room = Workspace(
        aligned(frames, rank),
        aligned(rank, frames),
        aligned(frames, bins),
        aligned(frames, bins),
        aligned(frames, rank),
        aligned(frames, rank),
        np.empty((TILE_ROWS, bins), np.float32),
        np.empty((2, bins), np.float32),
    )
    room.h[:] = np.float32(0)
    # Never computed, but summed with weights of zero: it must not hold a NaN.
    room.inverse[frames:] = np.float32(0)
    room.inverse[:, bins:] = np.float32(0)
    return room


@_compile
def _block(
    V: Buffer, H: Buffer, whole: Workspace, penalty: Penalty, first: int
) -> tuple[Buffer, Buffer, Workspace, Penalty]:
    """Return a block's part of all: its frames, activations, room (into which these are copied), penalty."""
    last = min(first + BLOCK_FRAMES, len(V))
    h, rows = H[first:last], -(-(last - first) // TILE_ROWS) * TILE_ROWS
    room = Workspace(
        whole.h[:rows],
        whole.turned,
        whole.model[:rows],
        whole.inverse[:rows],
        whole.gain[:rows],
        whole.weight[:rows],
        whole.spare,
        whole.logs,
    )
    room.h[len(h) :] = np.float32(0)
    for n in range(h.shape[0]):
        for k in range(h.shape[1]):
            room.h[n, k] = h[n, k]
    here = Penalty(penalty.linear, penalty.quadratic, penalty.entries[first:last], penalty.pull[first:last])
    return V[first:last], h, room, here


@_compile
def _add_sums(h: Buffer, terms: Terms, room: Workspace, numerator: Buffer, denominator: Buffer) -> None:
    """Add what a block says of the templates."""
    for k in range(room.turned.shape[0]):
        for n in range(room.h.shape[0]):
            room.turned[k, n] = room.h[n, k]
    _combine(room.turned, room.model, numerator, True)
    if terms.kind == EUCLIDEAN:
        _combine(room.turned, room.h, denominator, True)
    elif terms.kind != KULLBACK_LEIBLER:
        _combine(room.turned, room.inverse, denominator, True)
    else:
        for n in range(h.shape[0]):
            for k in range(h.shape[1]):
                denominator[k, 0] += h[n, k]


@_compile
def activate_frames(
    V: Buffer, terms: Terms, templates: Templates, penalty: Penalty, H: Buffer, iterations: int
) -> float:
    """Update the activations of the frames of V `iterations` times; return their divergence."""
    whole = _room(min(BLOCK_FRAMES, len(V)), V.shape[1], H.shape[1])
    objective = 0.0
    for first in range(0, len(V), BLOCK_FRAMES):
        v, h, room, here = _block(V, H, whole, penalty, first)
        for _ in range(iterations):
            _step_activations(v, terms, templates, here, room)
        _copy(room.h, h)
        objective += _look(v, terms, templates, room, True)
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

    `sums` are the numerator and denominator of the templates' update, aligned like T, which take sums over
    these frames. For Kullback-Leibler the denominator is the same in every bin: only its first column is
    used. At beta 2 it takes the products of activations, (components, components). Returns the divergence at
    the new activations and the given templates, or 0 unless `measure`.
    """
    whole = _room(min(BLOCK_FRAMES, len(V)), V.shape[1], H.shape[1])
    objective = 0.0
    for first in range(0, len(V), BLOCK_FRAMES):
        v, h, room, here = _block(V, H, whole, penalty, first)
        _step_activations(v, terms, templates, here, room)
        _copy(room.h, h)
        objective += _look(v, terms, templates, room, measure)
        _add_sums(h, terms, room, sums[0], sums[1])
    return objective


def compiled_before() -> bool:
    """Say whether this machine's cache holds compiled kernels; if not, their first use takes some seconds."""
    stats = getattr(factorize_frames, "stats", None)
    return stats is None or any(Path(stats.cache_path).glob("kernels.factorize_frames-*.nbc"))
