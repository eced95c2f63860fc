"""Factor a non-negative matrix by multiplicative updates that never raise its beta-divergence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nmfaudio.errors import MatrixError, OptionError
from nmfaudio.nmf.allowed import Allowed, checked_mask
from nmfaudio.nmf.descend import Steps, Updates, accelerated, plain, update_activations
from nmfaudio.nmf.divergence import Divergence
from nmfaudio.nmf.entrywise import EntryUpdates
from nmfaudio.nmf.factorization import MEASURE_EVERY, Callback, ConvergenceMonitor, Factorization
from nmfaudio.nmf.initialize import STARTS, Matrix, Start, levels
from nmfaudio.nmf.layout import NO_SUMS, AnyTemplates, Penalty, Templates, scaled_columns
from nmfaudio.nmf.penalty import Penalties, Weights
from nmfaudio.nmf.problem import Problem, checked_matrix
from nmfaudio.nmf.sketch import sketched
from nmfaudio.nmf.sparse_entries import StoredEntries
from nmfaudio.nmf.stream import Rows, Stream
from nmfaudio.nmf.threads import WorkerPool, workers
from nmfaudio.nmf.weighted_entries import WeightedEntries

Init = str | tuple[ArrayLike, ArrayLike]
_STARTS = ("sketch", *STARTS)


@dataclass(frozen=True)
class _Settings:
    """Options of the descent."""

    iterations: int
    tolerance: float
    callback: Callback | None
    penalties: Penalties
    frozen: NDArray[Any]
    allowed: Allowed
    solver: str = "accelerated"


@np.errstate(under="ignore")  # values near zero may vanish; the settings of the caller do not matter
def factorize(
    V: ArrayLike | Stream,
    rank: int,
    *,
    weights: ArrayLike | None = None,
    divergence: Divergence | str | float = "kl",
    init: Init | None = None,
    frozen: ArrayLike | None = None,
    allowed: tuple[ArrayLike | None, ArrayLike | None] | None = None,
    penalties: Penalties | None = None,
    solver: str = "accelerated",
    seed: int = 0,
    restarts: int = 1,
    iterations: int = 200,
    tolerance: float = 1e-4,
    threads: int | None = None,
    callback: Callback | None = None,
) -> Factorization:
    """Factor V into `rank` templates and their activations.

    Multiplicative updates in float32, templates and activations in turn, with exponents for which descent is
    proven at every beta; by default they are extrapolated, and where that does not descend, it is undone. The
    objective is D(V | W H + e), e some 1e-12 of the mean of V (below beta = 1 also added to V, which may hold
    zeros). Zeros in a start stay zeros. The same seed gives the same bits on any number of threads.

    Parameters
    ----------
    V : array_like, sparse matrix or Stream, shape (bins, frames)
        Not negative. float32 whose transpose is contiguous is used in place, in memory or mapped from disk;
        a stream is read block by block; all else is copied once. Entries that are NaN, or masked in a
        masked array, are missing and get the weight 0. A sparse matrix costs time and memory in proportion
        to its stored entries with Kullback-Leibler and the Euclidean distance; other divergences depend on
        the model at every zero, so that a few of its columns at a time are made dense.
    rank : int
        Number of components.
    weights : array_like, shape (bins, frames), optional
        Weight of each entry's divergence in the objective, not negative; 0 hides an entry. Bins and frames
        without any visible entry get zeros. Not for sparse matrices and streams.
    divergence : str, float or Divergence
        `"kl"`, `"is"`, `"euclidean"`, or any beta in [-1, 3].
    init : {"sketch", "random", "nndsvd", "frames"} or tuple of (W, H), optional
        Where to start: from least squares on a random sketch of V, which takes as long as some ten iterations
        and is as near as some hundred would come, or from noise, singular vectors or frames of V. Default:
        a sketch, or noise where templates are frozen or entries masked, of which a sketch knows nothing. For
        a sparse V, "nndsvd" takes the place of the sketch; it is the same start for every seed.
    frozen : array_like, shape (bins, templates), optional
        Templates that stay, bit by bit, as they are; they are the first of the `rank` components.
    allowed : tuple of (mask of W, mask of H), optional
        Arrays of bool, shapes (bins, rank) and (rank, frames), or None where all is allowed: entries outside
        stay zero, from any start. Frozen templates are not masked. What no component may explain counts
        against the floor e, which below beta = 1 outweighs all else: leave one component free there.
    penalties : Penalties, optional
        What else to keep small; none by default.
    solver : {"accelerated", "mu"}
        Multiplicative updates with extrapolation, or without.
    seed : int
        Seed of the random start.
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
        Called with (iteration, objective) at least every ten iterations; stops the work by answering True.

    Returns
    -------
    Factorization
        float64 where V is float64, else float32.

    Raises
    ------
    MatrixError
        For a V that is not a real matrix, is empty, or has a negative or infinite entry; for weights that do
        not fit it.
    OptionError
        For an option outside its range.

    References
    ----------
    C. Fevotte and J. Idier, "Algorithms for nonnegative matrix factorization with the beta-divergence",
    Neural Computation 23(9), 2011. R. Varadhan and C. Roland, "Simple and globally convergent
    methods for accelerating the convergence of any EM algorithm", Scandinavian Journal of Statistics 35(2),
    2008.

    Examples
    --------
    >>> V = np.outer([1.0, 2.0, 0.0], [3.0, 0.0, 1.0, 2.0])
    >>> factorization = factorize(V, 1)
    >>> factorization.W.round(3).ravel()
    array([0.333, 0.667, 0.   ])
    >>> factorization.H.round(2)
    array([[9., 0., 3., 6.]])
    """
    problem = Problem.of_any(V, Divergence.of(divergence), weights=weights)
    _check_counts(rank=rank, iterations=iterations, restarts=restarts)
    if seed < 0:
        raise OptionError(f"seed={seed}: it must not be negative")
    if solver not in ("accelerated", "mu"):
        raise OptionError(f"solver={solver!r}: use 'accelerated' or 'mu'")
    held = _frozen(problem, frozen, rank)
    masks = Allowed.of(allowed, problem.bins, rank, len(problem.V))
    settings = _Settings(iterations, tolerance, callback, penalties or Penalties(), held, masks, solver)
    with workers(threads) as pool:
        factorization = [
            _factorize_once(problem, _start(problem, rank, init, settings, s, pool), s, settings, pool)
            for s in _seeds(seed, restarts)
        ]
    return min(factorization, key=lambda one: float(one.objective[-1]))


@np.errstate(under="ignore")  # values near zero may vanish; the settings of the caller do not matter
def activate(
    V: ArrayLike | Stream,
    W: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    divergence: Divergence | str | float = "kl",
    allowed: ArrayLike | None = None,
    penalties: Penalties | None = None,
    iterations: int = 100,
    tolerance: float = 1e-4,
    level: float | None = None,
    threads: int | None = None,
    callback: Callback | None = None,
) -> Factorization:
    """Find the activations of V for given templates.

    The problem is convex for beta in [1, 2], and frames are independent of one another.

    Parameters
    ----------
    V : array_like, sparse matrix or Stream, shape (bins, frames)
        Not negative; as for `factorize`.
    W : array_like, shape (bins, components)
        Templates, not negative. They come back unchanged.
    weights : array_like, shape (bins, frames), optional
        As for `factorize`.
    allowed : array_like of bool, shape (components, frames), optional
        Activations outside stay zero.
    divergence, penalties, iterations, tolerance, threads, callback
        As for `factorize`. A tolerance of 0 makes the answer for a frame independent of all other frames, up
        to the rounding of the level, unless continuity is asked for.
    level : float, optional
        A typical value of V, which starts and floors are relative to; its mean if not given. Where frames of
        a whole are activated in parts, that of the whole makes every part the very bits of the whole.

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
    _check_counts(iterations=iterations)
    if level is not None and not 0 <= level < np.inf:
        raise OptionError(f"level={level}: it must be a finite number, not negative")
    problem = Problem.of_any(V, Divergence.of(divergence), level, weights)
    templates = checked_matrix(W, "W", "(bins, components)")
    if len(templates) != problem.bins:
        raise MatrixError(f"W has {len(templates)} bins, but V has {problem.bins}: they must be the same")
    shape = (templates.shape[1], len(problem.V))
    masks = Allowed(H=None if allowed is None else checked_mask(allowed, "allowed", shape))
    settings = _Settings(iterations, tolerance, callback, penalties or Penalties(), templates, masks)
    with workers(threads) as pool:
        return _activate(problem, templates, settings, pool)


