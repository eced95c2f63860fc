"""Convolutive factorization: templates that last several frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nmfaudio.errors import MatrixError, OptionError
from nmfaudio.nmf.allowed import checked_mask
from nmfaudio.nmf.descend import accelerated, plain
from nmfaudio.nmf.divergence import Divergence
from nmfaudio.nmf.factorization import MEASURE_EVERY, Callback, ConvergenceMonitor
from nmfaudio.nmf.initialize import Matrix, levels, mean_spectrum
from nmfaudio.nmf.lagged import LaggedUpdates
from nmfaudio.nmf.problem import Problem
from nmfaudio.nmf.threads import workers

Masks = tuple[ArrayLike | None, ArrayLike | None]


@dataclass(frozen=True)
class Convolution:
    """A convolutive factorization: V[:, n] ~ sum over components k and lags t of H[k, n - t] W[k, :, t].

    Attributes
    ----------
    W : ndarray, shape (components, bins, lags)
        Templates, each a short spectrogram that sums to one.
    H : ndarray, shape (components, frames)
        Activations; they carry the level.
    divergence : Divergence
    objective : ndarray, shape (measurements,)
        Divergence at each measurement, in units of V to the power beta. It never rises.
    measured_iterations : ndarray of int, shape (measurements,)
        Iterations at which it was measured.
    converged : bool
    seed : int

    Examples
    --------
    >>> V = np.zeros((2, 8))
    >>> V[0, [1, 5]] = V[1, [2, 6]] = 1
    >>> convolution = convolve(V, 1, 2, iterations=100)
    >>> convolution.model(0).round(2).tolist() == V.tolist()
    True
    """

    W: NDArray[Any]
    H: NDArray[Any]
    divergence: Divergence
    objective: NDArray[np.float64]
    measured_iterations: NDArray[np.intp]
    converged: bool
    seed: int

    def model(self, components: int | Sequence[int], start: int = 0, stop: int | None = None) -> NDArray[Any]:
        """Return the model of one component, or the sum over several, shape (bins, frames).

        Parameters
        ----------
        components : int or sequence of int
            Numbers of the components.
        start, stop : int
            First frame, and the frame after the last.
        """
        stop = self.H.shape[1] if stop is None else stop
        W = self.W[np.atleast_1d(components)]
        lags = 1 + int(np.flatnonzero(W.any(axis=(0, 1))).max(initial=0))  # templates may end early
        H = self.H[np.atleast_1d(components), max(0, start - lags + 1) : stop]
        past = np.pad(H, ((0, 0), (stop - start + lags - 1 - H.shape[1], 0)))
        beside = np.lib.stride_tricks.sliding_window_view(past, lags, axis=1)[:, :, ::-1]
        templates = W[:, :, :lags].transpose(0, 2, 1).reshape(len(W) * lags, -1)
        return np.asarray(beside.transpose(1, 0, 2).reshape(stop - start, -1) @ templates).T


def convolve(
    V: ArrayLike,
    rank: int,
    lags: int,
    *,
    divergence: Divergence | str | float = "kl",
    init: str | tuple[ArrayLike, ArrayLike] = "random",
    frozen: ArrayLike | None = None,
    allowed: Masks | None = None,
    solver: str = "accelerated",
    seed: int = 0,
    iterations: int = 200,
    tolerance: float = 1e-4,
    threads: int | None = None,
    callback: Callback | None = None,
) -> Convolution:
    """Factor V into `rank` templates of `lags` frames each, and their activations (NMFD).

    The updates are those of `factorize`, with sums over the lags. The model is linear in each factor, so
    descent is proven for the same exponents at any beta. Zeros in a start stay zeros.

    Parameters
    ----------
    V : array_like, shape (bins, frames)
        Not negative. float32 whose transpose is contiguous is used in place; all else is copied once.
    rank, lags : int
        Number of templates, and of frames in each.
    divergence, solver, seed, iterations, tolerance, threads, callback
        As for `factorize`.
    init : "random" or tuple of (W, H)
        Starting point: random, or W of shape (components, bins, lags), H of shape (components, frames).
    frozen : array_like, shape (templates, bins, lags), optional
        Templates that are kept unchanged, bit by bit; they are the first of the `rank` components.
    allowed : tuple of (mask of W, mask of H), optional
        Arrays of bool, shaped like W and H, or None where all is allowed: entries outside stay zero.

    Returns
    -------
    Convolution
        float64 where V is float64, else float32.

    Raises
    ------
    MatrixError
        If V, a start or frozen templates are negative, not finite, or of a wrong shape.
    OptionError
        If an option is outside its range.

    References
    ----------
    P. Smaragdis, "Non-negative matrix factor deconvolution; extraction of multiple sound sources from
    monophonic inputs", ICA 2004.

    Examples
    --------
    >>> V = np.random.default_rng(0).random((20, 60))
    >>> convolution = convolve(V, 3, 4, iterations=30)
    >>> convolution.W.shape, convolution.H.shape, bool(convolution.objective[-1] < convolution.objective[0])
    ((3, 20, 4), (3, 60), True)
    """
    problem = Problem.of(V, Divergence.of(divergence))
    for name, value in (("rank", rank), ("lags", lags), ("iterations", iterations)):
        if value < 1:
            raise OptionError(f"{name}={value}: it must be at least 1")
    if seed < 0:
        raise OptionError(f"seed={seed}: it must not be negative")
    if solver not in ("accelerated", "mu"):
        raise OptionError(f"solver={solver!r}: use 'accelerated' or 'mu'")
    W, H = _start(problem, rank, lags, init, seed)
    held = _held(frozen, W.shape)
    if allowed is not None:
        W, H = _masked(W, H, allowed)
    W[: len(held)] = held
    monitor = ConvergenceMonitor(problem, iterations, tolerance, callback)
    with workers(threads) as pool:
        places = _places(W)
        updates = LaggedUpdates(problem, places, np.arange(rank) < len(held), pool)
        columns, activations = _columns(W, places), np.ascontiguousarray(H.T, np.float32)
        if solver == "mu":
            columns = plain(updates, columns, activations, iterations, MEASURE_EVERY, monitor.done)
        else:
            columns = accelerated(updates, columns, activations, iterations, monitor.done)
    for (lag, component), column in zip(places, columns.T, strict=True):
        W[component, :, lag] = column
    return _result(problem, W, activations, held, monitor, seed)


def _start(
    problem: Problem, rank: int, lags: int, init: str | tuple[ArrayLike, ArrayLike], seed: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return W (components, bins, lags) and H (components, frames) in the problem's scale."""
    shapes = (rank, problem.bins, lags), (rank, len(problem.V))
    if isinstance(init, str):
        if init != "random":
            raise OptionError(f"init={init!r} is not known: use 'random', or arrays (W, H)")
        generator = np.random.default_rng(seed)
        W = mean_spectrum(problem.V)[:, None] * (0.1 + generator.random(shapes[0]))
        W /= np.maximum(W.sum(axis=(1, 2), keepdims=True), np.finfo(np.float64).tiny)
        level = levels(problem.V) * (problem.kernel_scale / rank)
        return W, level * (0.1 + generator.random(shapes[1]))
    W, H = (_checked(array, f"{n} of a start", s) for array, n, s in zip(init, "WH", shapes, strict=True))
    return W.copy(), H * problem.data_scale


