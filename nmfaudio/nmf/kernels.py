"""Numba loops of multiplicative updates, on the buffers of `layout.py`.

Every buffer is frames-major: V is (frames, bins) and H is (frames, components), so that a frame is one
contiguous row. `T` is W transposed, (components, bins). The model of a frame is `H T + floor`. The floor is a
constant far below the data that keeps every quotient finite. It is a part of the model that is never updated,
so the proof of descent holds with it.

The loops take a block of frames at a time, whose quotients and activations fit in the cache of one core. The
matrix products are those of `intrinsics.py`. They take one factor in panels, rows of (rows * PANEL) numbers,
and have no code for remainders: every buffer is `aligned`, that is rounded up to whole tiles, with zeros in
the spare rows and columns of T and H. Only V is read in place; tiles beyond its edges are copied to a buffer.

One call works on some frames and releases the interpreter lock, so the solver runs several calls in parallel.
Each call collects its own sums over frames, and the solver adds them in a fixed order.
"""

from __future__ import annotations

import numpy as np

from nmfaudio.nmf.compilation import compiled, inlined
from nmfaudio.nmf.counter_kernels import add, wait_for
from nmfaudio.nmf.intrinsics import (
    ACROSS,
    MODEL,
    PANEL,
    QUOTIENT,
    ROWS,
    TWO_QUOTIENTS,
    UNROLL,
    compare,
    one_panel,
    three_panels,
    three_transposed_panels,
    transposed_panel,
    two_panels,
    whole_registers,
)
from nmfaudio.nmf.layout import (
    BIN_MULTIPLE,
    BLOCK_FRAMES,
    EUCLIDEAN,
    FINISHED,
    GENERAL,
    ITAKURA_SAITO,
    KULLBACK_LEIBLER,
    LINE,
    ROW_MULTIPLE,
    TAKEN,
    Buffer,
    Sums,
    Workspace,
    aligned,
)
from nmfaudio.nmf.layout import Penalty as Penalty
from nmfaudio.nmf.layout import Portions as Portions
from nmfaudio.nmf.layout import Templates as Templates
from nmfaudio.nmf.layout import Terms as Terms
from nmfaudio.nmf.logarithm_kernels import logarithm as logarithm

SUMMED = 16384  # entries of a frame whose divergences are added in float32

_compiled, _compiled_sum = compiled(), compiled(reassociate=True)
_inlined = inlined()


_aligned = _compiled(aligned)


@_compiled
def _multiply(A: Buffer, B: Buffer, panels: int, depth: int, C: Buffer) -> None:
    """Write to C the product of A and the first panels of B, over the first `depth` columns of A."""
    rows, a, b, c, p = len(A), A.shape[1], B.shape[1], C.shape[1], 0
    while p < panels:
        left, here = panels - p, p * PANEL
        if left == 3 or left > 4:
            for r in range(0, rows, ROWS):
                three_panels(A, r * a, a, B, p * b, b, C, r * c + here, c, PANEL, depth)
            p += 3
        elif left > 1:
            for r in range(0, rows, ROWS):
                two_panels(A, r * a, a, B, p * b, b, C, r * c + here, c, PANEL, depth)
            p += 2
        else:
            for r in range(0, rows, ROW_MULTIPLE):
                one_panel(A, r * a, a, B, p * b, b, C, r * c + here, c, PANEL, depth)
            p += 1


@_compiled
def _take_quotients(seen: Buffer, terms: Terms, model: Buffer, inverse: Buffer) -> None:
    """Turn the model of a frame into V * model^(beta-2), and write model^(beta-1) to `inverse`.

    At beta 2, V itself is written, because H (T T') replaces the product with the model.
    """
    scale, floor = np.float32(terms.scale), np.float32(terms.floor)
    if terms.kind == EUCLIDEAN:
        for i in range(seen.size):
            model[i] = seen[i] * scale
    else:
        # Below beta = 1 a datum of zero has an infinite divergence: the floor is added to it.
        lift = floor if terms.beta < 1 else np.float32(0)
        power = np.float32(terms.beta - 2)
        for i in range(seen.size):
            p = model[i]
            q = p**power
            inverse[i] = q * p
            model[i] = (seen[i] * scale + lift) * q


