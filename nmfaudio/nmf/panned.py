"""Factorization of two channels together, where the panning angle of each source is known."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nmfaudio.errors import MatrixError, OptionError
from nmfaudio.nmf.factorization import Factorization
from nmfaudio.nmf.frame_partition import FramePartition
from nmfaudio.nmf.solve import factorize
from nmfaudio.nmf.threads import workers

# Noise that the model expects everywhere, relative to each bin's mean power: much at first, which keeps early
# mistakes from freezing, and hardly any in the end, when the sources must explain all.
FIRST_NOISE, LAST_NOISE = 1e-2, 1e-6

_START_ITERATIONS = 20
_OPERATIONS = 40.0  # of one bin, source, and template or other source, roughly
_NEAR = 1e-4  # of a point's power: what misses a source's angle by less belongs to it
_TINY = 1e-30

Step = Callable[[int, int], object]
Complex = NDArray[Any]
Angles = NDArray[np.float64]
Factor = NDArray[np.float32]


@dataclass(frozen=True)
class PannedTemplates:
    """Templates of sources that stand at known angles in two channels.

    Attributes
    ----------
    W : ndarray of float32, shape (sources, rank, bins)
        Templates of powers, relative to `scale`; each sums to one.
    angles : ndarray, shape (sources,)
        Angles of the sources in radians: 0 left, pi/4 middle, pi/2 right.
    scale : ndarray, shape (bins,)
        Mean power of the mixture in each bin.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> left, right = rng.standard_normal((2, 9, 40))
    >>> templates = learn_panned(np.stack([left, right]), np.deg2rad([0, 90]), rank=2, iterations=5)
    >>> templates.W.shape
    (2, 2, 9)
    """

    W: Factor
    angles: Angles
    scale: NDArray[np.float64]

    def powers(self, mixture: Complex, *, iterations: int = 20, threads: int | None = None) -> Factor:
        """Find each source's power in any frames, each by itself, with the templates as they are.

        Parameters
        ----------
        mixture : ndarray of complex, shape (2, bins, frames)
        iterations : int
            Updates of the activations.
        threads : int, optional
            Default: one for each usable core.

        Returns
        -------
        ndarray of float32, shape (sources, bins, frames)
            A view: in memory, frame follows frame.
        """
        H = self.activations(mixture, iterations=iterations, threads=threads)
        return (H @ (self.W * self.scale.astype(np.float32))).swapaxes(1, 2)

    def activations(self, mixture: Complex, *, iterations: int = 20, threads: int | None = None) -> Factor:
        """Find the activations of the templates in any frames.

        Parameters
        ----------
        mixture, iterations, threads
            The same as for `powers`.

        Returns
        -------
        ndarray of float32, shape (sources, frames, rank)
        """
        mixture, scale = mixture.astype(np.complex64), self.scale.astype(np.float32)
        shares = (angle_masked(mixture, self.angles) / scale[:, None]).swapaxes(1, 2)
        H: Factor = np.ascontiguousarray(shares, np.float32) @ self.W.swapaxes(1, 2) + np.float32(_TINY)
        with workers(threads) as pool:
            descent = _Descent(mixture, self, H, pool)
            for noise in _noises(iterations):
                descent.step(noise, learn=False)
        return H


def learn_panned(
    mixture: Complex,
    angles: ArrayLike,
    *,
    rank: int = 16,
    iterations: int = 60,
    seed: int = 0,
    threads: int | None = None,
    callback: Step | None = None,
) -> PannedTemplates:
    """Learn templates of each source from a two-channel mixture and the angles at which sources stand.

    The covariance of the channels in each point is that of the sources, ``sum_j v_j a_j a_j'`` with
    ``a_j = (cos, sin)`` of its angle and ``v_j = W_j H_j``, plus noise that falls from update to update. The
    log-determinant divergence is lowered by multiplicative updates of W and H in turn. They start from
    factorizations of the magnitudes that angle masks give each source, with the Kullback-Leibler divergence;
    starts from powers, with the Itakura-Saito divergence, lead to worse minima.

    Parameters
    ----------
    mixture : ndarray of complex, shape (2, bins, frames)
    angles : array_like, shape (sources,)
        Angles of the sources in radians, in any half circle.
    rank : int
        Templates of each source.
    iterations : int
    seed : int
        Seed of the random starts.
    threads : int, optional
        Number of threads; default: one for each usable core. It changes no bit of the result.
    callback : callable, optional
        Function called with (iteration, iterations); an exception stops the work.

    Returns
    -------
    PannedTemplates

    Raises
    ------
    MatrixError
        For a mixture that has not two channels, is empty, or is not finite.
    OptionError
        For fewer than two angles or another option outside its range.

    References
    ----------
    A. Ozerov and C. Fevotte, "Multichannel nonnegative matrix factorization in convolutive mixtures for
    audio source separation", IEEE TASLP 18(3), 2010 (the model, the annealed noise). H. Sawada, H. Kameoka,
    S. Araki and N. Ueda, "Multichannel extensions of non-negative matrix factorization with complex-valued
    data", IEEE TASLP 21(5), 2013 (updates that never raise the divergence).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> low = np.r_[np.ones(4), np.zeros(5)][:, None] * rng.standard_normal((9, 40))
    >>> high = low[::-1] * rng.standard_normal(40)
    >>> templates = learn_panned(np.stack([low + high, high - low]), np.deg2rad([-45, 45]), rank=1)
    >>> templates.W[:, 0, [0, -1]].round(1)
    array([[0.2, 0. ],
           [0. , 0.2]], dtype=float32)
    """
    directions = _checked(mixture, angles, rank, iterations)
    power = (np.abs(mixture) ** 2).sum(axis=0).mean(axis=1)
    scale = np.maximum(power, 1e-12 * power.max() or 1.0)
    magnitudes = np.sqrt(angle_masked(mixture, directions) / scale[:, None])
    find = partial(factorize, rank=rank, iterations=_START_ITERATIONS, threads=threads)
    W, H = _squared([find(v, seed=seed + j) for j, v in enumerate(magnitudes)])
    with workers(threads) as pool:
        descent = _Descent(mixture, PannedTemplates(W, directions, scale), H, pool)
        for number, noise in enumerate(_noises(iterations)):
            descent.step(noise, learn=True)
            if callback:
                callback(number + 1, iterations)
    return descent.templates


def angle_masked(mixture: Complex, angles: Angles) -> NDArray[np.floating]:
    """Divide the power of each point among the sources: the nearer its angle, the larger the share.

    Parameters
    ----------
    mixture : ndarray of complex, shape (2, bins, frames)
    angles : ndarray, shape (sources,)
        Angles of the sources in radians.

    Returns
    -------
    ndarray, shape (sources, bins, frames)

    Examples
    --------
    >>> x = np.array([1.0, 1.0]).reshape(2, 1, 1)
    >>> angle_masked(x, np.deg2rad([45, 90])).ravel().round(2)
    array([2., 0.])
    """
    left, right = mixture.real**2 + mixture.imag**2
    across = mixture[0].real * mixture[1].real + mixture[0].imag * mixture[1].imag
    total, tiny = left + right, np.finfo(left.dtype).tiny
    near = np.empty((len(angles), *total.shape), total.dtype)
    for j, (c, s) in enumerate(zip(np.cos(angles).tolist(), np.sin(angles).tolist(), strict=True)):
        missed = s * s * left - 2 * c * s * across + c * c * right
        near[j] = (total / np.maximum(missed, _NEAR * total + tiny)) ** 2
    whole = near.sum(axis=0)
    equal = np.full_like(near, 1 / len(near))
    return np.asarray(total * np.divide(near, whole, out=equal, where=whole > 0))


class _Descent:
    """The mixture in the kernels' layout, and the current factors."""

    def __init__(self, mixture: Complex, templates: PannedTemplates, H: Factor, pool: Any) -> None:
        self._W, self._H, self._angles, self._scale = templates.W, H, templates.angles, templates.scale
        self._projections = _projected(mixture, templates)
        self._sines = np.sin(np.subtract.outer(self._angles, self._angles)).astype(np.float32)
        sources, rank, bins = self._W.shape
        self._partition = FramePartition(H.shape[1], _OPERATIONS * sources * (rank + sources) * bins, pool)
        self._sums = np.zeros((2, len(self._partition.bounds), *self._W.shape), np.float32)

    @property
    def templates(self) -> PannedTemplates:
        return PannedTemplates(self._W, self._angles, self._scale)

    def step(self, noise: float, *, learn: bool) -> None:
        """Update the activations and, where wanted, the templates."""
        from nmfaudio.nmf import panned_kernels  # here, because numba takes a while to load

        self._sums[:] = 0
        above, below = self._sums

        def task(portion: int, start: int, stop: int) -> float:
            panned_kernels.step(
                *self._projections,
                self._sines,
                noise,
                self._W,
                self._H,
                above[portion],
                below[portion],
                start,
                stop,
                learn,
            )
            return 0.0

        self._partition.run(task)
        if learn:
            self._learn(above.sum(axis=0), below.sum(axis=0))

    def _learn(self, above: Factor, below: Factor) -> None:
        """Update the templates and divide each by its sum; the activations are multiplied by it."""
        W = self._W * np.sqrt(np.divide(above, below, out=np.ones_like(above), where=below > 0))
        total = W.sum(axis=2)
        self._W = W / np.maximum(total, np.float32(_TINY))[:, :, None]
        self._H *= total[:, None, :]


