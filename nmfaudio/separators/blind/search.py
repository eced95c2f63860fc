"""Factorizations of one mixture from several random starts, computed side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmfaudio.nmf import Divergence, Factorization, factorize
from nmfaudio.nmf.factorization import Callback
from nmfaudio.nmf.side_by_side import side_by_side
from nmfaudio.separators.blind.banding import banded, first_bins
from nmfaudio.sound.bands import spread_over_bins
from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.frames import LEARNED_VALUES, channel_frames
from nmfaudio.sound.progress import Progress

DEFAULT_COMPONENTS = 24
FINER = 0.3  # updates in all bins, relative to the updates in bands that come before them
SEED_STRIDE = 1_000_003  # difference of the seeds of two starts: the seeds 0 and 1 share no start


@dataclass(frozen=True)
class Job:
    """One factorization to compute.

    Attributes
    ----------
    V : ndarray, shape (bins, frames)
        Spectrogram to factorize.
    rank : int
        Number of components.
    start : int
        Number of the random start.
    iterations : int
        Number of updates.
    init : "random" or (W, H)
        Where the updates begin.
    """

    V: NDArray[Any]
    rank: int
    start: int
    iterations: int
    init: str | tuple[NDArray[Any], NDArray[Any]] = "random"


class ComponentSearch:
    """Search for components of one mixture, whose spectrogram is kept in memory.

    Attributes
    ----------
    mixture : Blocks
        The mixture.
    V : ndarray of float32, shape (bins, channels * frames)
        Magnitudes, or powers for Itakura-Saito: of all frames, or of evenly spaced frames of a long mixture.
    divergence : str or float
        Divergence of all factorizations.
    iterations : int
        Number of updates of each factorization.
    seed : int
        Seed of the random starts.
    most_values : int
        Number of values from which on V has evenly spaced frames only.
    """

    def __init__(
        self,
        mixture: Blocks,
        *,
        divergence: str | float,
        iterations: int,
        seed: int,
        most_values: int | None = None,
    ) -> None:
        self.mixture, self.divergence = mixture, divergence
        self.iterations, self.seed = iterations, seed
        self.most_values = most_values or LEARNED_VALUES
        magnitude_power = 2 if Divergence.of(divergence).beta == 0 else 1
        self._found: dict[tuple[int, int], list[Factorization]] = {}
        self.V: NDArray[np.float32] = channel_frames(mixture, magnitude_power, self.most_values).T

    @property
    def learned_frames(self) -> int:
        """Number of frames of the mixture that the spectrogram holds."""
        columns: int = self.V.shape[1]
        return columns // self.mixture.channels

    def factorizations(self, rank: int, starts: int) -> list[Factorization]:
        """Factorize from several random starts: first in bands, then in all bins.

        The updates in bands take a fifth of the time. On dense mixtures the stems are as good as those after
        updates in all bins alone; where notes click, they are slightly worse. The search keeps what it has
        found, so that several groupings of the same components take the time of one factorization.
        """
        if (rank, starts) not in self._found:
            self._found[rank, starts] = self._factorizations(rank, starts)
        return self._found[rank, starts]

    def _factorizations(self, rank: int, starts: int) -> list[Factorization]:
        finer = max(1, round(FINER * self.iterations))
        bands, mean = first_bins(self.V), self.V.mean(axis=1, dtype=np.float64)
        V = banded(self.V, bands)

        def in_two_stages(start: int, threads: int, callback: Callback) -> Factorization:
            coarse = self._factorize(Job(V, rank, start, self.iterations), threads, callback)
            init = spread_over_bins(coarse.W, bands, mean), coarse.H
            job = Job(self.V, rank, start, finer, init)
            return self._factorize(job, threads, lambda n, value: callback(self.iterations + n, value))

        tasks = [partial(in_two_stages, start) for start in range(starts)]
        stage = f"finding components, {starts} start{'' if starts == 1 else 's'}"
        return side_by_side(tasks, self._reporter(stage, starts * (self.iterations + finer)))

    def factorize_all(self, jobs: Sequence[Job], stage: str) -> list[Factorization]:
        """Compute factorizations side by side, and report their progress under the name of a stage."""
        report = self._reporter(stage, sum(job.iterations for job in jobs))
        return side_by_side([partial(self._factorize, job) for job in jobs], report)

    def _reporter(self, stage: str, total: int) -> Callable[[int, float], None]:
        def report(done: int, objective: float) -> None:
            self.mixture.report(Progress(stage, done, total, objective if np.isfinite(objective) else None))

        return report

    def _factorize(self, job: Job, threads: int, callback: Callback) -> Factorization:
        return factorize(
            job.V,
            job.rank,
            init=job.init,
            divergence=self.divergence,
            seed=self.seed + SEED_STRIDE * job.start,
            iterations=job.iterations,
            tolerance=0,
            threads=threads,
            callback=callback,
        )
