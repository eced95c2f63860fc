"""Multiplicative updates, plain or extrapolated; extrapolated ones are undone where the objective rises.

Functions import the modules with numba loops when they call them, because numba takes a while to load.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from nmfaudio.nmf import layout
from nmfaudio.nmf.frame_partition import FramePartition
from nmfaudio.nmf.initialize import Matrix
from nmfaudio.nmf.layout import AnyTemplates, Penalty, Portions, Sums, Templates, Terms
from nmfaudio.nmf.penalty import Penalties, Weights
from nmfaudio.nmf.problem import Problem
from nmfaudio.nmf.threads import WorkerPool

_SETTLING = 5  # iterations before steps with exponent 1, which lead to poor minima from a random start
# Bound of the extrapolation's length: its first and its least value, and the factor by which it changes.
_FIRST_BOUND, _LEAST_BOUND, _GROWTH = 4.0, 1.5, 2.0
_PIECE = 65536  # rows of a factor that one call of a kernel extrapolates

_ROUNDING = 1e-7  # relative rise of the objective that the rounding of float32 can cause

# Called with the iteration and the scaled objective; returns whether to stop.
Look = Callable[[int, float], bool]


P = TypeVar("P", bound=AnyTemplates)


class Steps(Protocol[P]):
    """Interface of the updates that `plain` and `accelerated` run; `Updates` is one for matrices."""

    @property
    def may_be_bold(self) -> bool:
        """Whether to try the exponent 1 where descent is proven only for a smaller one."""

    def templates(self, W: Matrix) -> P:
        """Return W, (bins, components), in the layout of these updates."""

    def step(self, templates: P, H: Matrix, *, measure: bool = True, bold: bool = False) -> tuple[P, float]:
        """Update H in place; return new templates, and the objective before they changed."""


class Updates:
    """Updates of the activations, in place, and of the templates, into a new array.

    Parameters
    ----------
    problem : Problem
    rank : int
    frozen : ndarray of bool, shape (components,)
        Templates that are not updated.
    penalties : Penalties
    pool : WorkerPool or None
    """

    def __init__(
        self,
        problem: Problem,
        rank: int,
        frozen: NDArray[np.bool_],
        penalties: Penalties,
        pool: WorkerPool | None,
    ) -> None:
        self._problem = problem
        self._free = ~frozen
        self._partition = problem.partition(rank, pool)
        self._sums = make_sums(problem, rank, len(self._partition.bounds))
        self._weights = Weights(penalties, problem, rank)

    def templates(self, W: Matrix) -> Templates:
        """Return W, (bins, components), in the kernels' layout."""
        return Templates.of(W.T)

    def step(
        self, templates: Templates, H: Matrix, *, measure: bool = True, bold: bool = False
    ) -> tuple[Templates, float]:
        """Update H, (frames, components), in place, then the templates.

        Parameters
        ----------
        templates : Templates
        H : ndarray, shape (frames, components)
        measure : bool
            Whether to compute the objective.
        bold : bool
            Whether to use the exponent 1 where descent is proven only for a smaller one.

        Returns
        -------
        templates : Templates
            The updated templates.
        objective : float
            Objective at the new H and the given templates; 0 unless it is measured.
        """
        from nmfaudio.nmf import template_kernels

        weights = self._weights
        floor, beta = self._problem.divergence.floor, self._problem.divergence.beta
        ready = template_kernels.packed(templates, products=beta == 2, floor=floor)
        exponent = self._exponent(weights.squares_of_activations, bold)
        penalty = weights.on_activations(templates, H)
        objective = self._update_activations(ready, penalty, H, measure, exponent)
        if measure:
            objective += weights.value(templates, H)
        exponent = self._exponent(weights.squares_of_templates, bold)
        added = weights.on_templates(templates, H)
        return updated(ready, self._sums, self._free, self._problem, exponent, added), objective

    def _update_activations(
        self, templates: Templates, penalty: layout.Penalty, H: Matrix, measure: bool, exponent: float
    ) -> float:
        """Update H, and collect what the update of the templates needs; return the objective."""
        terms = self._problem.terms._replace(exponent=exponent)
        return update_activations(
            self._problem.V, terms, templates, penalty, H, 1, self._sums, measure, self._partition
        )

    def _exponent(self, squares: bool, bold: bool) -> float:
        return 1.0 if bold and not squares else self._problem.divergence.exponent_for(squares)

    @property
    def may_be_bold(self) -> bool:
        """Whether to try the exponent 1 where descent is proven only for a smaller one."""
        return 0 <= self._problem.divergence.beta < 1


