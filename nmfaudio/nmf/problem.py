"""A matrix made ready for the kernels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nmfaudio.errors import MatrixError
from nmfaudio.nmf.divergence import Divergence
from nmfaudio.nmf.frame_partition import FramePartition
from nmfaudio.nmf.initialize import Matrix
from nmfaudio.nmf.layout import Terms
from nmfaudio.nmf.missing import without_missing
from nmfaudio.nmf.sparse import (
    BETAS,
    SparseFrames,
    checked_sparse,
    compressed,
    frames_of,
    is_sparse,
    streamed,
)
from nmfaudio.nmf.stream import Rows, Stream, piece
from nmfaudio.nmf.threads import WorkerPool

_LARGEST_EXPONENT = 100  # data further than 2^100 from 1 are scaled in float64 before they become float32
_PIECE = 4096  # frames copied at a time
_LARGEST_POWER = 1000  # objectives further than 2^1000 from 1 leave float64


@dataclass(frozen=True)
class Problem:
    """V as the kernels take it, with what is to be minimised.

    Attributes
    ----------
    V : ndarray of float32, Rows or SparseFrames, shape (frames, bins)
        The caller's own memory where it fits, else a copy, or what reads a stream or a sparse matrix.
    kernel_scale : float
        What the kernels multiply V by, a power of two: its mean comes near 1.
    data_scale : float
        What the caller's data are multiplied by in all.
    level : float
        The mean of the data in the kernels' scale.
    divergence : Divergence
    dtype : type
        Type of the factors that are returned.
    weights : ndarray of float32, shape (frames, bins), or None
        Weight of each entry, in units of `weight_unit`; None if all entries count alike.
    weight_unit : float
        A power of two near the largest weight.
    """

    V: Any
    kernel_scale: float
    data_scale: float
    level: float
    divergence: Divergence
    dtype: type[np.floating[Any]]
    weights: Matrix | None = None
    weight_unit: float = 1.0

    @classmethod
    def of(cls, V: ArrayLike | Stream, divergence: Divergence, mean: float | None = None) -> Problem:
        """Check a dense V, (bins, frames), or a stream, and bring it into shape.

        `mean` replaces the mean of V.
        """
        if isinstance(V, Stream):
            return cls._of_stream(V, divergence, mean)
        return cls._of_dense(checked_matrix(V, "V", "(bins, frames)"), divergence, mean)

    @classmethod
    def of_any(
        cls, V: Any, divergence: Divergence, mean: float | None = None, weights: ArrayLike | None = None
    ) -> Problem:
        """Do the same for a V that may be sparse, or have weights or missing entries."""
        V, each = without_missing(V, weights)
        if is_sparse(V):
            V, total = checked_sparse(compressed(V), "V", "(bins, frames)")
            if divergence.beta in BETAS:
                own = total / V.shape[0] / V.shape[1]
                return cls._of_sparse(V, divergence, own if mean is None else mean)
            V = streamed(V)
        problem = cls.of(V, divergence, mean)
        return problem if each is None else problem._weighted(each)

    @classmethod
    def _of_dense(cls, matrix: NDArray[Any], divergence: Divergence, mean: float | None) -> Problem:
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
    def _of_sparse(cls, V: Any, divergence: Divergence, mean: float) -> Problem:
        exponent = _checked_exponent(mean, divergence)
        level, scale = float(np.ldexp(mean, exponent)), float(np.ldexp(1.0, exponent))
        dtype = np.float64 if V.dtype == np.float64 else np.float32
        return cls(frames_of(V, exponent), 1.0, scale, level, divergence, dtype)

    def _weighted(self, weights: Matrix) -> Problem:
        """Return this problem with weights, (bins, frames)."""
        unit = float(np.ldexp(1.0, int(np.frexp(weights.max())[1])))
        return replace(self, weights=np.ascontiguousarray(weights.T / np.float32(unit)), weight_unit=unit)

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

    @property
    def is_plain(self) -> bool:
        """Whether V is dense and all of its entries count alike."""
        return self.weights is None and not isinstance(self.V, SparseFrames)

    def partition(self, rank: int, pool: WorkerPool | None) -> FramePartition:
        """Share the frames out for iterations of this rank."""
        if isinstance(self.V, SparseFrames):
            entries = self.V.by_frame.nnz / len(self.V) + 1
            return FramePartition(len(self.V), 12.0 * entries * (rank + 8), pool)
        return FramePartition(len(self.V), 12.0 * self.bins * (rank + 8), pool, piece(self.bins))

    @property
    def terms(self) -> Terms:
        """What the kernels minimise."""
        d = self.divergence
        return Terms(self.kernel_scale, d.floor, d.kind, d.beta, d.exponent)

    def objective(self, scaled: float) -> float:
        """Return what the kernels measured in the caller's units."""
        return float(scaled * self.data_scale**-self.divergence.beta * self.weight_unit)


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


def checked_matrix(matrix: Any, name: str, shape: str) -> NDArray[Any]:
    """Return a finite, non-negative matrix of floats.

    Raises
    ------
    MatrixError
        For anything else, with what to pass instead, or with the first bad entry.
    """
    if is_sparse(matrix):
        raise MatrixError(f"{name} is sparse, which is not supported here: pass {name}.toarray()")
    if np.ma.is_masked(matrix):
        raise MatrixError(f"{name} has masked entries, which is not supported here: pass {name}.filled(...)")
    array = np.asarray(matrix)
    _check_type(array, name)
    if array.ndim != 2 or 0 in array.shape:
        way_out = _WAYS_OUT.get(array.ndim, "").format(name=name) if array.size else ""
        raise MatrixError(
            f"{name} has shape {array.shape}: it must be a matrix {shape} that is not empty{way_out}"
        )
    if not np.issubdtype(array.dtype, np.floating) or array.dtype == np.float16:
        array = array.astype(np.float64)
    # One pass without temporaries is enough in the ordinary case: NaN fails both comparisons.
    if not (array.min() >= 0 and array.max() < np.inf):
        bad = tuple(int(i) for i in np.argwhere(~((array >= 0) & (array < np.inf)))[0])
        raise MatrixError(f"{name}{list(bad)} is {array[bad]}: entries must be finite and not negative")
    return array


_WAYS_OUT = {
    1: "; a single column is {name}[:, None]",
    3: "; the channels of a spectrogram are factored one by one, or side by side as numpy.hstack({name})",
}


def _check_type(array: NDArray[Any], name: str) -> None:
    """Refuse entries that are not real numbers."""
    if array.dtype.kind == "c":
        raise MatrixError(f"{name} is complex: take abs({name}), the magnitudes")
    if array.dtype.kind not in "biuf":
        raise MatrixError(f"{name} is an array of type {array.dtype}: its entries must be real numbers")
