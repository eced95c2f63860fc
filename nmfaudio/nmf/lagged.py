"""The updates of convolutive factorization: sums over frames and lags."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from nmfaudio.nmf.descend import make_sums, updated
from nmfaudio.nmf.initialize import Matrix
from nmfaudio.nmf.layout import Templates
from nmfaudio.nmf.problem import Problem
from nmfaudio.nmf.threads import WorkerPool


class LaggedUpdates:
    """Updates of the activations, in place, and of the templates, into a new array; a `descend.Steps`.

    Each row of T is a frame of a template; frames that would stay zero are left out. Sums over the frames of
    V are kept for each portion and added in a fixed order, so that the number of threads changes no bit.

    Parameters
    ----------
    problem : Problem
    places : ndarray of int, shape (rows, 2)
        Lag and component of each row of T.
    frozen : ndarray of bool, shape (components,)
        Components whose templates are not updated.
    pool : WorkerPool or None
    """

    def __init__(
        self,
        problem: Problem,
        places: NDArray[np.intp],
        frozen: NDArray[np.bool_],
        pool: WorkerPool | None,
    ) -> None:
        self._problem, self._places, self._reach = problem, places, int(places[:, 0].max())
        self._free = ~frozen[places[:, 1]]
        self._partition = problem.partition(len(places), pool)
        self._sums = make_sums(problem, len(places), len(self._partition.bounds))

    @property
    def may_be_bold(self) -> bool:
        """False: only steps for which descent is proven are made."""
        return False

    def templates(self, W: Matrix) -> Templates:
        """Return W, (bins, rows), in the kernels' layout."""
        return Templates.of(W.T)

    def step(
        self, templates: Templates, H: Matrix, *, measure: bool = True, bold: bool = False
    ) -> tuple[Templates, float]:
        """Update H, (frames, components), in place, then the templates.

        Returns
        -------
        templates : Templates
            The updated templates.
        objective : float
            Objective at the new H and the given templates; 0 unless it is measured.
        """
        from nmfaudio.nmf import template_kernels  # here, because numba takes a while to load

        divergence = self._problem.divergence
        beta, exponent, floor = divergence.beta, divergence.exponent, divergence.floor
        ready = template_kernels.packed(templates, products=beta == 2, floor=floor)
        self._step_activations(ready, H, exponent)
        if not measure and not self._free.any():
            return templates, 0.0
        objective = self._partition.run(self._template_task(ready, self._past(H), measure))
        rows = len(self._places)
        self._sums[2][0, 0, :rows] = H.max(axis=0)[self._places[:, 1]]
        nothing = np.zeros(rows, np.float32)
        return updated(ready, self._sums, self._free, self._problem, exponent, (nothing, nothing)), objective

    def _past(self, H: Matrix) -> Matrix:
        """Return H with as many silent frames before it as the lags reach."""
        return np.vstack([np.zeros((self._reach, H.shape[1]), np.float32), H])

    def _step_activations(self, templates: Templates, H: Matrix, exponent: float) -> None:
        bounds, past = self._partition.bounds, self._past(H)
        sums = [np.zeros((2, stop - start + self._reach, H.shape[1]), np.float32) for start, stop in bounds]
        self._partition.run(self._activation_task(templates, past, sums))
        total = np.zeros((2, *past.shape), np.float32)
        for (start, stop), part in zip(bounds, sums, strict=True):
            total[:, start : stop + self._reach] += part
        gain, weight = total[:, self._reach :]
        ratio = np.divide(gain, weight, out=np.zeros_like(H), where=weight > 0)
        H *= ratio if exponent == 1 else ratio ** np.float32(exponent)
        least = np.full(H.shape[1], np.inf, np.float32)
        np.minimum.at(least, self._places[:, 1], templates.least[: len(self._places)])
        np.copyto(H, 0, where=np.less(H, least))

    def _activation_task(
        self, templates: Templates, past: Matrix, sums: list[Matrix]
    ) -> Callable[[int, int, int], float]:
        """Sum over the bins and lags that each activation reaches."""
        from nmfaudio.nmf import lagged_kernels

        V, terms = self._problem.V, self._problem.terms

        def task(portion: int, start: int, stop: int) -> float:
            offset, end = self._partition.bounds[portion][0], stop + self._reach
            above, below = sums[portion][:, start - offset : end - offset]
            v, h = V[start:stop], past[start:end]
            lagged_kernels.gather_activations(v, terms, templates, self._places, h, above, below)
            return 0.0

        return task

    def _template_task(
        self, templates: Templates, past: Matrix, measure: bool
    ) -> Callable[[int, int, int], float]:
        """Sum over the frames of a portion what the templates' update needs."""
        from nmfaudio.nmf import lagged_kernels

        V, terms = self._problem.V, self._problem.terms

        def task(portion: int, start: int, stop: int) -> float:
            parts = self._sums[0][portion], self._sums[1][portion]
            v, h = V[start:stop], past[start : stop + self._reach]
            return float(
                lagged_kernels.gather_templates(v, terms, templates, self._places, h, parts, measure)
            )

        return task
