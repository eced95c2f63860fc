"""A matrix made ready for the kernels."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nmfaudio.errors import MatrixError
from nmfaudio.nmf.divergence import Divergence
from nmfaudio.nmf.frame_partition import FramePartition
from nmfaudio.nmf.initialize import Matrix
from nmfaudio.nmf.layout import Terms
from nmfaudio.nmf.stream import Rows, Stream, piece

_LARGEST_EXPONENT = 100  # data further than 2^100 from 1 are scaled in float64 before they become float32
_PIECE = 4096  # frames copied at a time
_LARGEST_POWER = 1000  # objectives further than 2^1000 from 1 leave float64


@dataclass(frozen=True)
class Problem:
    """V as the kernels take it, with what is to be minimised.

    Attributes
    ----------
    V : ndarray of float32 or Rows, shape (frames, bins)
        The caller's own memory where it fits, else a copy, or what reads a stream.
    kernel_scale : float
        What the kernels multiply V by, a power of two: its mean comes near 1.
    data_scale : float
        What the caller's data are multiplied by in all.
    level : float
        The mean of the data in the kernels' scale.
    divergence : Divergence
    dtype : type
        Of the factors that are returned.
    """

    V: Matrix | Rows
    kernel_scale: float
    data_scale: float
    level: float
    divergence: Divergence
    dtype: type[np.floating[Any]]

    @classmethod
    def of(cls, V: ArrayLike | Stream, divergence: Divergence, mean: float | None = None) -> Problem:
        """Check V, (bins, frames), and bring it into shape; `mean` stands for that of V."""
        if isinstance(V, Stream):
            return cls._of_stream(V, divergence, mean)
        matrix = checked_matrix(V, "V", "(bins, frames)")
        dtype = np.float64 if matrix.dtype == np.float64 else np.float32
        mean = float(matrix.mean(dtype=np.float64)) if mean is None else mean
        exponent = _checked_exponent(mean, divergence)
        level = float(np.ldexp(mean, exponent))
        frames = matrix.T
        ready = frames.dtype == np.float32 and frames.flags.c_contiguous and frames.flags.writeable
        if ready and abs(exponent) <= _LARGEST_EXPONENT:
            return cls(frames.view(np.ndarray), 2.0**exponent, 2.0**exponent, level, divergence, dtype)
        scale = float(np.ldexp(1.0, exponent))
        return cls(_scaled(frames, exponent), 1.0, scale, level, divergence, dtype)

    @classmethod
    def _of_stream(cls, V: Stream, divergence: Divergence, mean: float | None) -> Problem:
        own, single = V.survey()
        mean = own if mean is None else mean
        exponent = _checked_exponent(mean, divergence)
        level, scale = float(np.ldexp(mean, exponent)), float(np.ldexp(1.0, exponent))
        if single and abs(exponent) <= _LARGEST_EXPONENT:
            return cls(Rows(V), scale, scale, level, divergence, np.float32)
        return cls(Rows(V, exponent), 1.0, scale, level, divergence, np.float32 if single else np.float64)

    @property
    def bins(self) -> int:
        """Number of bins."""
        return int(self.V.shape[1])

    def partition(self, rank: int, pool: ThreadPoolExecutor | None) -> FramePartition:
        """Share the frames out for iterations of this rank."""
        return FramePartition(len(self.V), 12.0 * self.bins * (rank + 8), pool, piece(self.bins))

    @property
    def terms(self) -> Terms:
        """What the kernels minimise."""
        d = self.divergence
        return Terms(self.kernel_scale, d.floor, d.kind, d.beta, d.exponent)

    def objective(self, scaled: float) -> float:
        """Return what the kernels measured in the caller's units."""
        return float(scaled * self.data_scale**-self.divergence.beta)


def _checked_exponent(mean: float, divergence: Divergence) -> int:
    """Return the power of two that brings a mean near 1.

    Raises
    ------
    MatrixError
        Where the divergence of such data is no number that float64 can hold.
    """
    exponent = -int(np.frexp(mean)[1]) if 0 < mean < np.inf else 0
    if mean == np.inf or abs(exponent * divergence.beta) > _LARGEST_POWER:
        raise MatrixError(
            f"the mean of V is {mean:.3g}: its divergence at beta={divergence.beta:g} is out of the range of "
            "float64: multiply V by a constant"
        )
    return exponent


def _scaled(frames: NDArray[Any], exponent: int) -> Matrix:
    """Copy to float32 times two to the exponent, in float64 and piece by piece: no level is out of range."""
    copied = np.empty(frames.shape, np.float32)
    for start in range(0, len(frames), _PIECE):
        part = slice(start, start + _PIECE)
        copied[part] = np.ldexp(frames[part].astype(np.float64), exponent)
    return copied


def checked_matrix(matrix: ArrayLike, name: str, shape: str) -> NDArray[Any]:
    """Return a finite, non-negative matrix of floats, or say where it is none.

    Raises
    ------
    MatrixError
        Naming the first bad entry.
    """
    array = np.asarray(matrix)
    if array.ndim != 2 or 0 in array.shape:
        raise MatrixError(f"{name} has shape {array.shape}: it must be a matrix {shape} that is not empty")
    if not np.issubdtype(array.dtype, np.floating) or array.dtype == np.float16:
        array = array.astype(np.float64)
    # One pass without temporaries tells the ordinary case: NaN fails both comparisons.
    if not (array.min() >= 0 and array.max() < np.inf):
        bad = tuple(int(i) for i in np.argwhere(~((array >= 0) & (array < np.inf)))[0])
        raise MatrixError(f"{name}{list(bad)} is {array[bad]}: entries must be finite and not negative")
    return array
