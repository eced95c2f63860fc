"""Numba loops of two-channel factorization, on buffers of the caller.

Every buffer is frames-major, as in `kernels.py`. The mixture is given by two projections for each source: one
along its direction, and one across it, where this source is silent. The determinant of the channels'
covariance is a sum of products of powers. None of them is negative, so float32 holds it without loss of
precision, however close to singular the covariance is.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nmfaudio.nmf.compilation import compiled

BLOCK_FRAMES = 32  # frames in a block

Buffer = NDArray[np.float32]

_compiled = compiled(reassociate=True)


@_compiled
def step(
    alongs: Buffer,
    nulls: Buffer,
    sines: Buffer,
    noise: float,
    W: Buffer,
    H: Buffer,
    above: Buffer,
    below: Buffer,
    start: int,
    stop: int,
    learn: bool,
) -> None:
    """Update the activations of some frames and, where wanted, add up the sums of the templates' update.

    `alongs` and `nulls` are (sources, 2, frames, bins): real and imaginary parts of the mixture's projections
    along each source's direction and across it; `sines` are those of the angles between sources; W is
    (sources, rank, bins), H (sources, frames, rank); `above` and `below`, shaped as W, are added to.
    """
    sources, rank, bins = W.shape
    powers = np.empty((sources, BLOCK_FRAMES, bins), np.float32)
    wanted, expected = np.empty(powers.shape, np.float32), np.empty(powers.shape, np.float32)
    for first in range(start, stop, BLOCK_FRAMES):
        last = min(first + BLOCK_FRAMES, stop)
        count = last - first
        _model(W, H, first, last, powers)
        _compare(alongs, nulls, sines, noise, first, count, powers, wanted, expected)
        for j in range(sources):
            gain = np.dot(wanted[j, :count], W[j].T)
            cost = np.dot(expected[j, :count], W[j].T)
            for n in range(count):
                for k in range(rank):
                    if cost[n, k] > 0:
                        H[j, first + n, k] *= np.sqrt(gain[n, k] / cost[n, k])
        if learn:
            _model(W, H, first, last, powers)
            _compare(alongs, nulls, sines, noise, first, count, powers, wanted, expected)
            for j in range(sources):
                _add(np.dot(H[j, first:last].T, wanted[j, :count]), above[j])
                _add(np.dot(H[j, first:last].T, expected[j, :count]), below[j])


@_compiled
def _model(W: Buffer, H: Buffer, first: int, last: int, powers: Buffer) -> None:
    """Write the power of each source in some frames."""
    for j in range(len(W)):
        np.dot(H[j, first:last], W[j], powers[j, : last - first])


@_compiled
def _compare(
    alongs: Buffer,
    nulls: Buffer,
    sines: Buffer,
    noise: float,
    first: int,
    count: int,
    powers: Buffer,
    wanted: Buffer,
    expected: Buffer,
) -> None:
    """Write, for each source and point, its power in the whitened mixture, and the model's."""
    sources, _, bins = powers.shape
    floor = np.float32(noise)
    inverse = np.empty(bins, np.float32)
    real, imaginary = np.empty(bins, np.float32), np.empty(bins, np.float32)
    for n in range(count):
        _inverse_determinants(powers, sines, floor, n, inverse)
        for j in range(sources):
            up, down = wanted[j, n], expected[j, n]
            along = alongs[j, 0, first + n], alongs[j, 1, first + n]
            for f in range(bins):
                real[f] = floor * along[0][f]
                imaginary[f] = floor * along[1][f]
            for f in range(bins):
                down[f] = floor
            for i in range(sources):
                sine = sines[j, i]
                square = sine * sine
                power, re, im = powers[i, n], nulls[i, 0, first + n], nulls[i, 1, first + n]
                for f in range(bins):
                    real[f] += sine * power[f] * re[f]
                    imaginary[f] += sine * power[f] * im[f]
                    down[f] += square * power[f]
            for f in range(bins):
                size = real[f] * inverse[f], imaginary[f] * inverse[f]
                up[f] = size[0] * size[0] + size[1] * size[1]
                down[f] *= inverse[f]


@_compiled
def _inverse_determinants(powers: Buffer, sines: Buffer, floor: np.float32, n: int, inverse: Buffer) -> None:
    """Write the inverse of the determinant of the mixture's covariance in one frame."""
    sources, _, bins = powers.shape
    for f in range(bins):
        inverse[f] = floor * floor
    for j in range(sources):
        power = powers[j, n]
        for f in range(bins):
            inverse[f] += floor * power[f]
        for i in range(j):
            square = sines[i, j] * sines[i, j]
            other = powers[i, n]
            for f in range(bins):
                inverse[f] += square * power[f] * other[f]
    for f in range(bins):
        inverse[f] = np.float32(1) / inverse[f]


@_compiled
def _add(a: Buffer, b: Buffer) -> None:
    """Add a to b. For `b += a`, numba also compiles the code of an error message, which takes seconds."""
    for i in range(a.shape[0]):
        for j in range(a.shape[1]):
            b[i, j] += a[i, j]
