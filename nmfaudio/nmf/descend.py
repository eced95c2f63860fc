"""Ways down: plain multiplicative updates, and the same updates extrapolated under a safeguard.

Modules with numba loops are imported by the functions that call them, so that a command can start without.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nmfaudio.nmf import layout
from nmfaudio.nmf.initialize import Matrix
from nmfaudio.nmf.layout import Templates
from nmfaudio.nmf.penalty import Penalties, Weights
from nmfaudio.nmf.problem import Problem

_SETTLING = 5  # iterations before bold steps, which end badly from a start that ignores the data
# Bounds of the extrapolation's length: the first one, the least, and what success and failure multiply it by.
_FIRST_BOUND, _LEAST_BOUND, _GROWTH = 4.0, 1.5, 2.0
_PIECE = 65536  # rows of a factor that one call of a kernel extrapolates

_ROUNDING = 1e-7  # of the objective: a proven step may seem to rise by so much in float32

# Called with the iteration and the scaled objective; says whether to stop there.
Look = Callable[[int, float], bool]


class Steps(Protocol):
    """What the ways down ask of the updates of a problem; `Updates` are those of plain factorization."""

    @property
    def may_be_bold(self) -> bool:
        """Whether the exponent 1, where it is not proven to descend, is worth a try."""

    def step(
        self, templates: Templates, H: Matrix, *, measure: bool = True, bold: bool = False
    ) -> tuple[Templates, float]:
        """Update H in place; return new templates, and the objective before they changed."""


class Updates:
    """The updates of one problem: activations in place, templates anew.

    Parameters
    ----------
    problem : Problem
    rank : int
    frozen : ndarray of bool, shape (components,)
        Templates that stay as they are.
    penalties : Penalties
    pool : ThreadPoolExecutor or None
    """

    def __init__(
        self,
        problem: Problem,
        rank: int,
        frozen: NDArray[np.bool_],
        penalties: Penalties,
        pool: ThreadPoolExecutor | None,
    ) -> None:
        self._problem = problem
        self._free = np.flatnonzero(~frozen) if frozen.any() else slice(0, rank)
        self._partition = problem.partition(rank, pool)
        self._sums = make_sums(problem, rank, len(self._partition.bounds))
        self._weights = Weights(penalties, problem, rank)

    def step(
        self, templates: Templates, H: Matrix, *, measure: bool = True, bold: bool = False
    ) -> tuple[Templates, float]:
        """Update H, (frames, components), in place, then the templates.

        Parameters
        ----------
        templates : Templates
        H : ndarray, shape (frames, components)
        measure : bool
            Whether to look at the objective.
        bold : bool
            Whether to step with the exponent 1 where only a smaller one is proven to descend.

        Returns
        -------
        templates : Templates
            The new ones.
        objective : float
            At the new H and the templates that were given; 0 unless it is measured.
        """
        from nmfaudio.nmf import kernels

        weights = self._weights
        ready = kernels.packed(templates, products=self._problem.divergence.beta == 2)
        exponent = self._exponent(weights.squares_of_activations, bold)
        penalty = weights.on_activations(templates, H)
        objective = self._partition.run(self._task(ready, penalty, H, measure, exponent))
        if measure:
            objective += weights.value(templates, H)
        exponent = self._exponent(weights.squares_of_templates, bold)
        added = weights.on_templates(templates, H)
        beta = self._problem.divergence.beta
        return updated(templates, self._sums, self._free, beta, exponent, added), objective

    def _task(
        self, templates: Templates, penalty: layout.Penalty, H: Matrix, measure: bool, exponent: float
    ) -> Callable[[int, int, int], float]:
        from nmfaudio.nmf import kernels

        V, terms = self._problem.V, self._problem.terms._replace(exponent=exponent)

        def task(portion: int, start: int, stop: int) -> float:
            parts = self._sums[0][portion], self._sums[1][portion]
            if start == self._partition.bounds[portion][0]:
                for sums in parts:
                    sums[:] = 0
            v, h, part = V[start:stop], H[start:stop], penalty.of_frames(start, stop)
            return float(kernels.update_frames(v, terms, templates, part, h, 1, parts, measure))

        return task

    def _exponent(self, squares: bool, bold: bool) -> float:
        return 1.0 if bold and not squares else self._problem.divergence.exponent_for(squares)

    @property
    def may_be_bold(self) -> bool:
        """Whether the exponent 1, where it is not proven to descend, is worth a try."""
        return 0 <= self._problem.divergence.beta < 1


def make_templates(T: Matrix) -> Templates:
    """Return W transposed, (components, bins), as the kernels take it."""
    return _summed(layout.padded(T, layout.BIN_MULTIPLE))


def _summed(T: Matrix) -> Templates:
    return Templates(T, T.sum(axis=1, dtype=np.float64))


def updated(
    templates: Templates,
    sums: tuple[Matrix, Matrix],
    free: NDArray[np.intp] | slice,
    beta: float,
    exponent: float,
    added: tuple[NDArray[Any], NDArray[Any]] | None = None,
) -> Templates:
    """Return templates multiplied by a quotient of sums to a power.

    Parameters
    ----------
    templates : Templates
    sums : tuple of ndarray
        Numerators and denominators of all portions, in the buffers of `make_sums`.
    free : ndarray of int or slice
        The templates to update.
    beta, exponent : float
    added : tuple of ndarray, shape (components,), optional
        Weights of each template and of its square that penalties add below.
    """
    from nmfaudio.nmf import kernels

    T = layout.padded(templates.T, layout.BIN_MULTIPLE)
    numerator, denominator = (each.sum(axis=0) for each in sums)
    numerator = kernels.unpacked(numerator, len(T))[free]
    if beta == 1:
        denominator = denominator[0, free, None]
    elif beta == 2:
        denominator = denominator[free, : len(T)] @ T
    else:
        denominator = kernels.unpacked(denominator, len(T))[free]
    if added is not None and any(weights.any() for weights in added):
        linear, quadratic = (w.astype(np.float32)[free, None] for w in added)
        denominator = denominator + linear + quadratic * T[free]
    ratio = np.divide(numerator, denominator, out=np.ones_like(numerator), where=denominator > 0)
    if exponent != 1:
        np.power(ratio, np.float32(exponent), out=ratio)
    T[free] *= ratio
    return _summed(T)


def make_sums(problem: Problem, rank: int, portions: int) -> tuple[Matrix, Matrix]:
    """Return buffers for the numerators and denominators of all portions."""
    from nmfaudio.nmf.intrinsics import PANEL

    rows, bins = layout.aligned(rank, problem.bins, layout.BIN_MULTIPLE).shape
    panels = bins // PANEL, rows * PANEL
    width = layout.aligned(rows, rank).shape[1]
    beta = problem.divergence.beta
    below = (1, width) if beta == 1 else (rows, width) if beta == 2 else panels
    return _stack(portions, panels), _stack(portions, below)


def _stack(portions: int, shape: tuple[int, int]) -> Matrix:
    """Return a buffer for one matrix of each portion, whose rows start at cache lines."""
    rows, columns = shape
    count = portions * rows
    return layout.aligned(count, columns)[:count].reshape(portions, rows, columns)


def plain(updates: Steps, W: Matrix, H: Matrix, iterations: int, every: int, look: Look) -> Matrix:
    """Update in turn; return the templates that belong to H, which is updated in place."""
    templates = make_templates(W.T)
    for iteration in range(1, iterations + 1):
        due = iteration == 1 or iteration % every == 0 or iteration == iterations
        following, objective = updates.step(templates, H, measure=due)
        if due and look(iteration, objective):
            break
        if iteration < iterations:
            templates = following
    return _factor(templates, W.shape)


@np.errstate(over="ignore", invalid="ignore")  # a step too bold is told by its objective, and undone
def accelerated(updates: Steps, W: Matrix, H: Matrix, iterations: int, look: Look) -> Matrix:
    """Extrapolate every second update by the squared iterative method (SQUAREM), never upwards.

    Two updates lead from x0 to x1 and x2; with x the logarithms of all entries, r = x1 - x0 and
    v = (x2 - x1) - r, the next cycle starts at x0 + 2 s r + s^2 v, s = |r| / |v|, in a norm that weighs each
    entry by its size. The first update of a cycle is measured; where the objective rose, the
    cycle is dropped and a plain update is made from the best point so far, which is proven not to rise.

    Returns the templates that belong to H, which is updated in place.

    References
    ----------
    R. Varadhan and C. Roland, "Simple and globally convergent methods for accelerating the convergence of any
    EM algorithm", Scandinavian Journal of Statistics 35, 2008, scheme S3.
    """
    x0: Point = (make_templates(W.T), H.copy())
    x1, objective = _measured(updates, x0, bold=False)
    best, bound, iteration, bold = np.inf, _FIRST_BOUND, 1, False
    answer = refuge = x0
    while True:
        if not objective <= best and iteration < iterations:
            iteration, bound, bold = iteration + 1, max(bound / _GROWTH, _LEAST_BOUND), False
            x0 = refuge
            x1, objective = _measured(updates, x0, bold=False)
        if objective <= best * (1 + _ROUNDING):
            best, answer = min(objective, best), (x0[0], x1[1])
            refuge = answer if bold else x1  # the templates of a proven update are at least as good
        if look(iteration, best) or iteration + 2 > iterations:
            H[:] = answer[1]
            return _factor(answer[0], W.shape)
        bold = updates.may_be_bold and iteration > _SETTLING
        following = x1[1].copy()
        x2 = updates.step(x1[0], following, measure=False, bold=bold)[0], following
        x0, bound = _extrapolated(x0, x1, x2, bound)
        x1, objective = _measured(updates, x0, bold=bold)
        iteration += 2


Point = tuple[Templates, Matrix]


def _measured(updates: Steps, x: Point, *, bold: bool) -> tuple[Point, float]:
    """Update from x; return where that leads, and the objective at x's templates and new activations."""
    H = x[1].copy()
    templates, objective = updates.step(x[0], H, bold=bold)
    return (templates, H), objective


