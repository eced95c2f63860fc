"""Where scikit-learn's NMF starts, for the estimator: the same `random_state` gives the same start.

Names are scikit-learn's: X (samples, features), W (samples, components), H (components, features).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state
from sklearn.utils.extmath import randomized_svd

from nmfaudio.errors import OptionError
from nmfaudio.nmf.sparse import is_sparse

Real = NDArray[np.float64]
Start = tuple[Real, Real]

NAMES = ("random", "nndsvd", "nndsvda", "nndsvdar")
_NEGLIGIBLE = 1e-6  # of the largest entry: counts as zero in a singular vector


def start(X: Any, rank: int, init: str | None, random_state: Any) -> Start:
    """Return W and H to start from.

    Raises
    ------
    OptionError
        For singular vectors of a rank that the matrix does not have.
    """
    if init == "random" or (init is None and rank > min(X.shape)):
        return _random(X, rank, random_state)
    if rank > min(X.shape):
        raise OptionError(
            f"init={init!r} takes n_components <= min(n_samples, n_features), and n_components={rank}, "
            f"X.shape={X.shape}: use init='random'"
        )
    W, H = _singular_parts(X, rank, random_state)
    if init == "nndsvd":
        return W, H
    mean, generator = _mean(X), check_random_state(random_state)
    for factor in (W, H):
        empty = factor == 0
        noise = np.abs(generator.standard_normal(np.count_nonzero(empty))) / 100
        factor[empty] = mean * noise if init == "nndsvdar" else mean
    return W, H


def _random(X: Any, rank: int, random_state: Any) -> Start:
    """Start from the absolute values of normal noise, such that W H has about the mean of X."""
    generator, level = check_random_state(random_state), np.sqrt(_mean(X) / rank)
    H, W = (generator.standard_normal(shape) for shape in ((rank, X.shape[1]), (X.shape[0], rank)))
    for factor in (W, H):
        np.multiply(np.abs(factor, out=factor), level, out=factor)
    return W, H


def _mean(X: Any) -> float:
    """Return the mean of all entries; scipy would convert a sparse matrix first."""
    if is_sparse(X):
        return float(X.data.sum(dtype=np.float64) / X.shape[0] / X.shape[1])
    return float(X.mean())


def _singular_parts(X: Any, rank: int, random_state: Any) -> Start:
    """Start from the stronger of the two signed parts of each pair of singular vectors.

    References
    ----------
    C. Boutsidis and E. Gallopoulos, "SVD based initialization: a head start for nonnegative matrix
    factorization", Pattern Recognition 41(4), 2008.
    """
    left, values, right = (a.astype(np.float64) for a in randomized_svd(X, rank, random_state=random_state))
    parts = [(np.maximum(sign * left, 0), np.maximum(sign * right.T, 0)) for sign in (1, -1)]
    norms = [(np.linalg.norm(a, axis=0), np.linalg.norm(b, axis=0)) for a, b in parts]
    strengths = [a * b for a, b in norms]
    first = strengths[0] > strengths[1]
    level = np.sqrt(values * np.where(first, *strengths))
    factors = []
    for side in (0, 1):
        norm = np.where(first, norms[0][side], norms[1][side])
        vectors = np.where(first, parts[0][side], parts[1][side])
        factor = vectors * np.divide(level, norm, out=np.zeros(rank), where=norm > 0)
        factor[factor < _NEGLIGIBLE * factor.max()] = 0
        factors.append(factor)
    return factors[0], factors[1].T
