"""Sparse matrices made dense, if there is memory for it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from nmfaudio.errors import MatrixError

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
            "are free: pass batches of its rows to partial_fit"
        )
    return np.asarray(matrix.astype(np.float32).toarray(order="C"))


def free_memory() -> float:
    """Return how many bytes could be allocated, infinite where this is not known."""
    try:
        text = _MEMORY.read_text("ascii")
    except OSError:
        return np.inf
    found = re.search(r"^MemAvailable:\s+(\d+) kB", text, re.MULTILINE)
    return 1024.0 * int(found[1]) if found else np.inf
