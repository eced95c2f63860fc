"""Sparse matrices: small ones made dense, others read a few rows at a time."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from nmfaudio.errors import MatrixError
from nmfaudio.nmf.layout import BLOCK_FRAMES
from nmfaudio.nmf.stream import Stream

_MEMORY = Path("/proc/meminfo")  # where Linux tells how much is free


def dense(X: Any) -> NDArray[Any]:
    """Return a matrix of which every entry is in memory: a sparse one as float32, any other as it is.

    Raises
    ------
    MatrixError
        Where a sparse matrix would take more memory than is free.
    """
    if not scipy.sparse.issparse(X):
        return np.asarray(X)
    matrix: Any = X
    needed, free = 4 * matrix.shape[0] * matrix.shape[1], free_memory()
    if needed > free:
        raise MatrixError(
            f"X is sparse, of shape {matrix.shape}: made dense it takes {needed} bytes, and {free:.0f} "
            "are free: pass batches of fewer rows"
        )
    return np.asarray(matrix.astype(np.float32).toarray(order="C"))


def columns(X: Any) -> NDArray[Any] | Stream:
    """Return X transposed as the solver takes it: a sparse matrix as a stream that is never whole in memory.

    Raises
    ------
    MatrixError
        Where not even a block of its rows would fit into memory.
    """
    if not scipy.sparse.issparse(X):
        return np.asarray(X).T
    matrix: Any = X
    needed, free = 8 * min(BLOCK_FRAMES, matrix.shape[0]) * matrix.shape[1], free_memory()
    if needed > free:
        raise MatrixError(
            f"X is sparse, of shape {matrix.shape}: {BLOCK_FRAMES} rows made dense take {needed} bytes, and "
            f"{free:.0f} are free: drop features"
        )
    return Stream.of_sparse(matrix)


def free_memory() -> float:
    """Return how many bytes could be allocated, infinite where this is not known."""
    try:
        text = _MEMORY.read_text("ascii")
    except OSError:
        return np.inf
    found = re.search(r"^MemAvailable:\s+(\d+) kB", text, re.MULTILINE)
    return 1024.0 * int(found[1]) if found else np.inf