def _squared(factorizations: list[Factorization]) -> tuple[Factor, Factor]:
    """Return factors of powers from those of magnitudes."""
    W = np.stack([one.W.T for one in factorizations]) ** 2
    total = W.sum(axis=2)
    H = np.stack([one.H.T for one in factorizations]) ** 2 * total[:, None, :]
    W = W / np.maximum(total, _TINY)[:, :, None]
    return np.ascontiguousarray(W, np.float32), np.ascontiguousarray(H, np.float32)


def _projected(mixture: Complex, templates: PannedTemplates) -> tuple[Factor, Factor]:
    """Project the channels along each source and across it, each (sources, 2, frames, bins)."""
    left, right = mixture.astype(np.complex64).swapaxes(1, 2) / np.sqrt(templates.scale).astype(np.float32)
    shape = (len(templates.angles), 2, *left.shape)
    along, across = np.empty(shape, np.float32), np.empty(shape, np.float32)
    for j, angle in enumerate(templates.angles.tolist()):
        c, s = math.cos(angle), math.sin(angle)
        for target, projection in ((along, c * left + s * right), (across, c * right - s * left)):
            target[j] = projection.real, projection.imag
    return along, across


def _noises(iterations: int) -> list[float]:
    return [float(noise) for noise in np.geomspace(FIRST_NOISE, LAST_NOISE, iterations)]


def _checked(mixture: Complex, angles: ArrayLike, rank: int, iterations: int) -> Angles:
    """Check the arguments; return the angles as an array."""
    directions = np.asarray(angles, np.float64)
    if mixture.ndim != 3 or len(mixture) != 2 or mixture.size == 0:
        raise MatrixError(f"a mixture of shape {mixture.shape}: pass (2, bins, frames)")
    if not np.isfinite(mixture).all():
        raise MatrixError("the mixture holds NaN or infinity: pass finite numbers")
    if directions.ndim != 1 or len(directions) < 2 or not np.isfinite(directions).all():
        raise OptionError(f"angles {directions}: pass one for each of two sources or more, in radians")
    for name, value in (("rank", rank), ("iterations", iterations)):
        if value < 1:
            raise OptionError(f"{name}={value}: it must be at least 1")
    return directions
