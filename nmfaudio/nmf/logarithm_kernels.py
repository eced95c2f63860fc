"""Numba loops over logarithms: a fast logarithm and exponential, and extrapolation in the log domain."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nmfaudio.nmf.compilation import compiled
from nmfaudio.nmf.intrinsics import whole_registers

Buffer = NDArray[np.float32]

_compiled, _compiled_sum = compiled(), compiled(reassociate=True)

# The bits of sqrt(1/2): subtracting them splits a float32 into 2^e m with m within [sqrt(1/2), sqrt(2)).
_HALF_ROOT_BITS = np.int32(0x3F3504F3)
_MANTISSA_BITS = np.int32(23)
# (log(1 + t) - t + t^2 / 2) / t^3 over 1 + t = m, a minimax fit: its error is 3e-8 of the logarithm.
_LOGARITHM = tuple(
    np.float32(c)
    for c in (0.333338581, -0.250017469, 0.199653965, -0.165656362, 0.148769822, -0.143501881, 0.0891778275)
)


@_compiled
def logarithm(x: np.float32) -> np.float32:
    """Return the natural logarithm of a positive normal number, to about 2e-7; -88 or less of one below.

    x = 2^e m with m = 1 + t near 1, and log m = t - t^2 / 2 + t^3 times a fitted polynomial.
    """
    c0, c1, c2, c3, c4, c5, c6 = _LOGARITHM
    # Numba widens integers: each result is cut back to 32 bits, so that the loop can use whole vectors.
    bits = np.float32(x).view(np.int32)
    exponent = np.int32(np.int32(bits - _HALF_ROOT_BITS) >> _MANTISSA_BITS)
    mantissa = np.int32(bits - np.int32(exponent << _MANTISSA_BITS))
    t = np.int32(mantissa).view(np.float32) - np.float32(1)
    q = t * t
    # Two short chains of multiplications, of the even and of the odd powers, run side by side.
    even, odd = c0 + q * (c2 + q * (c4 + q * c6)), c1 + q * (c3 + q * c5)
    rest = t + q * (t * (even + t * odd) - np.float32(0.5))
    result: np.float32 = np.float32(exponent) * np.float32(0.6931471805599453) + rest
    return result


# Bounds of the logarithm of an extrapolated entry relative to the entry before: an entry that came too near
# to zero would stay there.
_LEAST, _MOST = np.float32(-1.2), np.float32(2)
_TINY = np.float32(1e-35)


@_compiled
def _differences(x0: np.float32, x1: np.float32, x2: np.float32) -> tuple[np.float32, np.float32]:
    """Return the first and the second difference of the logarithms of an entry."""
    x0, x1, x2 = x0 + _TINY, x1 + _TINY, x2 + _TINY
    first = logarithm(x1 / x0)
    return first, logarithm(x2 / x1) - first


@_compiled
def exponential(x: np.float32) -> np.float32:
    """Return e^x for x between `_LEAST` and `_MOST`, to about 5e-7: a Taylor series at x / 8."""
    t = x * np.float32(1 / 8)
    q = np.float32(1) + t * (np.float32(1 / 5) + t * np.float32(1 / 30))
    q = np.float32(1) + t * (np.float32(1 / 3) + t * np.float32(1 / 12) * q)
    q = np.float32(1) + t * (np.float32(1) + t * np.float32(1 / 2) * q)
    q *= q
    q *= q
    return q * q


@_compiled_sum
def squared_differences(x0: Buffer, x1: Buffer, x2: Buffer) -> tuple[float, float, float]:
    """Return weighted sums of the squared first and second differences of logarithms, and the weights' sum.

    The weight of an entry is its size.
    """
    whole_registers()
    first, second, size = np.float64(0), np.float64(0), np.float64(0)
    for i in range(x0.shape[0]):
        a = b = c = np.float32(0)
        for j in range(x0.shape[1]):
            r, v = _differences(x0[i, j], x1[i, j], x2[i, j])
            a, b, c = a + x1[i, j] * r * r, b + x1[i, j] * v * v, c + x1[i, j]
        first, second, size = first + a, second + b, size + c
    return first, second, size


@_compiled
def extrapolate(x0: Buffer, x1: Buffer, x2: Buffer, length: float, result: Buffer) -> None:
    """Write log x0 + 2 s r + s^2 v, r and v its differences, as a number that is not far from x2."""
    whole_registers()
    once, twice = np.float32(2 * length - 2), np.float32(length * length - 1)
    for i in range(x0.shape[0]):
        for j in range(x0.shape[1]):
            r, v = _differences(x0[i, j], x1[i, j], x2[i, j])
            ahead = min(max(once * r + twice * v, _LEAST), _MOST)
            result[i, j] = x2[i, j] * exponential(ahead)