def _extrapolated(x0: Point, x1: Point, x2: Point, bound: float) -> tuple[Point, float]:
    """Return the start of the next cycle, and the bound of the next length."""
    factors = [(x0[0].T, x1[0].T, x2[0].T), (x0[1], x1[1], x2[1])]
    first, second = (sum(squares) for squares in zip(*(_bends(*factor) for factor in factors), strict=True))
    length = float(np.sqrt(first / second)) if second > 0 else bound
    length = min(max(length, 1.0), bound)
    T, H = (_ahead(length, *factor) for factor in factors)
    return (make_templates(T), H), bound * _GROWTH if length == bound else bound


def _factor(templates: Templates, shape: tuple[int, ...]) -> Matrix:
    """Return W, (bins, components), without the room around it."""
    return templates.T[: shape[1], : shape[0]].T


def _bends(a: Matrix, b: Matrix, c: Matrix) -> tuple[float, float]:
    """Return the mean squares of the first and second differences of the logarithms."""
    from nmfaudio.nmf import logarithm_kernels

    first, second, size = np.sum(
        [logarithm_kernels.squared_differences(*part) for part in _pieces(a, b, c)], axis=0
    )
    return (float(first / size), float(second / size)) if size > 0 else (0.0, 0.0)


def _ahead(length: float, a: Matrix, b: Matrix, c: Matrix) -> Matrix:
    """Return the start of the next cycle."""
    from nmfaudio.nmf import logarithm_kernels

    found = np.empty_like(c)
    for x, y, z, room in _pieces(a, b, c, found):
        logarithm_kernels.extrapolate(x, y, z, length, room)
    return found


def _pieces(*factors: Matrix) -> Iterator[tuple[Matrix, ...]]:
    """Cut factors alike, so that one call of a kernel is short."""
    starts = range(0, len(factors[0]), _PIECE)
    return (tuple(factor[start : start + _PIECE] for factor in factors) for start in starts)