def update_activations(
    V: Any,
    terms: Terms,
    templates: Templates,
    penalty: Penalty,
    H: Matrix,
    iterations: int,
    sums: Sums,
    measure: bool,
    partition: FramePartition,
) -> float:
    """Update H, (frames, components), in place so many times: see `kernels.update_portions`.

    Parameters
    ----------
    V : ndarray of float32 or Rows, shape (frames, bins)
    terms : Terms
    templates : Templates
        With all copies.
    penalty : Penalty
    H : ndarray of float32, shape (frames, components)
    iterations : int
    sums : tuple of ndarray
        The buffers of `make_sums`, which are added to, or `layout.NO_SUMS`.
    measure : bool
    partition : FramePartition

    Returns
    -------
    float
        The objective of all frames without penalties, or 0 unless it is measured.
    """
    from nmfaudio.nmf import kernels
    from nmfaudio.nmf.counter_kernels import looks_at_full_speed

    def update(portions: Portions, portion: int, blocks: int, leads: bool) -> int:
        settings = portions, portion, blocks, leads, looks_at_full_speed()
        return int(
            kernels.update_portions(V, terms, templates, penalty, H, iterations, sums, measure, *settings)
        )

    def update_piece(portion: int, start: int, stop: int) -> float:
        v, h, part = V[start:stop], H[start:stop], penalty.of_frames(start, stop)
        numerators, denominators, largest = (each[portion : portion + 1] for each in sums)
        own, whole = (
            (numerators, denominators, largest),
            Portions.of([(0, stop - start)], np.zeros(1, np.int64)),
        )
        kernels.update_portions(
            v, terms, templates, part, h, iterations, own, measure, whole, -1, stop - start, True, 0
        )
        return float(whole.objectives[0])

    return partition.run_compiled(update) if isinstance(V, np.ndarray) else partition.run(update_piece)


def updated(
    templates: Templates,
    sums: Sums,
    free: NDArray[np.bool_],
    problem: Problem,
    exponent: float,
    added: tuple[Matrix, Matrix],
) -> Templates:
    """Return templates multiplied by a power of the quotient of numerator and denominator.

    Parameters
    ----------
    templates : Templates
        With all copies.
    sums : tuple of ndarray
        The buffers of `make_sums`. They are zero afterwards.
    free : ndarray of bool, shape (components,)
        Templates to update.
    problem : Problem
    exponent : float
    added : tuple of ndarray of float32, shape (components,)
        Weights of the template and of its square, which penalties add to the denominator.
    """
    from nmfaudio.nmf import template_kernels

    if problem.divergence.beta == 2:
        products, rows = sums[1].sum(axis=0), len(templates.T)
        sums[1][:] = 0
        denominator = template_kernels.in_panels(products[:, :rows] @ templates.T)
        sums = sums[0], denominator[None], sums[2]
    rule = template_kernels.Rule(*added, free, exponent)
    return template_kernels.updated(templates, sums, rule, problem.divergence.floor)


def make_sums(problem: Problem, rank: int, portions: int) -> Sums:
    """Return buffers of zeros for what the update of the templates needs from each portion.

    The numerators, in panels like T: (portions, bins / PANEL, components * PANEL). The denominators: for
    beta = 1 they are the same in every bin, (portions, 1, components), for beta = 2 the products of the
    activations, (portions, components, components), else in panels. The largest entry of each component of H:
    (portions, 1, components).
    """
    from nmfaudio.nmf.intrinsics import PANEL

    rows, bins = layout.aligned(rank, problem.bins, layout.BIN_MULTIPLE).shape
    panels = bins // PANEL, rows * PANEL
    width = layout.aligned(rows, rank).shape[1]
    beta = problem.divergence.beta
    below = (1, width) if beta == 1 else (rows, width) if beta == 2 else panels
    return _stack(portions, panels), _stack(portions, below), _stack(portions, (1, width))


def _stack(portions: int, shape: tuple[int, int]) -> Matrix:
    """Return zeros for one matrix of each portion, whose rows start at cache lines."""
    rows, columns = shape
    count = portions * rows
    stack = layout.aligned(count, columns)[:count].reshape(portions, rows, columns)
    stack[:] = 0
    return stack


