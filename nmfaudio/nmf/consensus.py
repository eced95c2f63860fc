"""Which components come back from every random start."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nmfaudio.errors import OptionError
from nmfaudio.matching import best_pairs
from nmfaudio.nmf.divergence import Divergence
from nmfaudio.nmf.factorization import Factorization
from nmfaudio.nmf.problem import checked_matrix
from nmfaudio.nmf.solve import factorize


@dataclass(frozen=True)
class Stability:
    """How much the results of several random starts agree, for several ranks.

    Attributes
    ----------
    ranks : ndarray of int, shape (ranks,)
    components : tuple of ndarray, shape (rank,)
        For each rank, the stability of each component of the best start, from 0 to 1.
    objectives : ndarray, shape (ranks, restarts)
        What each start reached, in units of V to the power beta.
    best : tuple of Factorization
        For each rank, the start with the lowest objective.

    Examples
    --------
    >>> generator = np.random.default_rng(0)
    >>> V = generator.random((40, 3)) ** 8 @ generator.random((3, 90)) ** 8
    >>> result = stability(V, [2, 3, 4], restarts=4)
    >>> int(result.ranks[result.means.argmax()])
    3
    """

    ranks: NDArray[np.intp]
    components: tuple[NDArray[np.float64], ...]
    objectives: NDArray[np.float64]
    best: tuple[Factorization, ...]

    @property
    def means(self) -> NDArray[np.float64]:
        """Mean stability of the components, for each rank."""
        return np.array([each.mean() for each in self.components])

    @property
    def lowest(self) -> NDArray[np.float64]:
        """The lowest objective, for each rank."""
        return np.asarray(self.objectives.min(axis=1))

    def __repr__(self) -> str:
        means = ", ".join(f"{rank}: {mean:.2f}" for rank, mean in zip(self.ranks, self.means, strict=True))
        return f"Stability({means}; {self.objectives.shape[1]} starts each)"


def stability(
    V: ArrayLike,
    ranks: Iterable[int],
    *,
    divergence: Divergence | str | float = "kl",
    restarts: int = 6,
    seed: int = 0,
    iterations: int = 60,
    threads: int | None = None,
    callback: Callable[[int, int], object] | None = None,
) -> Stability:
    """Factor V from several random starts at each rank, and tell how much the results agree.

    A rank that suits the data gives the same components from every start; a smaller one merges sounds, and a
    larger one splits them, now in one way and now in another.

    Parameters
    ----------
    V : array_like, shape (bins, frames)
        Not negative.
    ranks : iterable of int
        Numbers of components to try.
    divergence, iterations, threads
        As for `factorize`.
    restarts : int
        Random starts at each rank, at least 2.
    seed : int
        The starts have seeds from this one on.
    callback : callable, optional
        Called with (factorizations made, factorizations in all); may raise to stop the work.

    Returns
    -------
    Stability

    Raises
    ------
    MatrixError
        For a V that cannot be factored.
    OptionError
        For an option outside its range.

    References
    ----------
    S. Wu et al., "Stability-driven nonnegative matrix factorization to interpret spatial gene expression and
    build local gene networks", PNAS 113(16), 2016: agreement between the templates of random starts. Here
    activations have to agree too, and components are matched one to one.

    Examples
    --------
    >>> stability(np.outer([1.0, 2.0], [3.0, 0.0, 1.0]), [1], restarts=2).means
    array([1.])
    """
    if restarts < 2:
        raise OptionError(f"restarts={restarts}: it must be at least 2, or there is nothing to compare")
    matrix, tried = checked_matrix(V, "V", "(bins, frames)"), [int(rank) for rank in ranks]
    if not tried:
        raise OptionError("ranks is empty: give at least one rank to try")
    # From noise: least squares would agree with one another before the divergence is asked.
    settings: dict[str, Any] = {"divergence": divergence, "iterations": iterations, "threads": threads}
    settings |= {"init": "random", "tolerance": 0}
    each, objectives, best = [], [], []
    for position, rank in enumerate(tried):
        runs = []
        for start in range(restarts):
            runs.append(factorize(matrix, rank, seed=seed + start, **settings))
            if callback:
                callback(position * restarts + start + 1, len(tried) * restarts)
        runs.sort(key=lambda run: float(run.objective[-1]))
        each.append(agreement(runs))
        objectives.append([run.objective[-1] for run in runs])
        best.append(runs[0])
    return Stability(np.array(tried, np.intp), tuple(each), np.array(objectives), tuple(best))


def agreement(runs: list[Factorization]) -> NDArray[np.float64]:
    """Return how alike each component of the first run and its counterparts in all runs are, from 0 to 1.

    Likeness is the correlation of the templates times that of the activations, where both are positive. Each
    run's components are matched to the first run's, one to one; the figure of a component is the mean over
    all pairs of runs.

    Parameters
    ----------
    runs : list of Factorization
        At least two, of one rank.

    Returns
    -------
    ndarray, shape (rank,)

    Examples
    --------
    >>> runs = [factorize(np.eye(2), 2, seed=seed) for seed in (0, 1)]
    >>> agreement(runs).round(3)
    array([1., 1.])
    """
    templates = [_standard(run.W.T) for run in runs]
    activations = [_standard(run.H) for run in runs]
    for run in range(1, len(runs)):
        likeness = _likeness(templates[0] @ templates[run].T, activations[0] @ activations[run].T)
        _, matched = best_pairs(likeness)
        templates[run], activations[run] = templates[run][matched], activations[run][matched]
    W, H = (np.swapaxes(np.array(rows), 0, 1) for rows in (templates, activations))
    pairs = _likeness(W @ W.swapaxes(1, 2), H @ H.swapaxes(1, 2))
    first, second = np.triu_indices(len(runs), 1)
    return np.asarray(pairs[:, first, second].mean(axis=1))


def _likeness(templates: NDArray[np.float64], activations: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.clip(templates, 0, 1) * np.clip(activations, 0, 1)


def _standard(rows: NDArray[Any]) -> NDArray[np.float64]:
    """Return rows whose inner products are their correlations.

    Flat rows, which correlate with nothing, get a coordinate of their own, so that two of them are alike;
    a silent row is like no other.
    """
    values = rows.astype(np.float64)
    peak = values.max(axis=1, keepdims=True)
    values = np.divide(values, peak, out=np.zeros_like(values), where=peak > 0)
    centred = values - values.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(centred, axis=1, keepdims=True)
    flat = norm <= 1e-6 * np.sqrt(values.shape[1])
    unit = np.divide(centred, norm, out=np.zeros_like(centred), where=~flat)
    return np.concatenate([unit, flat & (peak > 0)], axis=1)
