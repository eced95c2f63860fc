"""Templates of data in shards: epochs over all shards, or one pass over batches of them.

A client does the work of each shard (`nmfaudio.dictionaries.submission`). Only sums of the size of the
templates are added, in a fixed tree, so the templates are the same bits for any number of workers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nmfaudio.dictionaries.submission import Client, total
from nmfaudio.nmf import Divergence
from nmfaudio.nmf.online import Statistics
from nmfaudio.nmf.penalty import Penalties
from nmfaudio.nmf.shard_sums import ShardSums

Templates = NDArray[np.float32]

_TOLERANCE = 1e-5  # of the first objective: an epoch that lowers it by less is the last one
_ROUNDS = 4  # updates of activations and templates in turn that each batch gets, as in `nmf.online`


@dataclass(frozen=True)
class Summary:
    """Sum of the spectra of a shard or of several, and its number of frames.

    Attributes
    ----------
    spectrum : ndarray, shape (bins,)
    frames : int
    """

    spectrum: NDArray[np.float64]
    frames: int

    @classmethod
    def of(cls, rows: NDArray[np.float32]) -> Summary:
        """Sum up a shard, shape (frames, bins)."""
        return cls(rows.sum(axis=0, dtype=np.float64), len(rows))

    def plus(self, other: Summary) -> Summary:
        """Return the sums of both."""
        return Summary(self.spectrum + other.spectrum, self.frames + other.frames)

    @property
    def level(self) -> float:
        """Mean of all entries."""
        return float(self.spectrum.mean()) / self.frames

    def start(self, rank: int, seed: int) -> Templates:
        """Return noise under the mean spectrum, with columns that sum to one, shape (bins, rank)."""
        noise = 0.1 + np.random.default_rng(seed).random((len(self.spectrum), rank))
        W = self.spectrum[:, None] * noise
        return np.asarray(W / W.sum(axis=0), np.float32)


class Keeper(Protocol):
    """Keeps the templates of the last epoch."""

    def load(self, W: Templates) -> tuple[int, list[float], Templates]:
        """Return the epoch, the objectives so far, and the templates; those given where nothing is kept."""

    def save(self, epoch: int, objectives: list[float], W: Templates) -> None:
        """Keep the templates of an epoch."""


@dataclass(frozen=True)
class Descent:
    """Templates, and the sums of all shards that were found with those before them.

    Attributes
    ----------
    W : ndarray, shape (bins, components)
    sums : ShardSums
    objectives : tuple of float
        Divergence of the data from their model in each epoch.
    """

    W: Templates
    sums: ShardSums
    objectives: tuple[float, ...]


def descend(
    client: Client,
    shards: Sequence[Any],
    W: Templates,
    divergence: Divergence,
    level: float,
    iterations: int,
    *,
    keeper: Keeper | None = None,
    report: Callable[[int, float], object] | None = None,
) -> Descent:
    """Lower the divergence of all shards together, epoch by epoch.

    Parameters
    ----------
    client : Client
        What does the work.
    shards : sequence
        Handles of the shards, each with the shape (frames, bins).
    W : ndarray, shape (bins, components)
        Templates of the start.
    divergence : Divergence
        What is minimised.
    level : float
        Mean of all data.
    iterations : int
        Greatest number of epochs.
    keeper : Keeper, optional
        Keeps the templates after each epoch.
    report : callable, optional
        Function of the epoch and its objective.
    """
    epoch, objectives, W = keeper.load(W) if keeper else (0, [], W)
    while True:
        sums = _sums(client, shards, W, divergence, level)
        objectives.append(sums.objective)
        if report:
            report(epoch, sums.objective)
        if epoch >= iterations or _has_converged(objectives):
            return Descent(W, sums, tuple(objectives))
        W, epoch = sums.templates(W, divergence), epoch + 1
        if keeper:
            keeper.save(epoch, objectives, W)


def pass_over(
    client: Client,
    passes: Iterable[Iterable[Sequence[Any]]],
    W: Templates,
    divergence: Divergence,
    level: float,
    *,
    report: Callable[[int, float], object] | None = None,
) -> Descent:
    """Use each batch of shards and forget it; see `nmfaudio.nmf.online` for the method.

    Parameters
    ----------
    client, W, divergence, level
        As for `descend`.
    passes : iterable of iterables of sequences
        Batches of each pass over the data: handles of the shards of each batch. A batch is asked for when the
        one before it is done.
    report : callable, optional
        Function of the number of batches so far and of the objective of those of this pass together, each
        with the templates of its time.
    """
    before = Statistics(np.zeros(W.shape), np.zeros(W.shape), 0)
    templates, everything, objectives = W.astype(np.float64), None, list[float]()
    for batches in passes:
        everything = None
        for shards in batches:
            sums, after = None, before
            for _ in range(_ROUNDS):
                sums = _sums(client, shards, np.asarray(templates, np.float32), divergence, level)
                if not sums.frames:
                    break
                batch = Statistics(sums.gain / sums.frames, sums.weight / sums.frames, sums.frames)
                after = before.and_then(batch)
                templates = after.templates(templates, divergence, Penalties(), sums.frames)
            assert sums is not None
            before, everything = after, sums if everything is None else everything.plus(sums)
            objectives.append(everything.objective)
            if report:
                report(len(objectives), everything.objective)
    if everything is None:
        raise ValueError("there is no batch")
    heights = np.maximum(templates.sum(axis=0), np.finfo(np.float64).tiny)
    scaled = replace(everything, power=everything.power * heights**2)
    return Descent(np.asarray(templates / heights, np.float32), scaled, tuple(objectives))


def _sums(
    client: Client, shards: Sequence[Any], W: Templates, divergence: Divergence, level: float
) -> ShardSums:
    """Return the sums of all shards under the templates."""
    templates = client.submit(
        _templates, W.tobytes(), W.shape, pure=False
    )  # once to the cluster, not per task
    parts = [client.submit(ShardSums.of, one, templates, divergence, level, pure=False) for one in shards]
    found: ShardSums = total(client, parts, ShardSums.plus).result()
    return found


def _has_converged(objectives: list[float]) -> bool:
    return len(objectives) > 1 and objectives[-2] - objectives[-1] < _TOLERANCE * objectives[0]


def _templates(content: bytes, shape: tuple[int, int]) -> Templates:
    return np.frombuffer(content, np.float32).reshape(shape).copy()
