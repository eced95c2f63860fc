"""Updates for a V of which not every entry counts alike: sparse matrices, and matrices with weights.

They make the same steps as the updates of a dense V, so that the same ways down use them. What differs is how
the sums over the entries of V are taken, which the `Entries` of a problem do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from nmfaudio.nmf.descend import make_templates
from nmfaudio.nmf.initialize import Matrix
from nmfaudio.nmf.kernels import Penalty, Templates
from nmfaudio.nmf.penalty import Penalties, Weights
from nmfaudio.nmf.problem import Problem

Bounds = tuple[int, int]

_NEGLIGIBLE: Final = 1e-7  # part of the model's floor, below which an entry of the model does not count
T_co = TypeVar("T_co")


class Entries(Protocol):
    """The sums over the entries of V that the updates need.

    W has the shape (bins, components), and H the shape (frames, components).
    """

    frame_portions: Sequence[Bounds]

    def summary(self, factor: Matrix) -> NDArray[Any]:
        """Return what the sums for one factor need of the other one as a whole."""

    def project(
        self, W: Matrix, summary: NDArray[Any], H: Matrix, portion: Bounds, measure: bool
    ) -> tuple[NDArray[Any], NDArray[Any], float]:
        """Return numerator, denominator and objective of a portion of the frames, for the update of H.

        `summary` is that of W.
        """

    def gather(
        self, W: Matrix, H: Matrix, pool: ThreadPoolExecutor | None, measure: bool
    ) -> tuple[NDArray[Any], NDArray[Any], float]:
        """Return numerator, denominator and objective for the update of W, (bins, components)."""

    def constant(self, W: Matrix, H: Matrix) -> float:
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
    pool : ThreadPoolExecutor or None
    """

    def __init__(
        self,
        problem: Problem,
        entries: Entries,
        frozen: NDArray[np.bool_],
        penalties: Penalties,
        pool: ThreadPoolExecutor | None,
    ) -> None:
        self._problem, self._entries, self._pool = problem, entries, pool
        self._free = ~frozen
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
        T = templates.T[: H.shape[1], : self._problem.bins]
        W = np.ascontiguousarray(T.T)
        penalty = weights.on_activations(templates, H)
        self._move(W, H, penalty, self._exponent(weights.squares_of_activations, bold))
        above, below, objective = entries.gather(W, H, self._pool, measure)
        if measure:
            objective += entries.constant(W, H) + weights.value(templates, H)
        linear, quadratic = (w.astype(np.float32) for w in weights.on_templates(templates, H))
        ratio = _ratio(above, below + linear + quadratic * W, 1.0)
        moved = W * _raised(ratio, self._exponent(weights.squares_of_templates, bold))
        self._drop_negligible(moved, H)
        return make_templates(np.where(self._free, moved, W).T), objective

    def activate(
        self, templates: Templates, H: Matrix, penalty: Penalty, exponent: float, steps: int
    ) -> float:
        """Update H in place so many times; return the objective without penalties that it then has."""
        W = np.ascontiguousarray(templates.T[: H.shape[1], : self._problem.bins].T)
        for _ in range(steps):
            self._move(W, H, penalty, exponent)
        summary = self._entries.summary(W)
        parts = self._run(lambda portion: self._entries.project(W, summary, H, portion, True)[2])
        return sum(parts) + self._entries.constant(W, H)

    def _move(self, W: Matrix, H: Matrix, penalty: Penalty, exponent: float) -> None:
        """Update all activations once."""
        summary = self._entries.summary(W)

        def move(portion: Bounds) -> None:
            h, here = H[slice(*portion)], penalty.of_frames(*portion)
            above, below, _ = self._entries.project(W, summary, H, portion, False)
            below = below + here.linear + here.quadratic * h
            if len(here.entries):
                below = below + here.entries
            if len(here.pull):
                above = above + here.pull
            h *= _raised(_ratio(above, below, 0.0), exponent)
            self._drop_negligible(h, W)

        self._run(move)

    def _drop_negligible(self, factor: Matrix, other: Matrix) -> None:
        """Set entries to zero that change no entry of the model beyond rounding, whatever the other factor.

        Entries that shrink on and on would become subnormal numbers, with which updates take ten times as
        long.
        """
        least = np.float32(_NEGLIGIBLE * self._problem.divergence.floor)
        factor[factor * other.max(axis=0) < least] = 0

    def _run(self, task: Callable[[Bounds], T_co]) -> list[T_co]:
        return run_portions(task, self._entries.frame_portions, self._pool)

    def _exponent(self, squares: bool, bold: bool) -> float:
        return 1.0 if bold and not squares else self._problem.divergence.exponent_for(squares)


def run_portions(
    task: Callable[[Bounds], T_co], portions: Sequence[Bounds], pool: ThreadPoolExecutor | None
) -> list[T_co]:
    """Call a task for each portion, on the threads of the pool; return the results in the portions' order."""
    if pool is None:
        return [task(portion) for portion in portions]
    futures = [pool.submit(task, portion) for portion in portions]
    try:
        return [future.result() for future in futures]
    except BaseException:
        for future in futures:
            future.cancel()
        raise


def _ratio(above: NDArray[Any], below: NDArray[Any], otherwise: float) -> NDArray[Any]:
    """Return a quotient, and another number where the denominator is zero."""
    return np.divide(above, below, out=np.full_like(above, otherwise), where=below > 0)


def _raised(ratio: NDArray[Any], exponent: float) -> NDArray[Any]:
    return ratio if exponent == 1 else np.power(ratio, np.float32(exponent), out=ratio)
