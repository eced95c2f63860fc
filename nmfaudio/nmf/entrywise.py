"""Updates for a V of which not every entry counts alike: sparse matrices, and matrices with weights.

They make the same steps as the updates of a dense V, so that the same ways down use them. What differs is how
the sums over the entries of V are taken, which the `Entries` of a problem do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from nmfaudio.nmf.descend import make_templates
from nmfaudio.nmf.initialize import Matrix
from nmfaudio.nmf.layout import Penalty, Templates, largest_entries, least_entries
from nmfaudio.nmf.penalty import Penalties, Weights
from nmfaudio.nmf.problem import Problem
from nmfaudio.nmf.sparse_products import Products
from nmfaudio.nmf.threads import WorkerPool, share_out

Bounds = tuple[int, int]

T_co = TypeVar("T_co")

# Numerator and denominator of an update. The denominator may have one row for all rows of the factor.
Quotient = tuple[NDArray[Any], NDArray[Any]]


class Entries(Protocol):
    """The sums over the entries of V that the updates need.

    W has the shape (bins, components), and H the shape (frames, components).
    """

    @property
    def frame_portions(self) -> Sequence[Bounds]:
        """Portions of the frames that are worked on at a time."""

    def summary(self, W: Matrix, pool: WorkerPool | None) -> Any:
        """Return what the updates of H need of W as a whole."""

    def project(self, W: Matrix, summary: Any, H: Matrix, portion: Bounds) -> Quotient:
        """Return what the update of a portion of the frames of H needs.

        Not called where the summary is `Products`, which is all that is needed.
        """

    def measure(self, W: Matrix, summary: Any, H: Matrix, pool: WorkerPool | None) -> float:
        """Return the objective of all portions, after an update of H with the same summary."""

    def gather(
        self, W: Matrix, H: Matrix, pool: WorkerPool | None, measure: bool
    ) -> tuple[Quotient | Products, float]:
        """Return what the update of W, (bins, components), needs, and the objective.

        With `Products` the objective is 0: these know it after the update.
        """

    def constant(self, W: Matrix, summary: Any, H: Matrix) -> float:
        """Return the part of the objective that is not a sum over portions."""


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
        from nmfaudio.nmf import sparse_kernels  # loads numba

        self._problem, self._entries, self._pool = problem, entries, pool
        self._kernels = sparse_kernels
        self._free = ~frozen
        self._made: tuple[Templates, Matrix] | None = None
        self._summed: tuple[Templates, Matrix, Any] | None = None
        self._weights = Weights(penalties, problem, len(frozen))

    @property
    def may_be_bold(self) -> bool:
        """Whether the exponent 1, where it is not proven to descend, is worth a try."""
        return 0 <= self._problem.divergence.beta < 1

    def step(
        self, templates: Templates, H: Matrix, *, measure: bool = True, bold: bool = False
    ) -> tuple[Templates, float]:
        """Update H, (frames, components), in place, then the templates.

        Returns
        -------
        templates : Templates
            The new ones.
        objective : float
            At the new H and the templates that were given; 0 unless it is measured.
        """
        weights, entries = self._weights, self._entries
        W, least, summary = self._summary_of(templates, H.shape[1])
        penalty = weights.on_activations(templates, H)
        self._move(W, summary, H, penalty, least, self._exponent(weights.squares_of_activations, bold))
        needed, objective = entries.gather(W, H, self._pool, measure)
        linear, quadratic = (w.astype(np.float32) for w in weights.on_templates(templates, H))
        moved, settings = W.copy(), (self._least(H), self._exponent(weights.squares_of_templates, bold), 1.0)
        if isinstance(needed, Products):
            nothing = np.empty((0, len(linear)), np.float32)
            penalty = Penalty(linear, quadratic, nothing, nothing)
            needed.multiply(moved, penalty, *settings, 1, self._pool)
            objective = needed.minus_product(W) if measure else 0.0
        else:
            self._kernels.multiply_rows(moved, *needed, linear, quadratic, *settings)
        if measure:
            objective += entries.constant(W, summary, H) + weights.value(templates, H)
        moved[:, ~self._free] = W[:, ~self._free]
        following = make_templates(moved.T)
        self._made = following, moved
        return following, objective

    def activate(
        self, templates: Templates, H: Matrix, penalty: Penalty, exponent: float, steps: int
    ) -> float:
        """Update H in place so many times; return the objective without penalties that it then has."""
        W, least, summary = self._summary_of(templates, H.shape[1])
        self._move(W, summary, H, penalty, least, exponent, steps)
        objective = self._entries.measure(W, summary, H, self._pool)
        return objective + self._entries.constant(W, summary, H)

    def _summary_of(self, templates: Templates, rank: int) -> tuple[Matrix, Matrix, Any]:
        """Return W and what the updates of H need of it, which are made once for the same templates.

        The second is the size below which an activation does not count.
        """
        if self._made is None or self._made[0] is not templates:
            self._made = templates, np.ascontiguousarray(templates.T[:rank, : self._problem.bins].T)
        W = self._made[1]
        if self._summed is None or self._summed[0] is not templates:
            self._summed = templates, self._least(W), self._entries.summary(W, self._pool)
        return W, *self._summed[1:]

    def _move(
        self,
        W: Matrix,
        summary: Any,
        H: Matrix,
        penalty: Penalty,
        least: Matrix,
        exponent: float,
        steps: int = 1,
    ) -> None:
        """Update all activations so many times."""
        if isinstance(summary, Products):
            summary.multiply(H, penalty, least, exponent, 0.0, steps, self._pool)
            return

        def move(portion: Bounds) -> None:
            h, here = H[slice(*portion)], penalty.of_frames(*portion)
            settings = here.linear, here.quadratic, least, exponent, 0.0
            for _ in range(steps):
                above, below = self._entries.project(W, summary, H, portion)
                above, below = _sum(above, here.pull), _sum(below, here.entries)
                self._kernels.multiply_rows(h, above, below, *settings)

        self._run(move)

    def _least(self, other: Matrix) -> Matrix:
        """Return the size below which an entry of a factor does not count, given the other factor."""
        return least_entries(self._problem.divergence.floor, largest_entries(other))

    def _run(self, task: Callable[[Bounds], T_co]) -> list[T_co]:
        return run_portions(task, self._entries.frame_portions, self._pool)

    def _exponent(self, squares: bool, bold: bool) -> float:
        return 1.0 if bold and not squares else self._problem.divergence.exponent_for(squares)


def _sum(matrix: NDArray[Any], added: Matrix) -> NDArray[Any]:
    """Return the sum of a matrix and a part of a penalty, which has no rows where there is nothing to add."""
    return matrix + added if len(added) else matrix


def run_portions(
    task: Callable[[Bounds], T_co], portions: Sequence[Bounds], pool: WorkerPool | None
) -> list[T_co]:
    """Call a task for each portion, on the threads of the pool; return the results in the portions' order."""
    return share_out(lambda number: task(portions[number]), len(portions), pool)
