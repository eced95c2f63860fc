"""Sparse matrices: checked, and kept by rows and by columns, so that work follows the stored entries."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nmfaudio.errors import MatrixError
from nmfaudio.nmf.layout import BLOCK_FRAMES
from nmfaudio.nmf.stream import Stream

_MEMORY = Path("/proc/meminfo")  # Linux lists the free memory here
_PIECE: Final = 65536  # entries whose model is computed at a time
# Portions of the rows take about the same time each: there are at most so many, and a smaller one than that,
# in entries, is not worth a thread. A row takes as long as some entries.
_PORTIONS, _PORTION_ENTRIES, _ROW_ENTRIES = 16, 250_000, 8

_LARGEST_EXPONENT: Final = 100  # a power of two within these bounds is a normal float32

# The divergences whose updates need the model at the stored entries alone.
BETAS: Final = (1.0, 2.0)


@dataclass(frozen=True)
class SparseFrames:
    """A sparse non-negative matrix in place of V, (frames, bins), as the solver reads it.

    Attributes
    ----------
    by_frame : scipy.sparse.csr_array of float32, shape (frames, bins)
        Without duplicate entries and without stored zeros.
    """

    by_frame: Any

    @property
    def shape(self) -> tuple[int, int]:
        """Frames and bins."""
        return int(self.by_frame.shape[0]), int(self.by_frame.shape[1])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, which: slice) -> Any:
        """Return some frames, still sparse."""
        return self.by_frame[which]

    @cached_property
    def by_bin(self) -> Any:
        """The same entries sorted by bin: a scipy.sparse.csr_array, shape (bins, frames)."""
        return self.by_frame.T.tocsr()

    @cached_property
    def squares(self) -> float:
        """The sum of the squares of all entries."""
        from nmfaudio.nmf.sparse_kernels import survey  # loads numba

        return float(survey(self.by_frame.data)[3])

    @cached_property
    def levels(self) -> NDArray[np.float64]:
        """The sum of each frame."""
        from nmfaudio.nmf.sparse_kernels import sum_rows  # loads numba

        sums = np.empty(len(self))
        sum_rows(self.by_frame.indptr, self.by_frame.data, sums)
        return sums


def is_sparse(matrix: Any) -> bool:
    """Return whether something is a sparse matrix of scipy.

    There is none before scipy.sparse is loaded, which takes 0.15 s and is not needed for audio.
    """
    if "scipy.sparse" not in sys.modules:
        return False
    from scipy.sparse import issparse

    return bool(issparse(matrix))


def transposed(X: Any) -> Any:
    """Return X transposed; X remembers that it is canonical, which its transpose would find out again."""
    turned = X.T
    turned.has_canonical_format = X.has_canonical_format
    return turned


def checked_sparse(matrix: Any, name: str, shape: str) -> tuple[Any, float]:
    """Check a sparse matrix, and make one of floats without duplicates and stored zeros of it.

    Returns
    -------
    matrix : scipy sparse matrix, in the format given
    total : float
        The sum of its entries.

    Raises
    ------
    MatrixError
        For a matrix that is empty, complex, or has an entry that is negative or not finite.
    """
    from nmfaudio.nmf.sparse_kernels import survey  # loads numba

    if matrix.ndim != 2 or 0 in matrix.shape:
        raise MatrixError(f"{name} has shape {matrix.shape}: it must be a matrix {shape} that is not empty")
    if np.issubdtype(matrix.dtype, np.complexfloating):
        raise MatrixError(f"{name} is complex: take abs({name}), the magnitudes")
    if not np.issubdtype(matrix.dtype, np.floating) or matrix.dtype.itemsize not in (4, 8):
        matrix = matrix.astype(np.float64)
    canonical = matrix.has_canonical_format
    valid, zeros, total, _ = survey(matrix.data)
    if not canonical or zeros:
        matrix = matrix.copy()
        matrix.sum_duplicates()
        matrix.eliminate_zeros()
        valid, _, total, _ = survey(matrix.data)
    if not valid:
        entries = matrix.tocoo()
        first = int(np.flatnonzero(~((entries.data >= 0) & (entries.data < np.inf)))[0])
        place = [int(entries.row[first]), int(entries.col[first])]
        raise MatrixError(
            f"{name}{place} is {entries.data[first]}: entries must be finite and not negative; a sparse "
            f"{name} has no missing entries, so pass a dense one with NaN for these"
        )
    return matrix, total


def frames_of(V: Any, exponent: int) -> SparseFrames:
    """Return a checked V, (bins, frames), times two to the exponent, in float32."""
    from scipy.sparse import csr_array

    turned = csr_array(V.T)  # shares its arrays with V
    if turned.dtype == np.float32 and abs(exponent) <= _LARGEST_EXPONENT:
        turned.data = turned.data * np.float32(np.ldexp(1.0, exponent))
    else:
        turned.data = np.ldexp(turned.data.astype(np.float64), exponent).astype(np.float32)
    return SparseFrames(turned)


def compressed(V: Any) -> Any:
    """Return a sparse matrix in one of the formats CSR and CSC, whichever costs less."""
    return V if V.format in ("csr", "csc") else V.tocsr()


def portions(matrix: Any) -> list[tuple[int, int]]:
    """Return bounds of portions of the rows of a CSR matrix that hold about as many entries each.

    They depend on the matrix alone, so sums over portions are the same for any number of threads.
    """
    rows = matrix.shape[0]
    count = min(_PORTIONS, 1 + (matrix.nnz + _ROW_ENTRIES * rows) // _PORTION_ENTRIES)
    if count == 1:
        return [(0, rows)]
    work = matrix.indptr.astype(np.int64) + _ROW_ENTRIES * np.arange(rows + 1)
    targets = np.linspace(0, work[-1], count + 1)[1:-1]
    cuts = np.unique(np.concatenate([[0], np.searchsorted(work, targets), [rows]]))
    return [(int(start), int(stop)) for start, stop in zip(cuts[:-1], cuts[1:], strict=True)]


def model_at(W: NDArray[Any], H: NDArray[Any], bins: NDArray[Any], frames: NDArray[Any]) -> NDArray[Any]:
    """Return the model W H at some entries, given by their bins and frames."""
    model, T = np.empty(len(bins), np.result_type(W, H)), np.ascontiguousarray(H.T)
    for start in range(0, len(bins), _PIECE):
        part = slice(start, start + _PIECE)
        np.einsum("ik,ik->i", W[bins[part]], T[frames[part]], out=model[part])
    return model


def dense(X: Any) -> NDArray[Any]:
    """Return a matrix with every entry in memory: a sparse one as float32, any other as it is.

    Raises
    ------
    MatrixError
        If a sparse matrix would take more memory than is free.
    """
    if not is_sparse(X):
        return np.asarray(X)
    matrix: Any = X
    needed, free = 4 * matrix.shape[0] * matrix.shape[1], free_memory()
    if needed > free:
        raise MatrixError(
            f"X is sparse, of shape {matrix.shape}: at this beta_loss it must be made dense, which takes "
            f"{needed} bytes, and {free:.0f} are free: pass batches of fewer rows, or use beta_loss 1 or 2"
        )
    return np.asarray(matrix.astype(np.float32).toarray(order="C"))


def streamed(V: Any) -> Stream:
    """Return a sparse V, (bins, frames), as a stream that makes a few frames at a time dense.

    Raises
    ------
    MatrixError
        If not even a block of frames fits into memory.
    """
    from scipy.sparse import csr_array

    bins, frames = V.shape
    needed, free = 8 * min(BLOCK_FRAMES, frames) * bins, free_memory()
    if needed > free:
        raise MatrixError(
            f"V is sparse, with {bins} bins (features): at this divergence {BLOCK_FRAMES} frames (samples) "
            f"at a time are made dense, which takes {needed} bytes, and {free:.0f} are free: drop features, "
            "or use Kullback-Leibler or the Euclidean distance"
        )
    return Stream.of_sparse(csr_array(V.T))


def free_memory() -> float:
    """Return how many bytes can be allocated; infinite if this is not known."""
    try:
        text = _MEMORY.read_text("ascii")
    except OSError:
        return np.inf
    match = re.search(r"^MemAvailable:\s+(\d+) kB", text, re.MULTILINE)
    return 1024.0 * int(match[1]) if match else np.inf
