"""Factorization of data that lie in shards: each shard gives sums of the size of the templates, which add up.

Given templates W, a shard finds its activations and then the two sums of `nmfaudio.nmf.online.Statistics`.
Their total over all shards leads to new templates. Nothing that a shard computed before is needed: a shard
that is lost is computed again, with the same result.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nmfaudio.nmf.divergence import Divergence
from nmfaudio.nmf.online import Statistics
from nmfaudio.nmf.penalty import Penalties
from nmfaudio.nmf.solve import activate
from nmfaudio.nmf.threads import workers

ITERATIONS = 50  # updates of the activations of a shard in each epoch


@dataclass(frozen=True)
class ShardSums:
    """What a shard, or several together, say of the templates.

    Attributes
    ----------
    gain, weight : ndarray of float64, shape (bins, components)
        Sums over frames, as in `Statistics`.
    power : ndarray of float64, shape (components,)
        Sum of the squares of the activations.
    objective : float
        Divergence of the data from their model.
    frames : int
        Number of frames.
    """

    gain: NDArray[np.float64]
    weight: NDArray[np.float64]
    power: NDArray[np.float64]
    objective: float
    frames: int

    @classmethod
    def of(
        cls, V: NDArray[np.float32], W: NDArray[np.float32], divergence: Divergence, level: float
    ) -> ShardSums:
        """Sum up a shard, on one thread.

        Parameters
        ----------
        V : ndarray of float32, shape (frames, bins)
            The shard; it may be empty.
        W : ndarray of float32, shape (bins, components)
            Templates.
        divergence : Divergence
            What is minimised.
        level : float
            Mean of all data, not only of this shard.
        """
        if not len(V):
            return cls(np.zeros(W.shape), np.zeros(W.shape), np.zeros(W.shape[1]), 0.0, 0)
        with workers(1):  # so that the sums do not depend on the threads of the BLAS
            found = activate(
                V.T, W, divergence=divergence, iterations=ITERATIONS, tolerance=0, level=level, threads=1
            )
            means = Statistics.of(V.T, W, found.H, divergence)
            power = (found.H.astype(np.float64) ** 2).sum(axis=1)
        objective = float(found.objective[-1])
        return cls(means.gain * len(V), means.weight * len(V), power, objective, len(V))

    def plus(self, other: ShardSums) -> ShardSums:
        """Return the sums of both."""
        return ShardSums(
            self.gain + other.gain,
            self.weight + other.weight,
            self.power + other.power,
            self.objective + other.objective,
            self.frames + other.frames,
        )

    def templates(self, W: NDArray[np.float32], divergence: Divergence) -> NDArray[np.float32]:
        """Return the templates that the sums of all shards ask for, from W, with columns that sum to one."""
        means = Statistics(self.gain / self.frames, self.weight / self.frames, self.frames)
        moved = means.templates(W.astype(np.float64), divergence, Penalties(), self.frames)
        return np.asarray(moved / np.maximum(moved.sum(axis=0), np.finfo(np.float64).tiny), np.float32)
