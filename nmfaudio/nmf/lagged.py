"""The updates of convolutive factorization: sums over frames and lags, block by block.

The model of frame n is the sum over lags t of H[n - t] W[t]: the product of one wide matrix, H beside its own
past, with the templates of all lags stacked. So the work is four matrix products for each block of frames,
done by the BLAS that numpy brings: at these depths (components times lags) it is faster than plain loops. A
block's model and quotients stay in a core's cache, and sums over frames are kept for each lane and added in
the lanes' order, so that the number of threads changes no bit.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from nmfaudio.nmf import kernels
from nmfaudio.nmf.descend import make_templates
from nmfaudio.nmf.initialize import Matrix
from nmfaudio.nmf.kernels import Templates, Terms
from nmfaudio.nmf.problem import Problem

_BLOCK_FRAMES = 192  # at most: enough to keep the BLAS near its best, few enough to stay in the cache

_Part = tuple[Matrix, Matrix, Matrix]


class LaggedUpdates:
    """The updates of one problem: activations in place, templates anew. Offers what `descend` asks for.

    Templates stand in the rows of T, all components of the first lag, then all of the next, and so on.

    Parameters
    ----------
    problem : Problem
    rank, lags : int
    frozen : ndarray of bool, shape (components,)
        Components whose templates stay as they are.
    pool : ThreadPoolExecutor or None
    """

    def __init__(
        self,
        problem: Problem,
        rank: int,
        lags: int,
        frozen: NDArray[np.bool_],
        pool: ThreadPoolExecutor | None,
    ) -> None:
        self._problem, self._rank, self._lags = problem, rank, lags
        self._free = np.flatnonzero(~np.tile(frozen, lags))
        self._lanes = problem.lanes(rank * lags, pool)
        self._kl = problem.divergence.beta == 1

    @property
    def may_be_bold(self) -> bool:
        """Never: only steps that are proven to descend are taken."""
        return False

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
        stacked = self._with_floor(templates)
        self._step_activations(stacked, H)
        if not measure and not len(self._free):
            return templates, 0.0
        return self._step_templates(templates, stacked, H, measure)

    def _with_floor(self, templates: Templates) -> Matrix:
        """Stack the templates over a row of the model's floor, whose activation is one everywhere."""
        rows = self._rank * self._lags
        stacked = np.empty((rows + 1, self._problem.bins), np.float32)
        stacked[:rows] = templates.T[:rows, : self._problem.bins]
        stacked[rows] = self._problem.divergence.floor
        return stacked

    def _parts(self, stacked: Matrix, start: int, stop: int) -> list[tuple[int, _Part]]:
        """Return, for each block of frames, its first frame and views of the room for its work."""
        rows = -(-(stop - start) // -(-(stop - start) // _BLOCK_FRAMES))  # all blocks of a lane about alike
        beside = np.ones((rows, len(stacked)), np.float32)
        room = np.empty((2, rows, stacked.shape[1]), np.float32)
        sizes = [(first, min(rows, stop - first)) for first in range(start, stop, rows)]
        return [(first, (beside[:n], room[0, :n], room[1, :n])) for first, n in sizes]

    def _model(self, stacked: Matrix, past: Matrix, first: int, part: _Part) -> None:
        """Lay the activations of a block beside their past, and write the block's model."""
        beside, model, _ = part
        last, newest, rank = first + len(beside), self._lags - 1, self._rank
        for lag in range(self._lags):
            shifted = past[first + newest - lag : last + newest - lag]
            beside[:, lag * rank : (lag + 1) * rank] = shifted
        np.dot(beside, stacked, out=model)

    def _past(self, H: Matrix) -> Matrix:
        """Return H with silence before it, as much as the lags reach."""
        return np.vstack([np.zeros((self._lags - 1, self._rank), np.float32), H])

    def _step_activations(self, stacked: Matrix, H: Matrix) -> None:
        lanes, rank, reach = self._lanes.bounds, self._rank, self._lags - 1
        sums = [np.zeros((2, stop - start + reach, rank), np.float32) for start, stop in lanes]
        self._lanes.run(self._activation_task(stacked, self._past(H), sums))
        total = np.zeros((2, len(H) + reach, rank), np.float32)
        for (start, stop), portion in zip(lanes, sums, strict=True):
            total[:, start : stop + reach] += portion
        gain, weight = total[:, reach:]
        if self._kl:
            weight = self._reached(stacked[:-1].sum(axis=1).reshape(self._lags, rank), len(H))
        H *= self._power(np.divide(gain, weight, out=np.zeros_like(H), where=weight > 0))

    def _activation_task(
        self, stacked: Matrix, past: Matrix, sums: list[Matrix]
    ) -> Callable[[int, int, int], float]:
        """Sum over the bins and lags that each activation reaches."""
        terms, V, across = self._problem.terms, self._problem.V, stacked[:-1].T

        def task(lane: int, start: int, stop: int) -> float:
            offset = self._lanes.bounds[lane][0]
            for first, part in self._parts(stacked, start, stop):
                self._model(stacked, past, first, part)
                quotients(V[first : first + len(part[0])], terms, part[1], part[2])
                for total, each in zip(sums[lane], part[1:2] if self._kl else part[1:], strict=False):
                    self._scatter(each @ across, total[first - offset :])
            return 0.0

        return task

    def _scatter(self, projected: Matrix, total: Matrix) -> None:
        """Add what each lag says of a block to the frames that the lag points back to."""
        rank, newest, rows = self._rank, self._lags - 1, len(projected)
        for lag in range(self._lags):
            total[newest - lag : newest - lag + rows] += projected[:, lag * rank : (lag + 1) * rank]

    def _reached(self, sums: Matrix, frames: int) -> Matrix:
        """Return the sum of each template over the lags that end within the recording, for each frame."""
        reach = np.cumsum(sums, axis=0)
        return np.asarray(reach[np.minimum(np.arange(frames)[::-1], self._lags - 1)])

    def _step_templates(
        self, templates: Templates, stacked: Matrix, H: Matrix, measure: bool
    ) -> tuple[Templates, float]:
        rows, narrow = len(stacked) - 1, 1 if self._kl else stacked.shape[1]
        lanes, past = len(self._lanes.bounds), self._past(H)
        above = np.zeros((lanes, rows, stacked.shape[1]), np.float32)
        below = np.zeros((lanes, rows, narrow), np.float32)
        objective = self._lanes.run(self._template_task(stacked, past, above, below, measure))
        if not len(self._free):
            return templates, objective
        numerator, denominator = (sums.sum(axis=0)[self._free] for sums in (above, below))
        T = templates.T.copy()
        ratio = np.divide(numerator, denominator, out=np.ones_like(numerator), where=denominator > 0)
        T[self._free, : self._problem.bins] *= self._power(ratio)
        return make_templates(T), objective

    def _template_task(
        self, stacked: Matrix, past: Matrix, above: Matrix, below: Matrix, measure: bool
    ) -> Callable[[int, int, int], float]:
        """Sum over the frames of a lane what they say of the templates."""
        terms, V, rows = self._problem.terms, self._problem.V, len(stacked) - 1

        def task(lane: int, start: int, stop: int) -> float:
            objective = 0.0
            for first, part in self._parts(stacked, start, stop):
                beside, model, inverse = part
                self._model(stacked, past, first, part)
                v = V[first : first + len(beside)]
                objective += divergence(v, terms, model, inverse) if measure else 0.0
                if len(self._free):
                    quotients(v, terms, model, inverse)
                    above[lane] += beside[:, :rows].T @ model
                    each = beside[:, :rows].sum(axis=0)[:, None] if self._kl else beside[:, :rows].T @ inverse
                    below[lane] += each
            return objective

        return task

    def _power(self, ratio: Matrix) -> Matrix:
        exponent = np.float32(self._problem.divergence.exponent)
        return ratio if exponent == 1 else np.power(ratio, exponent, out=ratio)


def quotients(v: Matrix, terms: Terms, model: Matrix, inverse: Matrix) -> None:
    """Turn `model`, its floor in it, into V * model^(beta-2); write model^(beta-1) to `inverse` if needed."""
    scale, floor = np.float32(terms.scale), np.float32(terms.floor)
    if terms.kind == kernels.KULLBACK_LEIBLER:
        np.divide(v, model, out=model)
        if scale != 1:
            model *= scale
    elif terms.kind == kernels.ITAKURA_SAITO:
        np.divide(np.float32(1), model, out=inverse)
        np.multiply(v, scale, out=model)
        model += floor
        model *= inverse
        model *= inverse
    elif terms.kind == kernels.EUCLIDEAN:
        inverse[:] = model
        np.multiply(v, scale, out=model)
    else:
        # A datum of zero has no divergence below beta = 1: the floor stands in for it.
        lift = floor if terms.beta < 1 else np.float32(0)
        power = model ** np.float32(terms.beta - 2)
        np.multiply(power, model, out=inverse)
        np.multiply(v * scale + lift, power, out=model)


def divergence(v: Matrix, terms: Terms, model: Matrix, spare: Matrix) -> float:
    """Sum the divergence of some frames of V from their model, its floor in it."""
    if terms.kind == kernels.KULLBACK_LEIBLER:
        scaled = v * np.float32(terms.scale)
        spare.fill(1)
        np.divide(model, scaled, out=spare, where=scaled > 0)
        np.log(spare, out=spare)
        spare *= scaled
        return float(np.sum(model - scaled - spare, dtype=np.float64))
    lift, p = terms.floor if terms.beta < 1 else 0.0, model.astype(np.float64)
    d, beta = v * np.float64(terms.scale) + lift, terms.beta
    if terms.kind == kernels.ITAKURA_SAITO:
        return float(np.sum(d / p - np.log(d / p) - 1))
    each = d**beta + (beta - 1) * p**beta - beta * d * p ** (beta - 1)
    return float(np.sum(each) / (beta * (beta - 1)))
