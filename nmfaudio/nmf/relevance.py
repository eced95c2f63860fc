"""Automatic relevance determination: start from too many components, let the data switch off the rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nmfaudio.errors import OptionError
from nmfaudio.nmf.divergence import Divergence
from nmfaudio.nmf.factorization import Factorization
from nmfaudio.nmf.prior import Prior, estimated_dispersion
from nmfaudio.nmf.problem import checked_matrix
from nmfaudio.nmf.solve import factorize

KEPT = 2.0  # times its lower bound: above it, the data say more of a component's scale than the prior does

_START_ITERATIONS = 5  # a start that fits well already holds copies, which are slow to part
_FIT_ITERATIONS = 100  # of the fit that tells the dispersion
_TRIAL_SWEEPS = 5
_FINAL_ITERATIONS = 50

Callback = Callable[[int, float], object]


@dataclass(frozen=True)
class Relevance:
    """How relevant each of many components turned out to be.

    Attributes
    ----------
    weights : ndarray, shape (components,)
        The relevance weights lambda of all components, largest first, relative to their lower bound: 1 is a
        component that was switched off.
    path : ndarray, shape (sweeps, components)
        The weights after each sweep, and after each component that was left out in the end, in that order.
    objective : ndarray, shape (sweeps,)
        The paper's objective, that of `Prior`, at the same points. Never rises.
    dispersion : float
        Dispersion of the data around the model, in units of V to the power beta.
    factorization : Factorization
        The components that were kept, in the same order, refined without penalties.
    converged : bool
        Whether the weights came to rest before the sweeps ran out.

    Examples
    --------
    >>> generator = np.random.default_rng(0)
    >>> V = generator.poisson(generator.exponential(2, (40, 2)) @ generator.exponential(2, (2, 90)))
    >>> relevant_rank(V, 6)
    Relevance(2 of 6 components kept, ...)
    """

    weights: NDArray[np.float64]
    path: NDArray[np.float64]
    objective: NDArray[np.float64]
    dispersion: float
    factorization: Factorization
    converged: bool

    @property
    def rank(self) -> int:
        """Number of components that were kept, at least one."""
        return _count(self.weights)

    @property
    def most(self) -> int:
        """Number of components that it began with."""
        return len(self.weights)

    def __repr__(self) -> str:
        return (
            f"Relevance({self.rank} of {self.most} components kept, "
            f"beta {self.factorization.divergence.beta:g}, dispersion {self.dispersion:.3g}, "
            f"{len(self.objective)} sweeps)"
        )


def relevant_rank(
    V: ArrayLike,
    most: int,
    *,
    divergence: Divergence | str | float = "kl",
    dispersion: float | None = None,
    shape: float = 10.0,
    norm: int = 1,
    seed: int = 0,
    sweeps: int = 200,
    iterations: int = 5,
    tolerance: float = 1e-5,
    threads: int | None = None,
    callback: Callback | None = None,
) -> Relevance:
    """Find how many of `most` components the data need.

    Each component's template and activation share a scale lambda, which has an inverse-gamma prior. Updates
    of the factors under the penalties that the scales imply take turns with the scales' closed form. A
    component that explains less than its parameters cost shrinks until its scale stands at a lower bound.
    In the end each component that is left is tried without, and stays out where that lowers the objective:
    copies of one component part too slowly else.

    Parameters
    ----------
    V : array_like, shape (bins, frames)
        Not negative.
    most : int
        Components to begin with: more than are expected.
    divergence : str, float or Divergence
        As for `factorize`.
    dispersion : float, optional
        Variance of V around the model divided by the model to the power 2 - beta: for beta 2 the variance of
        the noise, for 1 one if V are counts, for 0 one if V are powers of Gaussian noise. Larger for data
        whose neighbours tell the same twice. Default: estimated from the fit of all components.
    shape : float
        Shape parameter of the prior of the scales, above 2; a in the paper. Its b follows from the mean of V.
    norm : {1, 2}
        1: exponential priors (sparse factors); 2: half-normal ones.
    seed : int
        Seed of the random start.
    sweeps : int
        Updates of the scales, at most.
    iterations : int
        Updates of the factors between them.
    tolerance : float
        Stop when no scale changed by more than this part.
    threads : int, optional
        As for `factorize`.
    callback : callable, optional
        Called with (sweep, objective); stops the work by answering True.

    Returns
    -------
    Relevance

    Raises
    ------
    MatrixError
        For a V that cannot be factored.
    OptionError
        For an option outside its range.

    References
    ----------
    V. Y. F. Tan and C. Fevotte, "Automatic relevance determination in nonnegative matrix factorization with
    the beta-divergence", IEEE TPAMI 35(7), 2013.

    Examples
    --------
    >>> generator = np.random.default_rng(1)
    >>> V = generator.exponential(1, (40, 3)) @ generator.exponential(1, (3, 90))
    >>> relevant_rank(V * generator.gamma(9, 1 / 9, V.shape), 8, divergence="is").weights.round(2)[3:]
    array([1., 1., 1., 1., 1.])
    """
    _check(most=most, dispersion=dispersion, shape=shape, norm=norm, sweeps=sweeps, iterations=iterations)
    matrix = checked_matrix(V, "V", "(bins, frames)")
    solve = partial(factorize, matrix, divergence=divergence, threads=threads)
    # Noise favours no component, where least squares would: all begin alike.
    noise = partial(solve, most, init="random", seed=seed)
    if dispersion is None:
        dispersion = estimated_dispersion(matrix, noise(iterations=_FIT_ITERATIONS))
    prior = Prior.of(matrix, most, shape=shape, norm=norm)
    # Plain updates: extrapolation has no time to build up between two changes of the penalties.
    step = partial(solve, most, iterations=iterations, tolerance=0, solver="mu")
    start = noise(iterations=_START_ITERATIONS)
    search = _Search(step, prior, dispersion, callback)
    state, converged = search.run(start, sweeps, tolerance)
    path = np.array(search.path)
    order = np.argsort(-path[-1], kind="stable")
    kept = order[: _count(path[-1])]
    refined = solve(len(kept), init=(state.W[:, kept], state.H[kept]), iterations=_FINAL_ITERATIONS)
    return Relevance(
        path[-1, order],
        path[:, order],
        np.array(search.objective),
        dispersion,
        replace(refined, seed=seed),
        converged,
    )


@dataclass(frozen=True)
class _State:
    """Factors, their scales and the objective."""

    W: NDArray[Any]
    H: NDArray[Any]
    scales: NDArray[np.float64]
    objective: float = np.inf


@dataclass
class _Search:
    """Updates factors and scales in turn, and remembers."""

    step: Callable[..., Factorization]
    prior: Prior
    dispersion: float
    callback: Callback | None
    objective: list[float] = field(default_factory=list)
    path: list[NDArray[np.float64]] = field(default_factory=list)

    def run(self, start: Factorization, sweeps: int, tolerance: float) -> tuple[_State, bool]:
        """Sweep until the scales rest, then try what no sweep does; say whether they came to rest."""
        state = self._scaled(start.W, start.H)
        for _ in range(sweeps):
            before, state = state, self._swept(state)
            converged = bool(np.all(np.abs(state.scales - before.scales) <= tolerance * state.scales))
            if self._noted(state):
                return state, converged
            if converged:
                break
        for k in np.argsort(state.scales):
            if state.scales[k] > KEPT * self.prior.bound:
                without = self._without(state, int(k))
                if without.objective < state.objective:
                    state = without
                    if self._noted(state):
                        break
        return state, converged

    def _scaled(self, W: NDArray[Any], H: NDArray[Any]) -> _State:
        W, H = self.prior.balanced(W, H)
        return _State(W, H, self.prior.scales(self.prior.sizes(W, H)))

    def _swept(self, state: _State) -> _State:
        penalties = self.prior.penalties(state.scales, self.dispersion)
        found = self.step(init=(state.W, state.H), penalties=penalties)
        penalised = self.prior.sizes(found.W, found.H).sum(axis=0) / state.scales
        fit = float(found.objective[-1]) / self.dispersion - float(penalised.sum())
        new = self._scaled(found.W, found.H)
        return replace(new, objective=fit + self.prior.cost(self.prior.sizes(new.W, new.H), new.scales))

    def _without(self, state: _State, k: int) -> _State:
        """Return the state after some sweeps without component k.

        No step of the paper's, whose updates take thousands of sweeps to tell a component from its copy.
        """
        W, H = state.W.copy(), state.H.copy()
        W[:, k], H[k] = 0, 0
        state = self._scaled(W, H)
        for _ in range(_TRIAL_SWEEPS):
            state = self._swept(state)
        return state

    def _noted(self, state: _State) -> bool:
        """Keep a state's figures; say whether the callback wants to stop."""
        self.objective.append(state.objective)
        self.path.append(state.scales / self.prior.bound)
        return bool(self.callback(len(self.objective), state.objective)) if self.callback else False


def _count(weights: NDArray[np.float64]) -> int:
    """Return the number of components that are kept: at least one, even where the data are silent."""
    return max(1, int(np.count_nonzero(weights > KEPT)))


def _check(**options: float | None) -> None:
    least = {"shape": 2.0, "dispersion": 0.0}
    for name, value in options.items():
        if name in least:
            if value is not None and not least[name] < value < np.inf:
                raise OptionError(f"{name}={value}: it must be above {least[name]:g}")
        elif value is not None and value < 1:
            raise OptionError(f"{name}={value}: it must be at least 1")
    if options["norm"] not in (1, 2):
        raise OptionError(f"norm={options['norm']}: it must be 1 or 2")