def _factorize_once(
    problem: Problem, start: Start, seed: int, settings: _Settings, pool: WorkerPool | None
) -> Factorization:
    W, H = start
    rank = W.shape[1]
    frozen = np.arange(rank) < settings.frozen.shape[1]
    updates = _updates(problem, frozen, settings.penalties, pool)
    monitor = ConvergenceMonitor(problem, settings.iterations, settings.tolerance, settings.callback)
    if settings.solver == "mu":
        W = plain(updates, W, H, settings.iterations, MEASURE_EVERY, monitor.done)
    else:
        W = accelerated(updates, W, H, settings.iterations, monitor.done)
    flat = settings.allowed.flat(W.shape)
    templates, activations = _at_level(problem, W, H, frozen | settings.penalties.fix_scale, flat)
    templates[:, frozen] = settings.frozen
    return monitor.result(templates, activations, seed)


def _updates(
    problem: Problem, frozen: NDArray[np.bool_], penalties: Penalties, pool: WorkerPool | None
) -> Steps[Any]:
    """Return the updates of a problem with these templates frozen."""
    if problem.is_plain:
        return Updates(problem, len(frozen), frozen, penalties, pool)
    return EntryUpdates(problem, _entries(problem), frozen, penalties, pool)


def _entries(problem: Problem) -> StoredEntries | WeightedEntries:
    """Return the entries of a problem that is not plain."""
    if problem.weights is None:
        return StoredEntries(problem)
    return WeightedEntries(problem.V, problem.weights, problem.kernel_scale, problem.divergence)


