"""A start near the solution: least squares on a random sketch of the data.

Near the data, a beta-divergence is a sum of squared errors, each weighted by the datum to the power beta - 2.
When the margins of the data replace the data in the weights, a weight is a number of the frame times a number
of the bin, as in correspondence analysis. The problem is then plain least squares between scaled data and
scaled factors. For small beta, a power of the data widens the range in which the approximation holds.

Least squares needs only the strongest directions of the data. A few passes find these from random ones, and
hierarchical alternating least squares works on the projection, a matrix about as narrow as the factors. The
start costs as much as about ten updates of the divergence, and replaces about a hundred of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nmfaudio.nmf.frame_partition import FramePartition
from nmfaudio.nmf.initialize import Matrix, Start
from nmfaudio.nmf.problem import Problem
from nmfaudio.nmf.threads import WorkerPool

OVERSAMPLING: Final = 16  # directions beyond the rank
PASSES: Final = 2  # passes over the data that turn them towards the strongest ones
SWEEPS: Final = 60  # sweeps over both factors
# Part of the mean spectrum and of each frame's level that is added to the factors: multiplicative updates
# cannot change a zero.
FILL: Final = 0.1


def sketched(problem: Problem, rank: int, generator: np.random.Generator, pool: WorkerPool | None) -> Start:
    """Return W, (bins, rank), and H, (frames, rank), near a minimum of the problem's divergence.

    Parameters
    ----------
    problem : Problem
    rank : int
    generator : numpy.random.Generator
        Random numbers of the sketch and of the start of least squares.
    pool : WorkerPool or None

    References
    ----------
    N. B. Erichson, A. Mendible, S. Wihlborn and J. N. Kutz, "Randomized nonnegative matrix factorization",
    Pattern Recognition Letters 104, 2018. A. Cichocki and A.-H. Phan, "Fast local algorithms for large scale
    nonnegative matrix and tensor factorizations", IEICE Transactions E92-A(3), 2009. M. J. Greenacre, "Theory
    and Applications of Correspondence Analysis", 1984.
    """
    data = _Scaled.of(problem, rank, pool)
    width = min(rank + OVERSAMPLING, *problem.V.shape)
    basis = generator.standard_normal((problem.bins, width), np.float32)
    for _ in range(PASSES):
        basis = np.linalg.qr(data.squared(basis))[0]
    T, H = _least_squares(data, basis, rank, generator)
    return _at_level(problem, data, T, H)


@dataclass(frozen=True)
class _Scaled:
    """V to a power, divided by a number for each frame and a number for each bin.

    Attributes
    ----------
    V : ndarray or Rows, shape (frames, bins)
    scale, power : float
        The data here are V times the scale, to the power.
    levels, spectrum : ndarray of float64, shapes (frames,) and (bins,)
        Sums of the data.
    frames, bins : ndarray of float32, shapes (frames, 1) and (bins, 1)
        Divisors of the data.
    partition : FramePartition
    """

    V: Any
    scale: float
    power: float
    levels: NDArray[np.float64]
    spectrum: NDArray[np.float64]
    frames: Matrix
    bins: Matrix
    partition: FramePartition

    @classmethod
    def of(cls, problem: Problem, rank: int, pool: WorkerPool | None) -> _Scaled:
        """Scale the data of a problem."""
        beta = problem.divergence.beta
        power = min(max((1 + beta) / 2, 0.5), 1.0)
        share = min(max(1 - beta / (2 * power), 0.0), 1.0)
        partition = problem.partition(2 * (rank + OVERSAMPLING), pool)
        levels = np.empty(len(problem.V))
        spectra = np.zeros((len(partition.bounds), problem.bins))
        scale = problem.kernel_scale

        def weigh(portion: int, start: int, stop: int) -> float:
            part = _powered(problem.V[start:stop], scale, power)
            levels[start:stop] = part.sum(axis=1, dtype=np.float64)
            spectra[portion] += part.sum(axis=0, dtype=np.float64)
            return 0.0

        partition.run(weigh)
        gain = scale if power == 1 else 1.0
        levels, spectrum = levels * gain, spectra.sum(axis=0) * gain
        total = levels.sum() or 1.0
        frames = (total * (levels / total) ** share)[:, None].astype(np.float32)
        bins = ((spectrum / total) ** share)[:, None].astype(np.float32)
        return cls(problem.V, scale, power, levels, spectrum, frames, bins, partition)

    def times(self, M: Matrix) -> Matrix:
        """Return the scaled data times a matrix of (bins, directions)."""
        product = np.empty((len(self.V), M.shape[1]), np.float32)
        weighted = self._weighted(M)

        def multiply(portion: int, start: int, stop: int) -> float:
            rows = _powered(self.V[start:stop], self.scale, self.power)
            product[start:stop] = _divided(rows @ weighted, self.frames[start:stop])
            return 0.0

        self.partition.run(multiply)
        return product

    def squared(self, M: Matrix) -> Matrix:
        """Return the scaled data, transposed, times the scaled data times a matrix of (bins, directions)."""
        weighted = self._weighted(M)
        sums = np.zeros((len(self.partition.bounds), *M.shape), np.float32)

        def multiply(portion: int, start: int, stop: int) -> float:
            rows, weight = _powered(self.V[start:stop], self.scale, self.power), self.frames[start:stop]
            sums[portion] += rows.T @ _divided(_divided(rows @ weighted, weight), weight)
            return 0.0

        self.partition.run(multiply)
        return self._weighted(sums.sum(axis=0))

    def _weighted(self, M: Matrix) -> Matrix:
        return _divided(M, self.bins) * np.float32(self.scale if self.power == 1 else 1)


def _powered(part: Matrix, scale: float, power: float) -> Matrix:
    """Return scaled data to a power; for the power 1, return the data uncopied and without the scale."""
    if power == 1:
        return part
    scaled = part * np.float32(scale)
    return np.sqrt(scaled, out=scaled) if power == 0.5 else scaled ** np.float32(power)


def _divided(rows: Matrix, weights: Matrix) -> Matrix:
    """Divide each row by its weight; rows without a weight become zero."""
    return np.divide(rows, weights, out=np.zeros_like(rows), where=weights > 0)


def _least_squares(
    data: _Scaled, basis: Matrix, rank: int, generator: np.random.Generator
) -> tuple[Matrix, Matrix]:
    """Return factors of the scaled data, (rank, bins) and (rank, frames).

    Only the projection of the data on the basis is used. Coordinates are set in turn to their best
    non-negative value: those of each frame, then those of each bin.
    """
    from nmfaudio.nmf.sketch_kernels import descend_coordinates  # here: numba takes a while to load

    projection = data.times(basis)
    T = _divided(_noise(_shares(data.spectrum), rank, generator).T, data.bins).T.copy()
    H = _divided(_noise(data.levels / rank, rank, generator).T, data.frames).T.copy()
    portions = len(data.partition.bounds)
    for _ in range(SWEEPS):
        projected, products = T @ basis, T @ T.T
        sums = (
            np.zeros((portions, *projected.shape), np.float32),
            np.zeros((portions, rank, rank), np.float32),
        )

        def sweep(
            portion: int,
            start: int,
            stop: int,
            projected: Matrix = projected,
            products: Matrix = products,
            sums: tuple[Matrix, Matrix] = sums,
        ) -> float:
            h, c = H[:, start:stop], projection[start:stop]
            descend_coordinates(products, projected @ c.T, H, start)
            sums[0][portion] += h @ c
            sums[1][portion] += h @ h.T
            return 0.0

        data.partition.run(sweep)
        descend_coordinates(sums[1].sum(axis=0), sums[0].sum(axis=0) @ basis.T, T, 0)
    return T, H


def _noise(margin: NDArray[np.float64], rank: int, generator: np.random.Generator) -> Matrix:
    return (margin * (0.1 + generator.random((rank, len(margin))))).astype(np.float32)


def _at_level(problem: Problem, data: _Scaled, T: Matrix, H: Matrix) -> Start:
    """Return factors of V, without zeros where V is not zero."""
    root = np.float32(1 / data.power)
    W, H = (T.T * data.bins) ** root, (H.T * data.frames) ** root
    sums = W.sum(axis=0)
    W = np.divide(W, sums, out=np.zeros_like(W), where=sums > 0)
    H *= sums
    whole, explained = problem.level * H.shape[0] * W.shape[0], float(H.sum(dtype=np.float64))
    H *= np.float32(whole / explained if explained > 0 else 1.0)
    spectrum, levels = (_shares(margin**root)[:, None] for margin in (data.spectrum, data.levels))
    W += (FILL * spectrum).astype(np.float32)
    H += (FILL * whole / W.shape[1] * levels).astype(np.float32)
    return W, H


def _shares(margin: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(margin / (margin.sum() or 1.0))
