"""Who goes with whom."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def best_pairs(likeness: ArrayLike) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Match rows to columns one to one, such that the sum of likenesses is the greatest.

    Parameters
    ----------
    likeness : array_like, shape (rows, columns)
        Of each to each.

    Returns
    -------
    rows, columns : ndarray of int, shape (pairs,)
        As many as the shorter side has, rows in order.

    References
    ----------
    D. F. Crouse, "On implementing 2D rectangular assignment algorithms", IEEE Transactions on Aerospace and
    Electronic Systems 52(4), 2016 (SciPy's).

    Examples
    --------
    >>> rows, columns = best_pairs([[0.9, 0.8], [0.8, 0.1]])
    >>> rows.tolist(), columns.tolist()
    ([0, 1], [1, 0])
    """
    # Takes half a second to load, which most commands are spared.
    from scipy.optimize import linear_sum_assignment

    matched: Any = linear_sum_assignment(np.asarray(likeness), maximize=True)
    return np.asarray(matched[0]), np.asarray(matched[1])
