"""Data that are computed block by block each time they are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nmfaudio.errors import MatrixError, OptionError

_ENTRIES = 2**21  # entries of a matrix that are read at a time: eight megabytes


def piece(bins: int) -> int:
    """Return how many frames of so many bins to read at a time."""
    return max(1, _ENTRIES // bins)


@dataclass(frozen=True)
class Stream:
    """A non-negative matrix V that is never in memory as a whole.

    `factorize` and `activate` take it in place of V. They read it a few times for the start and once in each
    iteration, and their result is the same as for V in memory. Data on disk need no stream: a memmap is used
    in place.

    Parameters
    ----------
    bins, frames : int
        Shape of V.
    block : callable
        Function `block(start, stop)` that returns the columns `start` to `stop` of V, (bins, stop - start).
        It is asked for some thousand columns at most, in any order, and must return the same each time.
        With several threads, several call it at once.

    Raises
    ------
    OptionError
        For a shape that is empty.

    Examples
    --------
    >>> from nmfaudio import factorize
    >>> V = np.random.default_rng(0).random((20, 300))
    >>> factorization = factorize(Stream(20, 300, lambda start, stop: V[:, start:stop]), 4)
    >>> np.array_equal(factorization.W, factorize(V, 4).W)
    True
    """

    bins: int
    frames: int
    block: Callable[[int, int], ArrayLike]

    def __post_init__(self) -> None:
        if self.bins < 1 or self.frames < 1:
            raise OptionError(f"bins={self.bins}, frames={self.frames}: a stream must not be empty")

    @classmethod
    def of_sparse(cls, X: Any) -> Stream:
        """Return the transpose of a sparse matrix (CSR); a few of its rows at a time are made dense."""
        return cls(int(X.shape[1]), int(X.shape[0]), lambda start, stop: X[start:stop].toarray().T)

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Return some frames, (frames, bins), in float32 or float64.

        Raises
        ------
        MatrixError
            If their shape is wrong, or an entry is negative or not finite.
        """
        rows = np.asarray(self.block(start, stop)).T
        where = f"the stream's block({start}, {stop})"
        if rows.shape != (stop - start, self.bins):
            expected = (self.bins, stop - start)
            raise MatrixError(f"{where} has shape {rows.shape[::-1]}: it must be {expected}")
        if rows.dtype != np.float32:
            rows = rows.astype(np.float64, copy=False)
        if not (rows.min() >= 0 and rows.max() < np.inf):
            raise MatrixError(f"{where} has an entry that is negative or not finite")
        return rows

    def survey(self) -> tuple[float, bool]:
        """Read the whole stream once; return its mean, and whether all blocks are float32."""
        total, single = 0.0, True
        for start in range(0, self.frames, piece(self.bins)):
            rows = self.read(start, min(start + piece(self.bins), self.frames))
            total += float(rows.mean(dtype=np.float64)) * len(rows)
            single = single and rows.dtype == np.float32
        return total / self.frames, single


@dataclass(frozen=True)
class Rows:
    """A stream in the solver's form: slices of frames, float32 and contiguous, times two to the exponent."""

    stream: Stream
    exponent: int = 0

    @property
    def shape(self) -> tuple[int, int]:
        """Frames and bins."""
        return self.stream.frames, self.stream.bins

    def __len__(self) -> int:
        return self.stream.frames

    def __getitem__(self, which: slice) -> NDArray[np.float32]:
        start, stop, _ = which.indices(len(self))
        rows = self.stream.read(start, stop)
        if self.exponent:
            rows = np.ldexp(rows.astype(np.float64), self.exponent)
        # The array must be writable: numba would compile the kernels once more for read-only ones.
        return np.require(rows, np.float32, ["C", "W"])