def _activate(
    problem: Problem, templates: NDArray[Any], settings: _Settings, pool: WorkerPool | None
) -> Factorization:
    total = templates.sum(axis=0, dtype=np.float64)
    used = np.divide(templates, total, out=np.zeros(templates.shape), where=total > 0)
    H = settings.allowed.start(templates, _level_start(problem, total))[1]
    penalties = settings.penalties.of_unit_templates(total)
    weights = Weights(penalties, problem, len(total))
    fixed, move = _movement(problem, used, penalties, pool)
    exponent = problem.divergence.exponent_for(weights.squares_of_activations)
    monitor = ConvergenceMonitor(problem, settings.iterations, settings.tolerance, settings.callback)
    made = 0
    for iteration in monitor.measured_iterations():
        objective = 0.0
        # Penalties that couple frames must be computed again after every step.
        for steps in [1] * (iteration - made) if weights.coupled else [iteration - made]:
            objective = move(H, weights.on_activations(fixed, H), exponent, steps)
        made = iteration
        if monitor.done(iteration, objective + weights.value(fixed, H)):
            break
    scale = problem.data_scale * total
    H64 = np.divide(H, scale, out=np.zeros(H.shape), where=scale > 0)
    return monitor.result(templates, H64.T.astype(problem.dtype), 0)


def _movement(
    problem: Problem, W: NDArray[Any], penalties: Penalties, pool: WorkerPool | None
) -> tuple[AnyTemplates, Callable[[Matrix, Penalty, float, int], float]]:
    """Return fixed templates, and a function that updates H by them.

    The function takes H, its penalty, the exponent and the number of updates; it returns the objective
    without penalties.
    """
    if not problem.is_plain:
        updates = EntryUpdates(problem, _entries(problem), np.ones(W.shape[1], bool), penalties, pool)
        columns = updates.templates(W)
        return columns, partial(updates.activate, columns)
    from nmfaudio.nmf import template_kernels  # here, because numba takes a while to load

    beta, floor = problem.divergence.beta, problem.divergence.floor
    fixed = template_kernels.packed(Templates.of(W.T), products=beta == 2, floor=floor)
    partition = problem.partition(W.shape[1] * MEASURE_EVERY, pool)

    def move(H: Matrix, penalty: Penalty, exponent: float, steps: int) -> float:
        terms = problem.terms._replace(exponent=exponent)
        return update_activations(problem.V, terms, fixed, penalty, H, steps, NO_SUMS, True, partition)

    return fixed, move


