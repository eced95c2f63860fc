"""One-to-one matching of rows to columns that maximises the total similarity."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def best_pairs(similarity: ArrayLike) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Match rows to columns one to one so that the sum of their similarities is largest.

    Parameters
    ----------
    similarity : array_like, shape (rows, columns)
        Similarity of each row to each column.

    Returns
    -------
    rows, columns : ndarray of int, shape (pairs,)
        Numbers of the matched rows, in rising order, and of their columns. Every row or every column is
        matched, whichever are fewer.

    References
    ----------
    D. F. Crouse, "On implementing 2D rectangular assignment algorithms", IEEE Transactions on Aerospace and
    Electronic Systems 52(4), 2016 (the algorithm of SciPy).

    Examples
    --------
    >>> rows, columns = best_pairs([[0.9, 0.8], [0.8, 0.1]])
    >>> rows.tolist(), columns.tolist()
    ([0, 1], [1, 0])
    """
    # Imported here because scipy.optimize takes half a second to import, and most commands do not need it.
    from scipy.optimize import linear_sum_assignment

    matched: Any = linear_sum_assignment(np.asarray(similarity), maximize=True)
    return np.asarray(matched[0]), np.asarray(matched[1])
