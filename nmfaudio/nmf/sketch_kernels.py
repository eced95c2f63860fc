"""Numba loop of non-negative least squares, for the start from a sketch."""

from __future__ import annotations

import numpy as np

from nmfaudio.nmf.compilation import compiled
from nmfaudio.nmf.initialize import Matrix

_COLUMNS = 128  # columns in a block: with 32 components they fill the first-level cache


@compiled()
def descend_coordinates(products: Matrix, projected: Matrix, X: Matrix, begin: int) -> None:
    """Set each row of X in turn to its non-negative least-squares solution, all other rows being fixed.

    X is (components, columns). `projected` is the data times the other factor, for the columns of X from
    `begin` on, which are the ones to set. `products` holds the products of the other factor's components.
    """
    components = len(X)
    fours = components - components % 4
    change = np.empty(_COLUMNS, np.float32)
    for start in range(0, projected.shape[1], _COLUMNS):
        count = np.uint64(
            min(_COLUMNS, projected.shape[1] - start)
        )  # unsigned: numba checks signed indices for being negative
        here, there = slice(start, start + _COLUMNS), slice(begin + start, begin + start + _COLUMNS)
        for k in range(components):
            if products[k, k] <= 0:
                continue
            known, x, inverse = projected[k, here], X[k, there], np.float32(1) / products[k, k]
            for i in range(count):
                change[i] = known[i]
            for j in range(0, fours, 4):
                p, q, r, s = products[k, j], products[k, j + 1], products[k, j + 2], products[k, j + 3]
                a, b, c, d = X[j, there], X[j + 1, there], X[j + 2, there], X[j + 3, there]
                for i in range(count):
                    change[i] -= p * a[i] + q * b[i] + r * c[i] + s * d[i]
            for j in range(fours, components):
                p, a = products[k, j], X[j, there]
                for i in range(count):
                    change[i] -= p * a[i]
            for i in range(count):
                x[i] = max(x[i] + change[i] * inverse, np.float32(0))
