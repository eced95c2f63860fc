"""The numba loops, on buffers that the solver owns.

Everything here is frames-major: V is (frames, bins) and H is (frames, components), so that a frame is one
contiguous row and a block of frames stays in the cache of one core. `T` is W transposed, (components, bins).
The model of a frame is `H T + floor`: a constant far below the data that keeps every quotient finite and,
being a part of the model that is merely never updated, leaves the proof of descent as it is.

One call works on the frames `start` to `stop` alone and releases the interpreter lock, so the solver runs
several calls side by side; sums over frames are collected per call and added by the solver in a fixed order.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

# Frames that one core works on at a time: their model and quotients stay in its second-level cache.
BLOCK_FRAMES = 128

KULLBACK_LEIBLER, ITAKURA_SAITO, EUCLIDEAN, GENERAL = 0, 1, 2, 3

# Below this a (scaled) datum counts as zero, so that model / datum stays inside float32.
_SMALLEST = np.float32(1e-30)
# The bits of sqrt(1/2): subtracting them splits a float32 into 2^e m with m within [sqrt(1/2), sqrt(2)).
_HALF_ROOT_BITS = np.int32(0x3F3504F3)

Buffer = NDArray[np.float32]


class Terms(NamedTuple):
    """What is minimised: V times `scale`, against the model plus `floor`, in the divergence `beta`."""

    scale: float
    floor: float
    kind: int
    beta: float
    exponent: float


class Templates(NamedTuple):
    """W (bins, components), its transpose, and its column sums."""

    W: Buffer
    T: Buffer
    sums: Buffer


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


class Workspace(NamedTuple):
    """Room for one block of frames: two of (frames, bins) and two of (frames, components)."""

    model: Buffer
    inverse: Buffer
    gain: Buffer
    weight: Buffer


_compile = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
_compile_sum = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "reassoc"})


@_compile
def _quotients(v: Buffer, terms: Terms, model: Buffer, inverse: Buffer) -> None:
    """Turn `model` into V * model^(beta-2); write model^(beta-1) to `inverse` where it is needed."""
    scale, floor = np.float32(terms.scale), np.float32(terms.floor)
    if terms.kind == KULLBACK_LEIBLER:
        for i in range(v.size):
            model[i] = v[i] * scale / (model[i] + floor)
    elif terms.kind == ITAKURA_SAITO:
        for i in range(v.size):
            q = np.float32(1) / (model[i] + floor)
            inverse[i] = q
            model[i] = (v[i] * scale + floor) * q * q
    elif terms.kind == EUCLIDEAN:
        for i in range(v.size):
            inverse[i] = model[i] + floor
            model[i] = v[i] * scale
    else:
        # A datum of zero has no divergence below beta = 1: the floor stands in for it.
        lift = floor if terms.beta < 1 else np.float32(0)
        power = np.float32(terms.beta - 2)
        for i in range(v.size):
            p = model[i] + floor
            q = p**power
            inverse[i] = q * p
            model[i] = (v[i] * scale + lift) * q


@_compile
def logarithm(x: Buffer, exponent: Buffer) -> None:
    """Replace positive normal numbers by their natural logarithms, to about 2e-7, in loops that vectorise.

    x = 2^e m with m near 1, and log m = 2 artanh((m - 1) / (m + 1)) by its series.
    """
    bits = x.view(np.int32)
    for i in range(x.size):
        e = (bits[i] - _HALF_ROOT_BITS) >> np.int32(23)
        bits[i] -= e << np.int32(23)
        exponent[i] = np.float32(e)
    for i in range(x.size):
        s = (x[i] - np.float32(1)) / (x[i] + np.float32(1))
        q = s * s
        tail = np.float32(1 / 5) + q * (np.float32(1 / 7) + q * np.float32(1 / 9))
        series = np.float32(1) + q * (np.float32(1 / 3) + q * tail)
        x[i] = exponent[i] * np.float32(0.6931471805599453) + np.float32(2) * s * series


@_compile_sum
def _total(x: Buffer) -> float:
    """Sum short runs in float32, and the runs in float64."""
    total = np.float64(0)
    for start in range(0, x.size, 256):
        run = np.float32(0)
        for i in range(start, min(start + 256, x.size)):
            run += x[i]
        total += np.float64(run)
    return total


@_compile
def _divergence(v: Buffer, terms: Terms, model: Buffer, each: Buffer, exponent: Buffer) -> float:
    """Sum the divergence of V from `model` (without its floor); all three working arrays are overwritten."""
    scale, floor, beta = np.float32(terms.scale), np.float32(terms.floor), terms.beta
    if terms.kind == EUCLIDEAN:
        for i in range(v.size):
            difference = v[i] * scale - model[i] - floor
            each[i] = np.float32(0.5) * difference * difference
    elif terms.kind == KULLBACK_LEIBLER:
        for i in range(v.size):
            d = v[i] * scale
            each[i] = (model[i] + floor) / d if d > _SMALLEST else np.float32(1)
        logarithm(each, exponent)
        for i in range(v.size):
            d = v[i] * scale
            p = model[i] + floor
            each[i] = p - d - d * each[i] if d > _SMALLEST else p
    elif terms.kind == ITAKURA_SAITO:
        for i in range(v.size):
            model[i] = (v[i] * scale + floor) / (model[i] + floor)
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
def _step_activations(
    v: Buffer, terms: Terms, templates: Templates, penalty: Penalty, h: Buffer, room: Workspace
) -> None:
    """Update the activations `h` of a block once."""
    model, inverse, gain, weight = room
    np.dot(h, templates.T, model)
    _quotients(v, terms, model.reshape(-1), inverse.reshape(-1))
    np.dot(model, templates.W, gain)
    if terms.kind == KULLBACK_LEIBLER:
        for n in range(h.shape[0]):
            weight[n] = templates.sums
    else:
        np.dot(inverse, templates.W, weight)
    pulled, weighted = penalty.pull.shape[0] > 0, penalty.entries.shape[0] > 0
    for n in range(h.shape[0]):
        for k in range(h.shape[1]):
            above = gain[n, k] + (penalty.pull[n, k] if pulled else np.float32(0))
            below = weight[n, k] + penalty.linear[k] + penalty.quadratic[k] * h[n, k]
            below += penalty.entries[n, k] if weighted else np.float32(0)
            ratio = above / below if below > 0 else np.float32(0)
            if terms.exponent == 0.5:
                ratio = np.sqrt(ratio)
            elif terms.exponent != 1:
                ratio = ratio ** np.float32(terms.exponent)
            h[n, k] *= ratio


@_compile
def _room(frames: int, bins: int, rank: int) -> Workspace:
    """Make the room for one block."""
    return Workspace(
        np.empty((frames, bins), np.float32),
        np.empty((frames, bins), np.float32),
        np.empty((frames, rank), np.float32),
        np.empty((frames, rank), np.float32),
    )


@_compile
def _of_frames(penalty: Penalty, start: int, stop: int) -> Penalty:
    """Return the penalty of some frames."""
    return Penalty(penalty.linear, penalty.quadratic, penalty.entries[start:stop], penalty.pull[start:stop])


@_compile
def activate_frames(
    V: Buffer,
    terms: Terms,
    templates: Templates,
    penalty: Penalty,
    H: Buffer,
    start: int,
    stop: int,
    iterations: int,
) -> float:
    """Update the activations of frames `start` to `stop` `iterations` times; return their divergence."""
    bins, rank = templates.W.shape
    whole = _room(min(BLOCK_FRAMES, stop - start), bins, rank)
    exponent = np.empty(whole.model.size, np.float32)
    objective = 0.0
    for first in range(start, stop, BLOCK_FRAMES):
        n = min(BLOCK_FRAMES, stop - first)
        v, h = V[first : first + n].reshape(-1), H[first : first + n]
        here = _of_frames(penalty, first, first + n)
        room = Workspace(whole.model[:n], whole.inverse[:n], whole.gain[:n], whole.weight[:n])
        for _ in range(iterations):
            _step_activations(v, terms, templates, here, h, room)
        np.dot(h, templates.T, room.model)
        each = room.inverse.reshape(-1)
        objective += _divergence(v, terms, room.model.reshape(-1), each, exponent[: v.size])
    return objective


@_compile
def factorize_frames(
    V: Buffer,
    terms: Terms,
    templates: Templates,
    penalty: Penalty,
    H: Buffer,
    start: int,
    stop: int,
    sums: tuple[Buffer, Buffer],
    measure: bool,
) -> float:
    """Update the activations of frames `start` to `stop` once and add what they say of the templates.

    `sums` are the numerator and denominator of the templates' update, (components, bins) each, which take
    sums over these frames; for Kullback-Leibler the denominator is the same in every bin and only its first
    column is used. Returns the divergence at the new activations and the given templates, or 0 unless
    `measure`.
    """
    bins, rank = templates.W.shape
    numerator, denominator = sums
    whole = _room(min(BLOCK_FRAMES, stop - start), bins, rank)
    part = np.empty((rank, bins), np.float32)
    kept = np.empty(whole.model.size if measure else 0, np.float32)
    exponent = np.empty(kept.size, np.float32)
    objective = 0.0
    for first in range(start, stop, BLOCK_FRAMES):
        n = min(BLOCK_FRAMES, stop - first)
        v, h = V[first : first + n].reshape(-1), H[first : first + n]
        here = _of_frames(penalty, first, first + n)
        room = Workspace(whole.model[:n], whole.inverse[:n], whole.gain[:n], whole.weight[:n])
        _step_activations(v, terms, templates, here, h, room)
        np.dot(h, templates.T, room.model)
        model, inverse = room.model.reshape(-1), room.inverse.reshape(-1)
        if measure:
            kept[: v.size] = model
            objective += _divergence(v, terms, kept[: v.size], inverse, exponent[: v.size])
        _quotients(v, terms, model, inverse)
        np.dot(h.T, room.model, part)
        numerator += part
        if terms.kind == KULLBACK_LEIBLER:
            denominator[:, 0] += h.sum(axis=0)
        else:
            np.dot(h.T, room.inverse, part)
            denominator += part
    return objective


def compiled_before() -> bool:
    """Say whether this machine's cache holds compiled kernels; if not, their first use takes some seconds."""
    stats = getattr(factorize_frames, "stats", None)
    return stats is None or any(Path(stats.cache_path).glob("kernels.factorize_frames-*.nbc"))