def _checked(array: ArrayLike, name: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """Return an array of that shape, checked to be finite and non-negative."""
    given = np.asarray(array, np.float64)
    if given.shape != shape:
        raise MatrixError(f"{name} has shape {given.shape}: it must be {shape}")
    if given.size and not (given.min() >= 0 and given.max() < np.inf):
        raise MatrixError(f"{name} has entries that are negative or not finite")
    return given


def _held(frozen: ArrayLike | None, shape: tuple[int, ...]) -> NDArray[Any]:
    """Return the frozen templates, an empty array if there are none."""
    if frozen is None:
        return np.empty((0, *shape[1:]))
    given = np.asarray(frozen)
    if given.ndim != 3 or len(given) > shape[0]:
        raise MatrixError(
            f"frozen has shape {given.shape}: it must be (at most rank={shape[0]}, {shape[1]}, {shape[2]})"
        )
    return _checked(given, "frozen", (len(given), *shape[1:]))


def _masked(W: NDArray[Any], H: NDArray[Any], allowed: Masks) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return a start with zeros at masked entries."""
    if not isinstance(allowed, tuple) or len(allowed) != 2:
        raise OptionError("allowed must be a pair of masks (of W, of H), None where all is allowed")
    ours, theirs = allowed
    if ours is not None:
        W = np.where(checked_mask(ours, "allowed[0], the mask of W,", W.shape), W, 0)
    if theirs is not None:
        H = np.where(checked_mask(theirs, "allowed[1], the mask of H,", H.shape), H, 0)
    return W, H


def _places(W: NDArray[Any]) -> NDArray[np.intp]:
    """Return lag and component of each frame of the templates that is not zero, and of each first frame.

    Frames of zeros stay zeros, so no time is spent on them.
    """
    needed = np.asarray(W.any(axis=1)).T
    needed[0] = True
    return np.argwhere(needed)


def _columns(W: NDArray[Any], places: NDArray[np.intp]) -> Matrix:
    """Return the frames of templates, (components, bins, lags), that are at such places: (bins, places)."""
    return np.ascontiguousarray(W[places[:, 1], :, places[:, 0]].T, np.float32)


def _result(
    problem: Problem,
    W: NDArray[Any],
    H: Matrix,
    held: NDArray[Any],
    monitor: ConvergenceMonitor,
    seed: int,
) -> Convolution:
    """Scale free templates to unit sum and H to the data's level; templates of zeros become flat."""
    rank, lags = len(W), W.shape[2]
    total = W.sum(axis=(1, 2))
    divisor = np.where(np.arange(rank) < len(held), 1.0, total)
    flat = np.full_like(W, 1 / (problem.bins * lags))
    unit = np.divide(W, divisor[:, None, None], out=flat, where=divisor[:, None, None] > 0)
    unit[: len(held)] = held
    level = (H * (divisor / problem.data_scale)).T
    unscaled = monitor.result(unit.astype(problem.dtype), np.ascontiguousarray(level, problem.dtype), seed)
    return Convolution(
        unscaled.W,
        unscaled.H,
        unscaled.divergence,
        unscaled.objective,
        unscaled.measured_iterations,
        unscaled.converged,
        seed,
    )
