"""What a factorization is, and how its objective is watched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmfaudio.nmf.divergence import Divergence
from nmfaudio.nmf.problem import Problem

MEASURE_EVERY = 10  # iterations; each measurement of the objective costs a quarter of an iteration

# Called with the iteration and the objective; stops the work by answering True.
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
    objective : ndarray, shape (measurements,)
        The divergence of V from W H, in units of V to the power beta, each time it was measured. Never rises.
    measured_iterations : ndarray of int, shape (measurements,)
        The iterations at which it was measured; the last is the number of iterations made.
    converged : bool
        Whether the tolerance was met before the iterations ran out.
    seed : int
        The seed of the start that was kept.

    Examples
    --------
    >>> from nmfaudio import factorize
    >>> factorize(np.eye(3), 2, iterations=20, tolerance=0, solver="mu")
    Factorization(3 bins x 3 frames, rank 2, beta 1, 20 iterations, objective 1.386)
    """

    W: NDArray[Any]
    H: NDArray[Any]
    divergence: Divergence
    objective: NDArray[np.float64]
    measured_iterations: NDArray[np.intp]
    converged: bool
    seed: int

    @property
    def rank(self) -> int:
        """Number of components."""
        return int(self.W.shape[1])

    @property
    def iterations(self) -> int:
        """Number of iterations made."""
        return int(self.measured_iterations[-1])

    def _repr_html_(self) -> str:
        from nmfaudio.plots.figures import as_html
        from nmfaudio.plots.notebook import plot_factors

        return as_html(repr(self), plot_factors(self.W, self.H))

    def __repr__(self) -> str:
        bins, frames = self.W.shape[0], self.H.shape[1]
        return (
            f"Factorization({bins} bins x {frames} frames, rank {self.rank}, beta {self.divergence.beta:g}, "
            f"{self.iterations} iterations, objective {self.objective[-1]:.4g})"
        )


class ConvergenceMonitor:
    """Records the objective during the iterations and decides when to stop."""

    def __init__(
        self, problem: Problem, iterations: int, tolerance: float, callback: Callback | None
    ) -> None:
        self._problem, self._last = problem, iterations
        self._tolerance, self._callback = tolerance, callback
        self._curve: list[tuple[int, float]] = []
        self._converged = False

    def measured_iterations(self) -> list[int]:
        """Return the iterations after which to measure the objective: the first, each tenth, the last."""
        return sorted({1, *range(MEASURE_EVERY, self._last + 1, MEASURE_EVERY), self._last})

    def done(self, iteration: int, scaled: float) -> bool:
        """Record the objective of an iteration and return whether to stop."""
        objective = self._problem.objective(scaled)
        self._curve.append((iteration, objective))
        stopped = bool(self._callback(iteration, objective)) if self._callback else False
        fall = self._fall(iteration, objective)
        self._converged = self._tolerance > 0 and fall < self._tolerance * self._curve[0][1]
        return stopped or self._converged or iteration == self._last

    def _fall(self, iteration: int, objective: float) -> float:
        """Return the fall of the objective over the last ten iterations; infinity before the tenth."""
        before = [value for then, value in self._curve if then <= iteration - MEASURE_EVERY]
        return before[-1] - objective if before else np.inf

    def result(self, W: NDArray[Any], H: NDArray[Any], seed: int) -> Factorization:
        """Return the factors with the recorded objectives."""
        numbers, values = zip(*self._curve, strict=True)
        curve, at = np.array(values), np.array(numbers, dtype=np.intp)
        return Factorization(W, H, self._problem.divergence, curve, at, self._converged, seed)
