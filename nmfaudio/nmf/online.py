"""Templates from batches of frames, one after another: sums that a batch leaves behind stand for its data.

Given its activations, the divergence of a batch lies below a sum of powers of the templates' entries w, tight
at the templates w0 of its time, with the slope

    weight * w^b - gain * w^a,     a = min(beta, 2) - 2,  b = max(beta, 1) - 1,
    gain = w0^-a * sum_n h v p^(beta-2),     weight = w0^-b * sum_n h p^(beta-1),     p = W0 h

so the two sums are all that must be kept. Each batch moves them towards its own by a step that shrinks as
data come in, and the templates go to where the slope is zero.

References
----------
A. Lefevre, F. Bach and C. Fevotte, "Online algorithms for nonnegative matrix factorization with the
Itakura-Saito divergence", WASPAA 2011 (the sums at beta 0).
C. Fevotte and J. Idier, "Algorithms for nonnegative matrix factorization with the beta-divergence", Neural
Computation 23(9), 2011 (the bound at any beta).
O. Cappe and E. Moulines, "On-line expectation-maximization algorithm for latent data models", JRSS B 71(3),
2009 (the step, and why its power lies within (1/2, 1]).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmfaudio.nmf.divergence import Divergence
from nmfaudio.nmf.penalty import Penalties
from nmfaudio.nmf.solve import activate
from nmfaudio.nmf.sparse import is_sparse, model_at

Real = NDArray[np.float64]
Matrix = NDArray[Any]

_POWER = 0.6  # of the share of a batch in all data so far: its weight in the sums
_PIECE = 1024  # frames at a time
_ROUNDS = 4  # updates of activations and templates in turn that each batch gets
_ITERATIONS = 50  # of the activations in each
_SMALLEST = 1e-30  # of the largest entry: powers of smaller ones would leave float64


@dataclass(frozen=True)
class Statistics:
    """What batches said of the templates.

    Attributes
    ----------
    gain, weight : ndarray, shape (bins, components)
        Means over frames, newer batches counting more.
    frames : int
        How many were seen.
    """

    gain: Real
    weight: Real
    frames: int

    @classmethod
    def of(cls, V: Matrix, W: Matrix, H: Matrix, divergence: Divergence) -> Statistics:
        """Sum up a batch V, (bins, frames), with its activations H under the templates W.

        V is dense, or sparse at beta 1 or 2.
        """
        if is_sparse(V):
            return cls._of_sparse(V, W, H, divergence)
        W, beta, frames = W.astype(np.float64), divergence.beta, V.shape[1]
        floor = divergence.floor * float(V.mean(dtype=np.float64))
        gain, weight = np.zeros_like(W), np.zeros_like(W)
        for start in range(0, frames, _PIECE):
            v, h = (array[:, start : start + _PIECE].astype(np.float64) for array in (V, H))
            model = W @ h + (floor or 1.0)
            gain += (v + (floor if beta < 1 else 0)) * model ** (beta - 2) @ h.T
            weight += model ** (beta - 1) @ h.T
        return cls._at(W, gain, weight, beta, frames)

    @classmethod
    def _of_sparse(cls, V: Any, W: Matrix, H: Matrix, divergence: Divergence) -> Statistics:
        from scipy.sparse import coo_array

        W, H, V = W.astype(np.float64), H.astype(np.float64), coo_array(V)
        floor = divergence.floor * float(V.data.sum(dtype=np.float64)) / V.shape[0] / V.shape[1]
        floor, level = floor or 1.0, H.sum(axis=1)
        if divergence.beta == 1:
            quotients = V.data / (model_at(W, H, *V.coords) + floor)
            V = coo_array((quotients, V.coords), V.shape)
            weight = np.broadcast_to(level, W.shape)
        else:
            weight = W @ (H @ H.T) + floor * level
        return cls._at(W, V.tocsr() @ H.T, weight, divergence.beta, V.shape[1])

    @classmethod
    def _at(cls, W: Real, gain: Real, weight: Real, beta: float, frames: int) -> Statistics:
        """Return the statistics of sums that were taken at the templates W."""
        a, b = _exponents(beta)
        return cls(gain * _power(W, -a) / frames, weight * _power(W, -b) / frames, frames)

    def and_then(self, batch: Statistics) -> Statistics:
        """Return these moved towards those of a later batch."""
        frames = self.frames + batch.frames
        step = (batch.frames / frames) ** _POWER
        gain, weight = (
            old + step * (new - old) for old, new in ((self.gain, batch.gain), (self.weight, batch.weight))
        )
        return Statistics(gain, weight, frames)

    def templates(self, W: Real, divergence: Divergence, penalties: Penalties, frames: int) -> Real:
        """Return the templates that these ask for, from W; the penalties are those for so many frames."""
        a, b = _exponents(divergence.beta)
        up, down = self.gain * _power(W, a), self.weight * _power(W, b)
        linear, quadratic = (np.asarray(weight) / frames for weight in (penalties.l1_W, penalties.l2_W))
        down += linear + quadratic * W
        ratio = np.divide(up, down, out=np.ones_like(W), where=down > 0)
        moved = W * ratio ** divergence.exponent_for(bool(np.any(quadratic)))
        return np.where(moved > _SMALLEST * moved.max(), moved, 0)


def learn(
    V: Matrix, W: Matrix, before: Statistics, divergence: Divergence, penalties: Penalties
) -> tuple[Real, Statistics]:
    """Move templates by a batch.

    Parameters
    ----------
    V : ndarray, shape (bins, frames)
        The batch.
    W : ndarray, shape (bins, components)
        Templates so far.
    before : Statistics
        Statistics of all earlier batches.
    divergence : Divergence
        What is minimised.
    penalties : Penalties
        For a batch of this size.

    Returns
    -------
    ndarray, shape (bins, components)
        Templates.
    Statistics
        Statistics of all batches, including this one.
    """
    templates = W.astype(np.float64)
    for _ in range(_ROUNDS):
        after = before.and_then(_batch(V, templates, divergence, penalties))
        templates = after.templates(templates, divergence, penalties, V.shape[1])
    return templates, after


def rested(V: Matrix, W: Matrix, frames: int, divergence: Divergence, penalties: Penalties) -> Statistics:
    """Return what `frames` earlier frames said, when all that is left of them is W: that they agree with it.

    How strongly each template's entry is held is taken from the batch V.
    """
    templates = W.astype(np.float64)
    weight = _batch(V, templates, divergence, penalties).weight
    a, b = _exponents(divergence.beta)
    return Statistics(weight * _power(templates, b - a), weight, frames)


def _batch(V: Matrix, W: Real, divergence: Divergence, penalties: Penalties) -> Statistics:
    found = activate(V, W, divergence=divergence, iterations=_ITERATIONS, tolerance=0, penalties=penalties)
    return Statistics.of(V, W, found.H, divergence)


def _exponents(beta: float) -> tuple[float, float]:
    return min(beta, 2.0) - 2, max(beta, 1.0) - 1


def _power(W: Real, exponent: float) -> Real:
    """Raise entries to a power; an entry of zero, which no update moves, gives zero."""
    return np.power(W, exponent, out=np.zeros_like(W), where=W > 0)
