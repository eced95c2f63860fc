"""Templates of notes that were not learned: learned templates, moved up or down in frequency."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def transposed(templates: NDArray[Any], semitones: float) -> NDArray[np.float32]:
    """Return templates moved up or down in frequency, each column with the sum 1.

    Parameters
    ----------
    templates : ndarray, shape (bins, components)
    semitones : float
        Distance; positive values move up.

    Examples
    --------
    >>> transposed(np.eye(33)[:, [10]], 12).argmax()
    np.int64(20)
    """
    bins = np.arange(len(templates))
    position = bins / 2 ** (semitones / 12)
    left = np.minimum(position.astype(np.intp), len(bins) - 1)
    right, part = np.minimum(left + 1, len(bins) - 1), (position - left)[:, None]
    interpolated = (1 - part) * templates[left] + part * templates[right]
    moved = np.where(position[:, None] < len(bins), interpolated, 0)
    total = moved.sum(axis=0)
    return np.asarray(np.divide(moved, total, out=np.zeros_like(moved), where=total > 0), np.float32)
