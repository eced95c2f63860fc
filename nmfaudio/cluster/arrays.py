"""Factorization of a `dask.array`: each worker keeps its chunks, and only sums travel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmfaudio.dictionaries.epochs import Summary, descend
from nmfaudio.dictionaries.submission import ThisProcess, total
from nmfaudio.errors import MatrixError, OptionError
from nmfaudio.nmf import Divergence, activate
from nmfaudio.nmf.shard_sums import ITERATIONS


@dataclass(frozen=True)
class ArrayFactorization:
    """A factorization V ~ W H of an array in chunks.

    Attributes
    ----------
    W : ndarray of float32, shape (bins, components)
        Templates; each column sums to one.
    H : dask.array of float32, shape (components, frames)
        Activations, in the chunks of V; they are computed when they are asked for.
    objective : tuple of float
        Divergence of V from its model in each epoch.
    """

    W: NDArray[np.float32]
    H: Any
    objective: tuple[float, ...]


def factorize_array(
    V: Any,
    rank: int,
    *,
    client: Any = None,
    divergence: str | float = "kl",
    iterations: int = 60,
    seed: int = 0,
    report: Callable[[int, float], object] | None = None,
) -> ArrayFactorization:
    """Factorize a `dask.array` whose chunks lie along its frames.

    In each epoch every chunk finds its activations for the present templates and gives two sums of bins x
    components, which are added in a fixed tree. So the templates are the same bits for any number of workers
    and after the death of any of them. Other chunks may change the last bits.

    Parameters
    ----------
    V : dask.array, shape (bins, frames)
        Not negative. Chunks along the bins are joined.
    rank : int
        Number of components.
    client : distributed.Client, optional
        Connection to the workers, which keep the chunks as float32. By default all is done in this process.
    divergence : str or float
        What is minimised, as for `factorize`.
    iterations : int
        Greatest number of epochs.
    seed : int
        Seed of the start.
    report : callable, optional
        Function of the epoch and its objective.

    Raises
    ------
    MatrixError
        When V has not two dimensions, its shape is unknown, or an entry is negative or not finite.
    OptionError
        When the rank is below 1 or above the number of frames.

    Examples
    --------
    >>> import dask.array
    >>> V = dask.array.from_array(np.random.default_rng(0).random((20, 300)), chunks=(20, 100))
    >>> found = factorize_array(V, 3, iterations=5)
    >>> found.W.shape, found.H.shape, found.H.numblocks
    ((20, 3), (3, 300), (1, 3))
    """
    V = _checked(V, rank)
    measure, work = Divergence.of(divergence), client or ThisProcess()
    shards = [_kept(chunk, client) for chunk in V.to_delayed().ravel()]
    summary: Summary = total(
        work, [work.submit(Summary.of, one, pure=False) for one in shards], Summary.plus
    ).result()
    if not summary.spectrum.any():
        raise MatrixError("V has only zeros: there is nothing to factorize")
    start, level = summary.start(rank, seed), summary.level
    found = descend(work, shards, start, measure, level, iterations, report=report)
    H = V.map_blocks(_activations, found.W, measure, level, dtype=np.float32, chunks=((rank,), V.chunks[1]))
    return ArrayFactorization(found.W, H, found.objectives)


def _checked(V: Any, rank: int) -> Any:
    if V.ndim != 2 or not np.isfinite(V.shape).all() or 0 in V.shape:
        raise MatrixError(f"V has the shape {V.shape}: it must be (bins, frames), both known and above 0")
    if not 1 <= rank <= V.shape[1]:
        raise OptionError(f"rank={rank}: use 1 to {V.shape[1]}, the number of frames", option="rank")
    return V.rechunk({0: -1})


def _kept(chunk: Any, client: Any) -> Any:
    """Return the handle of a chunk, (frames, bins), that a worker or this process keeps."""
    import dask

    rows = dask.delayed(_rows, pure=False)(chunk)
    if client is None:
        return ThisProcess().submit(rows.compute)
    return client.compute(rows)


def _rows(chunk: NDArray[Any]) -> NDArray[np.float32]:
    rows = np.ascontiguousarray(chunk.T, np.float32)
    if not np.isfinite(rows).all() or rows.min(initial=0.0) < 0:
        raise MatrixError("V has an entry that is negative or not finite: replace it")
    return rows


def _activations(
    chunk: NDArray[Any], W: NDArray[np.float32], divergence: Divergence, level: float
) -> NDArray[np.float32]:
    if not chunk.size:  # Dask asks for the kind of the result with an empty chunk
        return np.zeros((W.shape[1], chunk.shape[1]), np.float32)
    found = activate(
        chunk, W, divergence=divergence, iterations=ITERATIONS, tolerance=0, level=level, threads=1
    )
    return np.asarray(found.H, np.float32)
