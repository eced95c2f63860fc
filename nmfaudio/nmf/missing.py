"""A weight for each entry of V: 0 hides an entry, which is how missing values are left out.

Entries of V that are NaN, or masked in a numpy masked array, are missing: their weight is 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nmfaudio.errors import MatrixError
from nmfaudio.nmf.initialize import Matrix
from nmfaudio.nmf.sparse import is_sparse
from nmfaudio.nmf.stream import Stream


def without_missing(V: Any, weights: ArrayLike | None) -> tuple[Any, Matrix | None]:
    """Return V with its missing entries filled in, and the weights of all entries.

    Missing entries get the weight 0. They, and all others of weight 0, are filled with the product of the
    visible means of their bin and of their frame over that of all: a start looks at them, the updates do not.

    Returns
    -------
    V : ndarray, or whatever V is where nothing is weighted
    weights : ndarray of float32, shape (bins, frames), or None if all entries count alike

    Raises
    ------
    MatrixError
        For weights of another shape, negative or not finite ones, or if no entry counts.
    """
    if weights is None and not isinstance(V, np.ma.MaskedArray):
        if isinstance(V, Stream) or is_sparse(V):
            return V, None
        V = np.asarray(V)
        if V.dtype.kind != "f" or not V.size or not np.isnan(V.min()):
            return V, None
    if isinstance(V, Stream) or is_sparse(V):
        kind = "a stream" if isinstance(V, Stream) else "sparse"
        raise MatrixError(f"V is {kind}, and weights need all of it in memory: pass V as a dense array")
    mask = np.ma.getmaskarray(V)
    data = np.asarray(V.data if isinstance(V, np.ma.MaskedArray) else V)
    if data.dtype.kind not in "biuf" or data.ndim != 2:
        return data, None  # which the caller refuses
    if data.dtype.kind in "biu":
        data = data.astype(np.float64)
    hidden = mask | np.isnan(data) if data.dtype.kind == "f" else mask
    each = np.ones(data.shape, np.float32) if weights is None else _checked(weights, data.shape)
    each[hidden] = 0
    if not each.any():
        raise MatrixError("every entry of V is missing or has the weight 0: at least one must count")
    return _filled(data, each > 0), each


def _checked(weights: ArrayLike, shape: tuple[int, ...]) -> Matrix:
    """Return a copy of weights of the shape of V in float32."""
    array = np.ma.filled(weights, 0) if isinstance(weights, np.ma.MaskedArray) else np.asarray(weights)
    if array.shape != shape:
        raise MatrixError(f"weights have shape {array.shape}: it must be that of V, {shape}")
    if array.dtype.kind not in "biuf":
        raise MatrixError(f"weights are of type {array.dtype}: they must be real numbers, or bool")
    with np.errstate(over="ignore"):
        each = np.array(array, np.float32)
    if each.size and not (each.min() >= 0 and each.max() < np.inf):
        bad = tuple(int(i) for i in np.argwhere(~((each >= 0) & (each < np.inf)))[0])
        raise MatrixError(
            f"weights{list(bad)} is {array[bad]}: weights must be finite in float32 and not negative"
        )
    return each


def _filled(data: NDArray[Any], visible: NDArray[np.bool_]) -> NDArray[Any]:
    """Return a copy with every entry that is not visible replaced by what its bin and frame suggest."""
    if visible.all():
        return data.copy()
    values = np.where(visible, data, 0).astype(np.float64)
    bins, frames = (_mean(values, visible, axis) for axis in (1, 0))
    overall = values.sum() / max(1, np.count_nonzero(visible))
    guess = np.outer(bins, frames / overall) if overall > 0 else np.zeros(data.shape)
    return np.where(visible, data, guess.astype(data.dtype))


def _mean(values: NDArray[np.float64], visible: NDArray[np.bool_], axis: int) -> NDArray[np.float64]:
    return np.asarray(values.sum(axis=axis) / np.maximum(1, np.count_nonzero(visible, axis=axis)))