@_compiled_sum
def _model_sum(v: Buffer, terms: Terms, templates: Templates, work: Workspace) -> float:
    """Return the sum of the model of a block, which `_divergence` leaves out, and 0 unless beta is 1."""
    if terms.kind != KULLBACK_LEIBLER:
        return 0.0
    total = np.float64(v.shape[0] * v.shape[1] * terms.floor)
    for n in range(v.shape[0]):
        for k in range(templates.sums.size):
            total += np.float64(work.h[n, k]) * templates.sums[k]
    return total


@_compiled_sum
def _divergence(seen: Buffer, terms: Terms, quotients: Buffer, inverses: Buffer) -> float:
    """Return the divergence of some data of a frame from their model.

    `quotients` holds the model itself unless beta is 0 or 1. For beta = 1 the sum of the model is left out.
    """
    whole_registers()
    scale, floor, beta = np.float32(terms.scale), np.float32(terms.floor), terms.beta
    some, total = np.float32(0), np.float64(0)
    if terms.kind == EUCLIDEAN:
        for i in range(seen.size):
            difference = seen[i] * scale - quotients[i]
            some += np.float32(0.5) * difference * difference
    elif terms.kind == KULLBACK_LEIBLER:
        for i in range(seen.size):
            some += seen[i] * logarithm(quotients[i])
        # The sum of V nearly cancels the sum of the model: float32 would lose the difference.
        for i in range(seen.size):
            total += np.float64(seen[i])
        return np.float64(scale) * (np.float64(some) - total)
    elif terms.kind == ITAKURA_SAITO:
        for i in range(seen.size):
            ratio = (seen[i] * scale + floor) * inverses[i]
            some += ratio - logarithm(ratio) - np.float32(1)
    else:
        lift = np.float64(floor) if beta < 1 else 0.0
        for i in range(seen.size):
            d = np.float64(seen[i] * scale) + lift
            p = np.float64(quotients[i])
            power = p ** (beta - 1)
            total += d**beta + (beta - 1) * power * p - beta * d * power
        return total / (beta * (beta - 1))
    return np.float64(some)


@_compiled
def _compare_tiles(v: Buffer, terms: Terms, templates: Templates, work: Workspace) -> None:
    """Compare a block of V with its model: write quotients for beta = 0 and 1, else the model itself.

    A few frames are taken through all bins, so that V is read in the order of its memory.
    """
    inside, bins, height, rank = v.shape[1], work.quotients.shape[1], templates.T.shape[0], work.h.shape[1]
    scale, floor, ending = np.float32(terms.scale), np.float32(terms.floor), MODEL
    if terms.kind == KULLBACK_LEIBLER:
        ending = QUOTIENT
    elif terms.kind == ITAKURA_SAITO:
        ending = TWO_QUOTIENTS
    for r in range(0, len(work.h), ROWS):
        whole = inside - inside % ACROSS if r + ROWS <= len(v) else 0
        for n in range(r, min(r + ROWS, len(v))):
            for f in range(whole, inside):
                work.edge[n - r, f] = v[n, f]
        for f in range(0, bins, ACROSS):
            data, first, stride = (v, r * inside + f, inside) if f < whole else (work.edge, f, bins)
            compare(
                work.h, r * rank, rank, templates.panels, f * height, PANEL * height, data, first, stride,
                work.quotients, work.inverses, r * bins + f, bins, height, scale, floor, ending,
            )  # fmt: skip


@_inlined
def _compare(v: Buffer, terms: Terms, templates: Templates, work: Workspace, measure: bool) -> float:
    """Write the quotients of a block; return their divergence, or 0 unless `measure`."""
    if measure or terms.kind != EUCLIDEAN:
        _compare_tiles(v, terms, templates, work)
    objective, inside = 0.0, v.shape[1]
    for n in range(len(v) if measure else 0):
        for f in range(0, inside, SUMMED):
            part = slice(f, min(f + SUMMED, inside))
            objective += _divergence(v[n, part], terms, work.quotients[n, part], work.inverses[n, part])
    if terms.kind == EUCLIDEAN or terms.kind == GENERAL:
        work.inverses[:] = np.float32(0)
        for n in range(len(v)):
            _take_quotients(v[n], terms, work.quotients[n, :inside], work.inverses[n, :inside])
            work.quotients[n, inside:] = np.float32(0)
        work.quotients[len(v) :] = np.float32(0)
    return objective