def _level_start(problem: Problem, total: NDArray[np.float64]) -> Matrix:
    """Return activations that share each frame's level equally among the templates that are not silent."""
    level = levels(problem.V)[:, None] * problem.kernel_scale
    return np.ascontiguousarray(np.where(total > 0, level / max(1, len(total)), 0), dtype=np.float32)


def _at_level(
    problem: Problem, W: Matrix, H: Matrix, keep: NDArray[np.bool_], flat: NDArray[np.float64]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Bring H to the level of the data, templates but those to keep to unit sum; dead ones become flat."""
    total = W.sum(axis=0, dtype=np.float64)
    divisor = np.where(keep, 1.0, total)
    unit = np.divide(W, divisor, out=flat, where=divisor > 0)
    level = scaled_columns(H, divisor / problem.data_scale, problem.dtype)
    return unit.astype(problem.dtype), level.T


def _start(
    problem: Problem,
    rank: int,
    init: Init | None,
    settings: _Settings,
    seed: int,
    pool: WorkerPool | None,
) -> Start:
    """Return W and H of a start, frozen templates first, in one memory layout: numba compiles for each."""
    frozen = settings.frozen
    free = frozen.shape[1] == 0 and settings.allowed.all
    if init is None:
        default = "sketch" if isinstance(problem.V, np.ndarray | Rows) else "nndsvd"
        init = default if free else "random"
    if not isinstance(init, str):
        W, H = _given_start(problem, rank, init)
    elif init == "sketch":
        if not free:
            raise OptionError("init='sketch' takes no frozen templates and no masks: use init='random'")
        W, H = sketched(problem, rank, np.random.default_rng(seed), pool)
    else:
        W, H = _made_start(problem, rank - frozen.shape[1], init, np.random.default_rng(seed))
        H = np.hstack([_level_start(problem, frozen.sum(axis=0, dtype=np.float64)) / _sums(frozen), H])
        W = np.hstack([frozen, W])
    W, H = settings.allowed.start(W, H)
    W[:, : frozen.shape[1]] = frozen
    return np.ascontiguousarray(W, np.float32), np.ascontiguousarray(H, np.float32)


def _made_start(problem: Problem, rank: int, init: str, generator: np.random.Generator) -> Start:
    if init not in STARTS:
        raise OptionError(f"init={init!r} is not known: use one of {', '.join(_STARTS)}, or arrays (W, H)")
    if rank == 0:
        return np.empty((problem.bins, 0), np.float32), np.empty((len(problem.V), 0), np.float32)
    W, H = STARTS[init](problem.V, rank, generator)
    return W, H * np.float32(problem.kernel_scale)


def _given_start(problem: Problem, rank: int, init: tuple[ArrayLike, ArrayLike]) -> tuple[Any, Any]:
    W, H = (checked_matrix(array, name, "of a start") for array, name in zip(init, "WH", strict=True))
    expected = ((problem.bins, rank), (rank, len(problem.V)))
    if (W.shape, H.shape) != expected:
        raise MatrixError(f"the start has shapes {W.shape} and {H.shape}: they must be {expected}")
    return np.array(W), H.T * problem.data_scale


def _sums(frozen: NDArray[Any]) -> NDArray[np.float64]:
    total = frozen.sum(axis=0, dtype=np.float64)
    return np.where(total > 0, total, 1.0)


def _frozen(problem: Problem, templates: ArrayLike | None, rank: int) -> NDArray[Any]:
    """Return the templates to freeze, (bins, 0) if there are none."""
    if templates is None:
        return np.empty((problem.bins, 0), np.float32)
    matrix = checked_matrix(templates, "frozen", "(bins, templates)")
    if matrix.shape[0] != problem.bins or matrix.shape[1] > rank:
        raise MatrixError(
            f"frozen has shape {matrix.shape}: it must be ({problem.bins}, at most rank={rank}), "
            "since frozen templates count as components"
        )
    return matrix


def _seeds(seed: int, restarts: int) -> list[int]:
    """Return seeds for all starts, the given one first, so that more starts are never worse."""
    more = np.random.SeedSequence(seed).generate_state(restarts)
    return [seed, *(int(s) for s in more[1:])]


def _check_counts(**counts: int) -> None:
    for name, count in counts.items():
        if count < 1:
            raise OptionError(f"{name}={count}: it must be at least 1")
