"""Where a factorization starts: random, from singular vectors, or from frames of the data.

Each start takes and returns frames-major float32: `V` (frames, bins) in, `W` (bins, components) and `H`
(frames, components) out. Levels follow the data, so that a silent frame starts, and stays, at zero.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nmfaudio.nmf.sparse import SparseFrames, is_sparse
from nmfaudio.nmf.stream import piece

Matrix = NDArray[np.float32]
Start = tuple[Matrix, Matrix]
Data = Any  # (frames, bins): a matrix, or what reads a stream or a sparse matrix by slices of frames


def levels(V: Data) -> NDArray[np.float64]:
    """Return the sum of each frame."""
    if isinstance(V, SparseFrames):
        return V.levels
    return np.concatenate([part.sum(axis=1, dtype=np.float64) for part in _parts(V)])


def mean_spectrum(V: Data) -> NDArray[np.float64]:
    """Return the mean over frames."""
    total = np.zeros(V.shape[1])
    for part in _parts(V):
        total += part.sum(axis=0, dtype=np.float64)
    return total / len(V)


def _parts(V: Data) -> Iterator[Matrix]:
    frames = piece(V.shape[1])
    return (V[start : start + frames] for start in range(0, len(V), frames))


def random(V: Data, rank: int, generator: np.random.Generator) -> Start:
    """Start from uniform noise under the mean spectrum and the level of each frame."""
    W = mean_spectrum(V)[:, None] * (0.1 + generator.random((V.shape[1], rank)))
    return _with_levels(V, W, generator)


def frames(V: Data, rank: int, generator: np.random.Generator) -> Start:
    """Start from frames of the data, drawn in proportion to their level, softened by the mean spectrum."""
    level = levels(V)
    if not level.any():
        return random(V, rank, generator)
    repeat = bool(rank > np.count_nonzero(level))
    drawn = generator.choice(len(V), size=rank, replace=repeat, p=level / level.sum())
    picked = np.vstack([_dense(V[n : n + 1]) for n in np.sort(drawn)]).T.astype(np.float64)
    softened = picked / picked.sum(axis=0) + 0.1 * (mean_spectrum(V) / level.mean())[:, None]
    return _with_levels(V, softened, generator)


def nndsvd(V: Data, rank: int, generator: np.random.Generator) -> Start:
    """Start from the non-negative parts of the singular vectors, zeros filled with a little of the mean.

    Ranks beyond the number of frames or bins are filled up from noise.

    References
    ----------
    C. Boutsidis and E. Gallopoulos, "SVD based initialization: a head start for nonnegative matrix
    factorization", Pattern Recognition 41(4), 2008 (the variant that fills zeros by the mean, damped).
    """
    W, H = random(V, rank, generator)
    level, spectrum = levels(V), mean_spectrum(V)
    if not level.any():
        return W, H
    pairs = min(rank, *V.shape)
    values, vectors = _leading(V, pairs)
    for k in range(pairs):
        projected = np.concatenate([part @ vectors[:, k].astype(np.float32) for part in _parts(V)])
        W[:, k], H[:, k] = _dominant_part(projected.astype(np.float64), vectors[:, k], values[k])
    filler = float(spectrum.mean()) / 100
    W[:, :pairs] = np.where(spectrum[:, None] > 0, np.maximum(W[:, :pairs], np.sqrt(filler)), 0)
    H[:, :pairs] = np.where(level[:, None] > 0, np.maximum(H[:, :pairs], np.sqrt(filler)), 0)
    return W, H


def _leading(V: Data, count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return singular values and vectors (bins, count) of V, largest first.

    They are those of the Gram matrix of its bins; where a sparse V has many bins, of the products of V with a
    few vectors.
    """
    bins = V.shape[1]
    if is_sparse(V[:1]) and count < min(V.shape) - 1:
        from scipy.sparse.linalg import svds

        start = np.random.default_rng(0).standard_normal(min(V.shape))  # fixed: the same bits each time
        _, values, vectors = svds(V[:].astype(np.float64), count, v0=start)
        order = np.argsort(-values)
        return np.asarray(values[order], np.float64), np.asarray(vectors[order].T, np.float64)
    from scipy.linalg import eigh  # here, because loading it takes time

    gram = np.zeros((bins, bins), np.float64)
    for rows in _parts(V):
        part = _dense(rows).astype(np.float64)  # whose squares overflow float32 in loud data
        gram += part.T @ part
    values, vectors = eigh(gram, subset_by_index=(bins - count, bins - 1))
    return np.sqrt(np.maximum(values[::-1], 0)), vectors[:, ::-1]


def _dense(rows: Any) -> NDArray[Any]:
    return np.asarray(rows.toarray() if is_sparse(rows) else rows)


def _dominant_part(
    left: NDArray[np.float64], right: NDArray[np.float64], value: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the stronger of the two signed parts of a singular pair, as template and activation."""
    parts = [(np.maximum(sign * left, 0), np.maximum(sign * right, 0)) for sign in (1, -1)]
    norms = [np.linalg.norm(a) * np.linalg.norm(b) for a, b in parts]
    best = int(np.argmax(norms))
    activation, template = parts[best]
    if norms[best] <= 0:
        return np.zeros_like(right), np.zeros_like(left)
    # `left` is V times the vector: it carries the singular value already, split evenly here.
    root = np.sqrt(norms[best])
    return template / np.linalg.norm(template) * root, activation / np.linalg.norm(activation) * root


def _with_levels(V: Data, W: NDArray[np.float64], generator: np.random.Generator) -> Start:
    """Give random activations such that the model of each frame has about the level of its data."""
    W /= np.maximum(W.sum(axis=0), np.finfo(np.float64).tiny)
    rank = W.shape[1]
    level = levels(V)[:, None] / rank
    H = level * (0.1 + generator.random((len(V), rank)))
    return W.astype(np.float32), H.astype(np.float32)


STARTS: Final[dict[str, Callable[[Data, int, np.random.Generator], Start]]] = {
    "random": random,
    "nndsvd": nndsvd,
    "frames": frames,
}