@_inlined
def project_block(v: Buffer, terms: Terms, templates: Templates, work: Workspace) -> None:
    """Write the numerator and the denominator of the update of the activations of a block."""
    _compare(v, terms, templates, work, False)
    height = templates.T.shape[0]
    depth, panels = -(-v.shape[1] // UNROLL) * UNROLL, -(-height // PANEL)
    if terms.kind == KULLBACK_LEIBLER:
        for n in range(len(v)):
            for k in range(templates.sums.size):
                work.denominator[n, k] = np.float32(templates.sums[k])
    left, right, product = work.quotients, templates.columns, work.numerator
    for _ in range(1 if terms.kind == KULLBACK_LEIBLER else 2):
        _multiply(left, right, panels, depth, product)
        product = work.denominator
        if terms.kind == EUCLIDEAN:
            left, right, depth = work.h, templates.products, height
        else:
            left = work.inverses


@_inlined
def _update_activations(
    v: Buffer, terms: Terms, templates: Templates, penalty: Penalty, work: Workspace
) -> None:
    """Update the activations of a block once."""
    project_block(v, terms, templates, work)
    h, numerator, denominator = work.h, work.numerator, work.denominator
    for n in range(penalty.entries.shape[0]):
        for k in range(penalty.entries.shape[1]):
            denominator[n, k] += penalty.entries[n, k]
    for n in range(penalty.pull.shape[0]):
        for k in range(penalty.pull.shape[1]):
            numerator[n, k] += penalty.pull[n, k]
    for n in range(len(v)):
        for k in range(penalty.linear.size):
            below = denominator[n, k] + (penalty.linear[k] + penalty.quadratic[k] * h[n, k])
            numerator[n, k] = numerator[n, k] / below if below > 0 else np.float32(0)
    if terms.exponent == 0.5:
        for n in range(len(v)):
            for k in range(penalty.linear.size):
                numerator[n, k] = np.sqrt(numerator[n, k])
    elif terms.exponent != 1:
        for n in range(len(v)):
            for k in range(penalty.linear.size):
                numerator[n, k] = numerator[n, k] ** np.float32(terms.exponent)
    for n in range(len(v)):
        for k in range(penalty.linear.size):
            moved = h[n, k] * numerator[n, k]
            h[n, k] = np.float32(0) if moved < templates.least[k] else moved


@_inlined
def make_workspace(frames: int, bins: int, rank: int) -> Workspace:
    """Return the buffers for blocks of so many frames."""
    h, edge = _aligned(frames, rank, LINE), _aligned(ROWS, bins, BIN_MULTIPLE)
    h[:] = np.float32(0)
    edge[:] = np.float32(0)
    numerator, denominator = _aligned(frames, rank, LINE), _aligned(frames, rank, LINE)
    quotients, inverses = _aligned(frames, bins, BIN_MULTIPLE), _aligned(frames, bins, BIN_MULTIPLE)
    return Workspace(h, numerator, denominator, quotients, inverses, edge)


@_inlined
def select_block(V: Buffer, whole: Workspace, first: int) -> tuple[Buffer, Workspace]:
    """Return the block of V that begins at a frame, and its part of the workspace, spare activations zero."""
    last = min(first + BLOCK_FRAMES, len(V))
    v, rows = V[first:last], -(-(last - first) // ROW_MULTIPLE) * ROW_MULTIPLE
    work = Workspace(
        whole.h[:rows], whole.numerator[:rows], whole.denominator[:rows],
        whole.quotients[:rows], whole.inverses[:rows], whole.edge,
    )  # fmt: skip
    work.h[len(v) :] = np.float32(0)
    return v, work


@_inlined
def _select(
    V: Buffer, H: Buffer, whole: Workspace, penalty: Penalty, first: int
) -> tuple[Buffer, Buffer, Workspace, Penalty]:
    """Return a block's frames, its activations, its workspace with a copy of them, and its penalty."""
    last = min(first + BLOCK_FRAMES, len(V))
    h = H[first:last]
    v, work = select_block(V, whole, first)
    for n in range(h.shape[0]):
        for k in range(h.shape[1]):
            work.h[n, k] = h[n, k]
    part = Penalty(penalty.linear, penalty.quadratic, penalty.entries[first:last], penalty.pull[first:last])
    return v, h, work, part


@_inlined
def _copy_back(source: Buffer, h: Buffer, largest: Buffer) -> None:
    """Copy the activations of a block to H; collect the largest of each component where there is room."""
    for n in range(h.shape[0]):
        for k in range(h.shape[1]):
            h[n, k] = source[n, k]
    for n in range(h.shape[0] if largest.size > 0 else 0):
        for k in range(h.shape[1]):
            largest[0, k] = h[n, k] if h[n, k] > largest[0, k] else largest[0, k]


@_compiled
def _add_product(h: Buffer, quotients: Buffer, sums: Buffer, height: int) -> None:
    """Add to `sums`, in panels, the product of transposed activations and quotients."""
    bins, rank = quotients.shape[1], h.shape[1]
    for f in range(0, bins, ACROSS):
        for k in range(0, height, ROWS):
            three_transposed_panels(
                h, k, rank, quotients, f, bins, sums, f * height + k * PANEL, PANEL, height * PANEL, len(h)
            )


@_inlined
def _add_activations(terms: Terms, work: Workspace, denominator: Buffer) -> None:
    """Add the part of the templates' denominator that depends on the activations alone.

    For beta = 1 it is their sums; for beta = 2 it is their products.
    """
    h, (height, width) = work.h, denominator.shape
    if terms.kind == KULLBACK_LEIBLER:
        for n in range(len(h)):
            for k in range(width):
                denominator[0, k] += h[n, k]
    elif terms.kind == EUCLIDEAN:
        for c in range(0, width, PANEL):
            for k in range(0, height, ROWS):
                transposed_panel(h, k, width, h, c, width, denominator, k * width + c, width, PANEL, len(h))


@_inlined
def accumulate_block(
    v: Buffer, terms: Terms, templates: Templates, work: Workspace, sums: tuple[Buffer, Buffer], measure: bool
) -> float:
    """Add a block's numerator and denominator of the templates' update to `sums`: see `update_portions`.

    Empty sums are left alone. Returns the divergence, or 0 unless `measure`.
    """
    accumulate, height = sums[0].size > 0, templates.T.shape[0]
    if accumulate:
        _add_activations(terms, work, sums[1])
    objective = _compare(v, terms, templates, work, measure)
    if accumulate:
        _add_product(work.h, work.quotients, sums[0], height)
        if terms.kind == ITAKURA_SAITO or terms.kind == GENERAL:
            _add_product(work.h, work.inverses, sums[1], height)
    return objective + _model_sum(v, terms, templates, work) if measure else 0.0


@_compiled
def update_portions(
    V: Buffer,
    terms: Terms,
    templates: Templates,
    penalty: Penalty,
    H: Buffer,
    iterations: int,
    sums: Sums,
    measure: bool,
    portions: Portions,
    portion: int,
    blocks: int,
    leads: bool,
    looks: int,
) -> int:
    """Update the activations of portions of frames, and add what the templates' update needs to `sums`.

    `sums` are those of `descend.make_sums`; empty ones are left alone. If `measure`, the divergence at the
    new activations and the given templates is added to `portions.objectives`.

    A thread goes on with its `portion`, -1 for none, and takes further ones, until no portion is left or so
    many blocks of frames are done. Returns the portion to go on with, or the number of portions. At the end
    the thread that `leads` waits until all others are done, and these for the next update, each for so many
    `looks`: a thread that sleeps needs longer to begin again than an update of a small problem takes.
    """
    whole = make_workspace(min(BLOCK_FRAMES, len(V)), templates.T.shape[1], H.shape[1])
    count = len(portions.bounds)
    if leads:
        add(portions.started, 0, portions.number - portions.started[0])
    for _ in range(blocks):
        if portion < 0:
            portion = add(portions.counters, TAKEN, 1)
        if portion >= count:
            if leads:
                wait_for(portions.counters, FINISHED, count, looks)
            else:
                wait_for(portions.started, 0, portions.number + 1, looks)
            return count
        first, last = portions.bounds[portion, 0], portions.bounds[portion, 1]
        v, h, work, part = _select(V[:last], H[:last], whole, penalty, first)
        for _ in range(iterations):
            _update_activations(v, terms, templates, part, work)
        parts = (sums[0][portion], sums[1][portion])
        _copy_back(work.h, h, sums[2][portion])
        portions.objectives[portion] += accumulate_block(v, terms, templates, work, parts, measure)
        portions.bounds[portion, 0] = first + len(v)
        if first + len(v) == last:
            add(portions.counters, FINISHED, 1)
            portion = -1
    return portion