def plain(updates: Steps[P], W: Matrix, H: Matrix, iterations: int, every: int, look: Look) -> Matrix:
    """Run plain updates; return the templates that belong to H, which is updated in place."""
    templates = updates.templates(W)
    for iteration in range(1, iterations + 1):
        due = iteration == 1 or iteration % every == 0 or iteration == iterations
        following, objective = updates.step(templates, H, measure=due)
        if due and look(iteration, objective):
            break
        if iteration < iterations:
            templates = following
    return _factor(templates, W.shape)


@np.errstate(over="ignore", invalid="ignore")  # a step that overflows has no finite objective, and is undone
def accelerated(updates: Steps[P], W: Matrix, H: Matrix, iterations: int, look: Look) -> Matrix:
    """Extrapolate every second update by the squared iterative method (SQUAREM); the objective never rises.

    Two updates lead from x0 to x1 and x2; with x the logarithms of all entries, r = x1 - x0 and
    v = (x2 - x1) - r, the next cycle starts at x0 + 2 s r + s^2 v, s = |r| / |v|, in a norm that weighs each
    entry by its size. The objective is measured at the first update of a cycle. Where it has risen, the
    cycle is discarded, and a plain update, for which descent is proven, starts from the best point so far.

    Returns the templates that belong to H, which is updated in place.

    References
    ----------
    R. Varadhan and C. Roland, "Simple and globally convergent methods for accelerating the convergence of any
    EM algorithm", Scandinavian Journal of Statistics 35, 2008, scheme S3.
    """
    x0 = (updates.templates(W), H.copy())
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
            refuge = answer if bold else x1  # a proven update never makes the templates worse
        if look(iteration, best) or iteration + 2 > iterations:
            H[:] = answer[1]
            return _factor(answer[0], W.shape)
        bold = updates.may_be_bold and iteration > _SETTLING
        following = x1[1].copy()
        x2 = updates.step(x1[0], following, measure=False, bold=bold)[0], following
        x0, bound = _extrapolated(x0, x1, x2, bound)
        x1, objective = _measured(updates, x0, bold=bold)
        iteration += 2


def _measured(updates: Steps[P], x: tuple[P, Matrix], *, bold: bool) -> tuple[tuple[P, Matrix], float]:
    """Return x after one update, and the objective at the old templates and the new activations."""
    H = x[1].copy()
    templates, objective = updates.step(x[0], H, bold=bold)
    return (templates, H), objective


def _extrapolated(
    x0: tuple[P, Matrix], x1: tuple[P, Matrix], x2: tuple[P, Matrix], bound: float
) -> tuple[tuple[P, Matrix], float]:
    """Return the start of the next cycle, and the bound of its length."""
    factors = [(x0[0].entries, x1[0].entries, x2[0].entries), (x0[1], x1[1], x2[1])]
    first, second = (
        sum(squares)
        for squares in zip(*(_mean_squared_differences(*factor) for factor in factors), strict=True)
    )
    length = float(np.sqrt(first / second)) if second > 0 else bound
    length = min(max(length, 1.0), bound)
    entries, H = (_extrapolated_factor(length, *factor) for factor in factors)
    return (x0[0].with_entries(entries), H), bound * _GROWTH if length == bound else bound


def _factor(templates: AnyTemplates, shape: tuple[int, ...]) -> Matrix:
    """Return W, (bins, components), without its padding."""
    return templates.T[: shape[1], : shape[0]].T


def _mean_squared_differences(a: Matrix, b: Matrix, c: Matrix) -> tuple[float, float]:
    """Return the mean squares of the first and second differences of the logarithms."""
    from nmfaudio.nmf import logarithm_kernels

    first, second, size = np.sum(
        [logarithm_kernels.squared_differences(*part) for part in _pieces(a, b, c)], axis=0
    )
    return (float(first / size), float(second / size)) if size > 0 else (0.0, 0.0)


def _extrapolated_factor(length: float, a: Matrix, b: Matrix, c: Matrix) -> Matrix:
    """Return one factor at the start of the next cycle."""
    from nmfaudio.nmf import logarithm_kernels

    result = np.empty_like(c)
    for *points, target in _pieces(a, b, c, result):
        logarithm_kernels.extrapolate(*points, length, target)
    return result


def _pieces(*factors: Matrix) -> Iterator[tuple[Matrix, ...]]:
    """Cut factors at the same rows, so that one call of a kernel is short."""
    starts = range(0, len(factors[0]), _PIECE)
    return (tuple(factor[start : start + _PIECE] for factor in factors) for start in starts)
