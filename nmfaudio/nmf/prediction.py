"""How well templates predict entries of V that were hidden when the activations were found."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nmfaudio.errors import MatrixError
from nmfaudio.nmf.divergence import Divergence
from nmfaudio.nmf.penalty import Penalties
from nmfaudio.nmf.solve import activate
from nmfaudio.nmf.sparse import BETAS, is_sparse, model_at

_FOLDS: Final = 5  # parts of the bins; each is hidden once
_PIECE: Final = 1024  # frames at a time


def prediction_error(
    V: Any, W: NDArray[Any], *, divergence: Divergence, penalties: Penalties, iterations: int
) -> float:
    """Return the mean divergence of entries of V from what the templates predict without seeing them.

    A fifth of the bins at a time, drawn at random but always the same, is hidden: activations are found from
    the other bins, and predict the hidden ones. A larger rank predicts better only as long as its templates
    describe more than noise.

    Parameters
    ----------
    V : ndarray or sparse matrix, shape (bins, frames)
        Not negative; NaN entries of an array are missing.
    W : ndarray, shape (bins, components)
        Templates.
    divergence : Divergence
    penalties : Penalties
        Penalties of the activations.
    iterations : int
        Updates of the activations.

    Raises
    ------
    MatrixError
        If there is only one bin, or all entries are missing.

    References
    ----------
    A. B. Owen and P. O. Perry, "Bi-cross-validation of the SVD and the nonnegative matrix factorization",
    Annals of Applied Statistics 3(2), 2009.
    """
    bins = len(W)
    if bins < 2:
        raise MatrixError("X has 1 feature: a score needs at least 2, since some are predicted from others")
    V = V.tocsr() if is_sparse(V) else V
    floor = divergence.floor * _mean(V)
    total, count = 0.0, 0
    for hidden in np.array_split(np.random.default_rng(0).permutation(bins), min(_FOLDS, bins)):
        seen = np.setdiff1d(np.arange(bins), hidden)
        settings: dict[str, Any] = {"divergence": divergence, "penalties": penalties, "tolerance": 0}
        H = activate(V[seen], W[seen], iterations=iterations, **settings).H
        part, entries = _divergence(V[hidden], W[hidden], H, divergence, floor)
        total, count = total + part, count + entries
    return total / count


def _mean(V: Any) -> float:
    mean = float(V.mean(dtype=np.float64) if is_sparse(V) else np.nanmean(V, dtype=np.float64))
    return mean if mean > 0 else 1.0


def _divergence(
    V: Any, W: NDArray[Any], H: NDArray[Any], divergence: Divergence, floor: float
) -> tuple[float, int]:
    """Return the divergence of V from W H + floor, summed over entries, and the number of entries."""
    W, H = W.astype(np.float64), H.astype(np.float64)
    if is_sparse(V) and divergence.beta in BETAS:
        return _sparse_divergence(V.tocoo(), W, H, divergence.beta, floor), V.shape[0] * V.shape[1]
    total, count = 0.0, 0
    for start in range(0, H.shape[1], _PIECE):
        part = V[:, start : start + _PIECE]
        values = np.asarray(part.toarray() if is_sparse(part) else part, np.float64)
        model, visible = W @ H[:, start : start + _PIECE] + floor, ~np.isnan(values)
        lift = floor if divergence.beta < 1 else 0.0
        total += float(divergence.between(values[visible] + lift, model[visible]))
        count += int(np.count_nonzero(visible))
    return total, count


def _sparse_divergence(
    V: Any, W: NDArray[np.float64], H: NDArray[np.float64], beta: float, floor: float
) -> float:
    """Return the divergence at beta 1 or 2 without the model at the zeros of V."""
    values, model = V.data.astype(np.float64), model_at(W, H, V.row, V.col) + floor
    if beta == 1:
        stored = float(np.sum(values * np.log(values / model) - values)) if values.size else 0.0
        return stored + float(W.sum(axis=0) @ H.sum(axis=1)) + floor * float(V.shape[0] * V.shape[1])
    return float(np.vdot(values, values) / 2 - np.vdot(values, model) + np.vdot(W.T @ W, H @ H.T) / 2)
