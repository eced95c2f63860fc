"""Updates for a V of which not every entry counts alike: sparse matrices, and matrices with weights.

They make the same steps as the updates of a dense V, so that the same ways down use them. What differs is how
the sums over the entries of V are taken, which the `Entries` of a problem do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from nmfaudio.nmf.initialize import Matrix
from nmfaudio.nmf.layout import Change, Penalty, least_entries
from nmfaudio.nmf.penalty import Penalties, Weights
from nmfaudio.nmf.problem import Problem
from nmfaudio.nmf.threads import WorkerPool, share_out

Bounds = tuple[int, int]

T_co = TypeVar("T_co")


class FactorUpdate(Protocol):
    """The update of one factor of V, given the other one."""

    @property
    def largest(self) -> Matrix:
        """Largest entry of each component of the other factor."""

    def multiply(
        self, X: Matrix, change: Change, steps: int, pool: WorkerPool | None, *, measure: bool = False
    ) -> float:
        """Update X, (rows, components), in place so many times.

        Returns the objective before the updates, without what `constant` returns, if it is measured; 0 steps
        do nothing else.
        """

    def constant(self, X: Matrix, other: Any = None) -> float:
        """Return the part of the objective that is not a sum over entries.

        `other` may be the update of the other factor that was made for this X: it knows sums of X.
        """


class Entries(Protocol):
    """The sums over the entries of V that the updates need.

    W has the shape (bins, components), and H the shape (frames, components).
    """

    def activations(self, W: Matrix, *, fixed: bool) -> FactorUpdate:
        """Return the update of H, which will be called more than once if W is fixed."""

    def templates(self, H: Matrix) -> FactorUpdate:
        """Return the update of W."""


@dataclass(frozen=True, eq=False)
class Columns:
    """Templates as the columns of W: a `layout.AnyTemplates`.

    Attributes
    ----------
    W : ndarray of float32, shape (bins, components)
        Contiguous.
    """

    W: Matrix

    @property
    def T(self) -> Matrix:
        """W transposed."""
        return self.W.T

    @cached_property
    def sums(self) -> NDArray[np.float64]:
        """The sum of each template."""
        return np.asarray(self.W.sum(axis=0, dtype=np.float64))

    @property
    def entries(self) -> Matrix:
        """All entries: W."""
        return self.W

    def with_entries(self, entries: Matrix) -> Columns:
        """Return templates with another W."""
        return Columns(entries)


class EntryUpdates:
    """The updates of one problem whose entries do not all count alike: activations in place, templates anew.

    Parameters
    ----------
    problem : Problem
    entries : Entries
        What sums over the entries of V.
    frozen : ndarray of bool, shape (components,)
        Templates that stay as they are.
    penalties : Penalties
    pool : WorkerPool or None
    """

    def __init__(
        self,
        problem: Problem,
        entries: Entries,
        frozen: NDArray[np.bool_],
        penalties: Penalties,
        pool: WorkerPool | None,
    ) -> None:
        self._problem, self._entries, self._pool = problem, entries, pool
        self._frozen = np.flatnonzero(frozen)
        self._update: tuple[Columns, FactorUpdate] | None = None
        self._weights = Weights(penalties, problem, len(frozen))

    @property
    def may_be_bold(self) -> bool:
        """Whether the exponent 1, where it is not proven to descend, is worth a try."""
        return 0 <= self._problem.divergence.beta < 1

    def templates(self, W: Matrix) -> Columns:
        """Return W, (bins, components), as `step` and `activate` take it."""
        return Columns(np.ascontiguousarray(W, np.float32))

    def step(
        self, templates: Columns, H: Matrix, *, measure: bool = True, bold: bool = False
    ) -> tuple[Columns, float]:
        """Update H, (frames, components), in place, then the templates.

        Returns
        -------
        templates : Columns
            The new ones.
        objective : float
            At the new H and the templates that were given; 0 unless it is measured.
        """
        weights, pool = self._weights, self._pool
        of_activations = self._update_given(templates, fixed=False)
        exponent = self._exponent(weights.squares_of_activations, bold)
        penalty = weights.on_activations(templates, H)
        of_activations.multiply(H, Change(penalty, self._least(of_activations), exponent, 0.0), 1, pool)
        of_templates = self._entries.templates(H)
        linear, quadratic = weights.on_templates(templates, H)
        nothing = np.empty((0, len(linear)), np.float32)
        exponent = self._exponent(weights.squares_of_templates, bold)
        penalty = Penalty(linear, quadratic, nothing, nothing)
        moved = templates.W.copy()
        change = Change(penalty, self._least(of_templates), exponent, 1.0)
        objective = of_templates.multiply(moved, change, 1, pool, measure=measure)
        if measure:
            objective += of_activations.constant(H, of_templates) + weights.value(templates, H)
        if self._frozen.size:
            moved[:, self._frozen] = templates.W[:, self._frozen]
        return Columns(moved), objective

    def activate(self, templates: Columns, H: Matrix, penalty: Penalty, exponent: float, steps: int) -> float:
        """Update H in place so many times; return the objective without penalties that it then has."""
        update = self._update_given(templates, fixed=True)
        change = Change(penalty, self._least(update), exponent, 0.0)
        update.multiply(H, change, steps, self._pool)
        return update.multiply(H, change, 0, self._pool, measure=True) + update.constant(H)

    def _update_given(self, templates: Columns, *, fixed: bool) -> FactorUpdate:
        """Return the update of H, which is made once for the same templates."""
        if self._update is None or self._update[0] is not templates:
            self._update = templates, self._entries.activations(templates.W, fixed=fixed)
        return self._update[1]

    def _least(self, update: FactorUpdate) -> Matrix:
        """Return the size below which an entry of the factor does not count."""
        return least_entries(self._problem.divergence.floor, update.largest)

    def _exponent(self, squares: bool, bold: bool) -> float:
        return 1.0 if bold and not squares else self._problem.divergence.exponent_for(squares)


def run_portions(
    task: Callable[[Bounds], T_co], portions: Sequence[Bounds], pool: WorkerPool | None
) -> list[T_co]:
    """Call a task for each portion, on the threads of the pool; return the results in the portions' order."""
    return share_out(lambda number: task(portions[number]), len(portions), pool)
