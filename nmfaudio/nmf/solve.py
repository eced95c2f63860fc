"""Factor a non-negative matrix by multiplicative updates that never raise its beta-divergence."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nmfaudio.errors import MatrixError, OptionError
from nmfaudio.nmf import kernels
from nmfaudio.nmf.divergence import Divergence
from nmfaudio.nmf.initialize import STARTS, Matrix, Start
from nmfaudio.nmf.kernels import Templates
from nmfaudio.nmf.lanes import workers
from nmfaudio.nmf.problem import Problem, checked_matrix

MEASURE_EVERY = 10  # iterations between two looks at the objective: a look costs a quarter of an iteration

Callback = Callable[[int, float], object]


@dataclass(frozen=True)
class Factorization:
    """A non-negative factorization V ~ W H.

    Attributes
    ----------
    W : ndarray, shape (bins, components)
        Templates; each column sums to one.
    H : ndarray, shape (components, frames)
        Activations; they carry the level.
    divergence : Divergence
        What was minimised.
    objective : ndarray, shape (looks,)
        The divergence of V from W H, in units of V to the power beta, each time it was measured. Never rises.
    looks : ndarray of int, shape (looks,)
        The iterations at which it was measured; the last is the number of iterations made.
    converged : bool
        Whether the tolerance was met before the iterations ran out.
    seed : int
        The seed of the start that was kept.

    Examples
    --------
    >>> factorize(np.eye(3), 2, iterations=50)
    Factorization(3 bins x 3 frames, rank 2, beta 1, 20 iterations, objective 1.386)
    """

    W: NDArray[Any]
    H: NDArray[Any]
    divergence: Divergence
    objective: NDArray[np.float64]
    looks: NDArray[np.intp]
    converged: bool
    seed: int

    @property
    def rank(self) -> int:
        """Number of components."""
        return int(self.W.shape[1])

    @property
    def iterations(self) -> int:
        """Number of iterations made."""
        return int(self.looks[-1])

    def __repr__(self) -> str:
        bins, frames = self.W.shape[0], self.H.shape[1]
        return (
            f"Factorization({bins} bins x {frames} frames, rank {self.rank}, beta {self.divergence.beta:g}, "
            f"{self.iterations} iterations, objective {self.objective[-1]:.4g})"
        )


def factorize(
    V: ArrayLike,
    rank: int,
    *,
    divergence: Divergence | str | float = "kl",
    init: str | tuple[ArrayLike, ArrayLike] = "random",
    seed: int = 0,
    restarts: int = 1,
    iterations: int = 200,
    tolerance: float = 1e-4,
    threads: int | None = None,
    callback: Callback | None = None,
) -> Factorization:
    """Factor V into `rank` templates and their activations.

    Multiplicative updates in float32, templates and activations in turn, with the exponents for which descent
    is proven at every beta. The objective is D(V | W H + e), e some 1e-12 of the mean of V (below beta = 1
    also added to V, which may hold zeros). The same seed gives the same bits on any number of threads.

    Parameters
    ----------
    V : array_like, shape (bins, frames)
        Not negative. float32 whose transpose is contiguous is used in place; all else is copied once.
    rank : int
        Number of components.
    divergence : str, float or Divergence
        `"kl"`, `"is"`, `"euclidean"`, or any beta in [-1, 3].
    init : {"random", "nndsvd", "frames"} or tuple of (W, H)
        Where to start.
    seed : int
        Of the random start.
    restarts : int
        Number of random starts; the one with the lowest objective is kept.
    iterations : int
        At most so many for each start.
    tolerance : float
        Stop when ten iterations lowered the objective by less than this part of its first value; 0 never
        stops.
    threads : int, optional
        Default: one for each usable core.
    callback : callable, optional
        Called with (iteration, objective) every ten iterations; stops the work by answering True.

    Returns
    -------
    Factorization
        float64 where V is float64, else float32.

    Raises
    ------
    MatrixError
        For a V that is not a matrix, is empty, or has a negative or non-finite entry.
    OptionError
        For an option outside its range.

    References
    ----------
    C. Fevotte and J. Idier, "Algorithms for nonnegative matrix factorization with the beta-divergence",
    Neural Computation 23(9), 2011, eq. 54-57.

    Examples
    --------
    >>> V = np.outer([1.0, 2.0, 0.0], [3.0, 0.0, 1.0, 2.0])
    >>> found = factorize(V, 1)
    >>> found.W.round(3).ravel()
    array([0.333, 0.667, 0.   ])
    >>> found.H.round(2)
    array([[9., 0., 3., 6.]])
    """
    problem = Problem.of(V, Divergence.of(divergence))
    _check_counts(rank=rank, iterations=iterations, restarts=restarts)
    if seed < 0:
        raise OptionError(f"seed={seed}: it must not be negative")
    with workers(threads) as pool:
        found = [
            _factorize_once(problem, _start(problem, rank, init, s), s, iterations, tolerance, pool, callback)
            for s in _seeds(seed, restarts)
        ]
    return min(found, key=lambda one: float(one.objective[-1]))


def activate(
    V: ArrayLike,
    W: ArrayLike,
    *,
    divergence: Divergence | str | float = "kl",
    iterations: int = 100,
    tolerance: float = 1e-4,
    threads: int | None = None,
    callback: Callback | None = None,
) -> Factorization:
    """Find the activations of V for given templates.

    The problem is convex for beta in [1, 2], and frames are independent of one another.

    Parameters
    ----------
    V : array_like, shape (bins, frames)
        Not negative.
    W : array_like, shape (bins, components)
        Templates, not negative. They come back unchanged.
    divergence, iterations, tolerance, threads, callback
        As for `factorize`. A tolerance of 0 makes the answer for a frame independent of all other frames.

    Returns
    -------
    Factorization
        Its `W` is the one given.

    Raises
    ------
    MatrixError
        For a V or W that is not a non-negative finite matrix, or when their numbers of bins differ.
    OptionError
        For an option outside its range.

    Examples
    --------
    >>> W = np.array([[1.0, 0.0], [1.0, 1.0]])
    >>> activate(W @ [[2.0], [3.0]], W, tolerance=0).H.round(2).ravel()
    array([2., 3.])
    """
    problem = Problem.of(V, Divergence.of(divergence))
    _check_counts(iterations=iterations)
    templates = checked_matrix(W, "W", "(bins, components)")
    if len(templates) != problem.bins:
        raise MatrixError(f"W has {len(templates)} bins, but V has {problem.bins}: they must be the same")
    with workers(threads) as pool:
        return _activate(problem, templates, iterations, tolerance, pool, callback)


def _factorize_once(
    problem: Problem,
    start: Start,
    seed: int,
    iterations: int,
    tolerance: float,
    pool: ThreadPoolExecutor | None,
    callback: Callback | None,
) -> Factorization:
    W, H = start
    templates = _templates(W)
    lanes = problem.lanes(W.shape[1], pool)
    sums = np.zeros((2, len(lanes.bounds), *templates.T.shape), np.float32)
    watch = _Watch(problem, iterations, tolerance, callback)
    for iteration in watch.iterations():
        sums[:] = 0
        measured = lanes.run(_collect(problem, templates, H, sums, watch.due(iteration)))
        if watch.due(iteration) and watch.done(iteration, measured):
            break
        templates = _stepped(templates, sums, problem.divergence)
    W, H = _normalized(problem, templates.W, H)
    return watch.result(W, H, seed)


def _collect(
    problem: Problem, templates: Templates, H: Matrix, sums: Matrix, measure: bool
) -> Callable[[int, int, int], float]:
    """Return the task of one lane: update its activations and sum what they say of the templates."""

    def task(lane: int, start: int, stop: int) -> float:
        portion = sums[0, lane], sums[1, lane]
        return float(
            kernels.factorize_frames(problem.V, problem.terms, templates, H, start, stop, portion, measure)
        )

    return task


def _templates(W: Matrix) -> Templates:
    return Templates(W, np.ascontiguousarray(W.T), W.sum(axis=0))


def _stepped(templates: Templates, sums: Matrix, divergence: Divergence) -> Templates:
    """Return the templates after one multiplicative update."""
    numerator, denominator = sums.sum(axis=1)
    if divergence.beta == 1:
        denominator = denominator[:, :1]
    ratio = np.divide(numerator, denominator, out=np.ones_like(numerator), where=denominator > 0)
    if divergence.exponent != 1:
        np.power(ratio, np.float32(divergence.exponent), out=ratio)
    return _templates(np.ascontiguousarray((templates.T * ratio).T))


def _activate(
    problem: Problem,
    templates: NDArray[Any],
    iterations: int,
    tolerance: float,
    pool: ThreadPoolExecutor | None,
    callback: Callback | None,
) -> Factorization:
    total = templates.sum(axis=0, dtype=np.float64)
    used = np.divide(templates, total, out=np.zeros(templates.shape), where=total > 0)
    fixed = _templates(np.ascontiguousarray(used, dtype=np.float32))
    rank = used.shape[1]
    level = problem.V.sum(axis=1, dtype=np.float64)[:, None] * problem.kernel_scale
    H = np.ascontiguousarray(np.where(total > 0, level / rank, 0), dtype=np.float32)
    lanes = problem.lanes(rank * MEASURE_EVERY, pool)
    watch = _Watch(problem, iterations, tolerance, callback)
    made = 0
    for iteration in watch.looks():
        steps, made = iteration - made, iteration

        def task(_: int, start: int, stop: int, steps: int = steps) -> float:
            return float(kernels.activate_frames(problem.V, problem.terms, fixed, H, start, stop, steps))

        if watch.done(iteration, lanes.run(task)):
            break
    scale = problem.data_scale * total
    H64 = np.divide(H, scale, out=np.zeros(H.shape), where=scale > 0)
    return watch.result(templates, H64.T.astype(problem.dtype), 0)


class _Watch:
    """Looks at the objective now and then, and says when to stop."""

    def __init__(
        self, problem: Problem, iterations: int, tolerance: float, callback: Callback | None
    ) -> None:
        self._problem, self._last = problem, iterations
        self._tolerance, self._callback = tolerance, callback
        self._curve: list[tuple[int, float]] = []
        self._converged = False

    def iterations(self) -> range:
        return range(1, self._last + 1)

    def looks(self) -> list[int]:
        return [i for i in self.iterations() if self.due(i)]

    def due(self, iteration: int) -> bool:
        return iteration == 1 or iteration % MEASURE_EVERY == 0 or iteration == self._last

    def done(self, iteration: int, scaled: float) -> bool:
        """Note the objective; say whether this iteration is the last."""
        objective = self._problem.objective(scaled)
        self._curve.append((iteration, objective))
        stopped = bool(self._callback(iteration, objective)) if self._callback else False
        if iteration % MEASURE_EVERY == 0 and len(self._curve) > 1:
            fall = self._curve[-2][1] - objective
            self._converged = fall < self._tolerance * self._curve[0][1]
        return stopped or self._converged or iteration == self._last

    def result(self, W: NDArray[Any], H: NDArray[Any], seed: int) -> Factorization:
        looks, values = zip(*self._curve, strict=True)
        curve, at = np.array(values), np.array(looks, dtype=np.intp)
        return Factorization(W, H, self._problem.divergence, curve, at, self._converged, seed)


def _normalized(problem: Problem, W: Matrix, H: Matrix) -> tuple[NDArray[Any], NDArray[Any]]:
    """Give W unit-sum columns and H the level of the data; a template that died becomes flat and silent."""
    total = W.sum(axis=0, dtype=np.float64)
    unit = np.divide(W, total, out=np.full(W.shape, 1 / len(W)), where=total > 0)
    level = H * (total / problem.data_scale)
    return unit.astype(problem.dtype), level.T.astype(problem.dtype)


def _start(problem: Problem, rank: int, init: str | tuple[ArrayLike, ArrayLike], seed: int) -> Start:
    if isinstance(init, str):
        if init not in STARTS:
            raise OptionError(f"init={init!r} is not known: use one of {', '.join(STARTS)}, or arrays (W, H)")
        W, H = STARTS[init](problem.V, rank, np.random.default_rng(seed))
        # One memory layout, or numba compiles every kernel again.
        return np.ascontiguousarray(W), np.ascontiguousarray(H * np.float32(problem.kernel_scale))
    W, H = (checked_matrix(array, name, "of a start") for array, name in zip(init, "WH", strict=True))
    expected = ((problem.bins, rank), (rank, len(problem.V)))
    if (W.shape, H.shape) != expected:
        raise MatrixError(f"the start has shapes {W.shape} and {H.shape}: they must be {expected}")
    return (
        np.array(W, np.float32, order="C"),
        np.ascontiguousarray(H.T * problem.data_scale, dtype=np.float32),
    )


def _seeds(seed: int, restarts: int) -> list[int]:
    """Return seeds for all starts, the given one first, so that more starts are never worse."""
    more = np.random.SeedSequence(seed).generate_state(restarts)
    return [seed, *(int(s) for s in more[1:])]


def _check_counts(**counts: int) -> None:
    for name, count in counts.items():
        if count < 1:
            raise OptionError(f"{name}={count}: it must be at least 1")
