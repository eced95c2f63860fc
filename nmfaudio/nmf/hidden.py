"""Cross-validation of the rank: which number of components predicts entries that it has not seen."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nmfaudio.errors import OptionError
from nmfaudio.nmf.divergence import Divergence
from nmfaudio.nmf.problem import checked_matrix
from nmfaudio.nmf.solve import factorize


@dataclass(frozen=True)
class CrossValidation:
    """How well several ranks predict hidden entries.

    Attributes
    ----------
    ranks : ndarray of int, shape (ranks,)
    errors : ndarray, shape (ranks, folds)
        Mean divergence of a hidden entry from its prediction, in units of V to the power beta.

    Examples
    --------
    >>> generator = np.random.default_rng(0)
    >>> V = generator.gamma(1, 1, (40, 3)) @ generator.gamma(1, 1, (3, 60))
    >>> V *= generator.gamma(20, 0.05, V.shape)
    >>> cross_validate(V, [1, 2, 3, 4, 5]).rank
    3
    """

    ranks: NDArray[np.intp]
    errors: NDArray[np.float64]

    @property
    def means(self) -> NDArray[np.float64]:
        """Mean error over the folds, for each rank."""
        return np.asarray(self.errors.mean(axis=1))

    @property
    def rank(self) -> int:
        """The smallest rank whose error is within one standard error of the lowest one.

        The standard error is that of the difference between the two ranks over the folds.
        """
        excess = self.errors - self.errors[self.means.argmin()]
        spread = excess.std(axis=1, ddof=1) / np.sqrt(excess.shape[1])
        return int(self.ranks[excess.mean(axis=1) <= spread].min())

    def __repr__(self) -> str:
        means = ", ".join(f"{rank}: {mean:.4g}" for rank, mean in zip(self.ranks, self.means, strict=True))
        return f"CrossValidation({means}; {self.errors.shape[1]} folds)"


def cross_validate(
    V: ArrayLike,
    ranks: Iterable[int],
    *,
    divergence: Divergence | str | float = "kl",
    folds: int = 5,
    seed: int = 0,
    iterations: int = 60,
    threads: int | None = None,
    callback: Callable[[int, int], object] | None = None,
) -> CrossValidation:
    """Hide entries of V, factor the rest at each rank, and measure how well the hidden ones are predicted.

    The entries are shared out between folds at random, and each fold is hidden once. A rank that is too small
    predicts badly, and so does one that is so large that it describes noise.

    Parameters
    ----------
    V : array_like, shape (bins, frames)
        Not negative, without missing entries.
    ranks : iterable of int
        Numbers of components to try.
    divergence, iterations, threads
        As for `factorize`.
    folds : int
        Parts of the entries, at least 2.
    seed : int
        Seed of the parts and of the starts.
    callback : callable, optional
        Called with (factorizations made, factorizations in all); may raise to stop the work.

    Returns
    -------
    CrossValidation

    Raises
    ------
    MatrixError
        For a V that cannot be factored.
    OptionError
        For an option outside its range.

    References
    ----------
    A. B. Owen and P. O. Perry, "Bi-cross-validation of the SVD and the nonnegative matrix factorization",
    Annals of Applied Statistics 3(2), 2009 (who hide blocks; here single entries are hidden, as by S. Wold,
    "Cross-validatory estimation of the number of components in factor and principal components models",
    Technometrics 20(4), 1978).

    Examples
    --------
    >>> cross_validate(np.outer([1.0, 2.0, 3.0, 5.0], [3.0, 2.0, 1.0, 4.0]), [1], folds=2).rank
    1
    """
    matrix, tried = checked_matrix(V, "V", "(bins, frames)"), [int(rank) for rank in ranks]
    if not 2 <= folds <= matrix.size:
        raise OptionError(
            f"folds={folds}: it must be at least 2, and at most the number of entries, {matrix.size}"
        )
    if not tried:
        raise OptionError("ranks is empty: give at least one rank to try")
    part = np.random.default_rng(seed).permutation(matrix.size).reshape(matrix.shape) % folds
    settings: dict[str, Any] = {"divergence": divergence, "iterations": iterations, "threads": threads}
    errors = np.empty((len(tried), folds))
    for fold in range(folds):
        for position, rank in enumerate(tried):
            errors[position, fold] = _error(matrix, part == fold, rank, {**settings, "seed": seed})
            if callback:
                callback(fold * len(tried) + position + 1, folds * len(tried))
    return CrossValidation(np.array(tried, np.intp), errors)


def _error(V: NDArray[Any], hidden: NDArray[np.bool_], rank: int, settings: dict[str, Any]) -> float:
    """Return the mean divergence of the hidden entries from what the others predict."""
    found = factorize(V, rank, weights=~hidden, **settings)
    floor = found.divergence.floor * (float(V.mean(dtype=np.float64)) or 1.0)
    lift = floor if found.divergence.beta < 1 else 0.0
    model = (found.W.astype(np.float64) @ found.H)[hidden] + floor
    return float(found.divergence.between(V[hidden] + lift, model)) / int(np.count_nonzero(hidden))
