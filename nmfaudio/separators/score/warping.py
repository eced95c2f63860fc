"""Dynamic time warping of two sequences within a band around the diagonal.

Memory is one byte for each pair of frames in the band. The function of librosa finds the same path, but its
memory grows with the square of the length: 320 MB for a minute and a half, where this module needs 9 MB.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

_STEPS = ((1, 1), (0, 1), (1, 0))  # frames of the first and of the second sequence in one step of the path

Feature = NDArray[np.float64]


def warping_path(
    first: Feature, second: Feature, reach: int, allocate: Callable[..., NDArray[Any]]
) -> NDArray[np.intp]:
    """Return the path with the least total cosine distance; its frames differ by at most `reach`.

    Parameters
    ----------
    first, second : ndarray, shape (features, frames)
        Columns of unit length.
    reach : int
        Half width of the band around the diagonal, in frames.
    allocate : callable
        Returns an array for a shape and a dtype, as `Blocks.allocate` does.

    Returns
    -------
    ndarray of int, shape (steps, 2)
        Frames of the first and of the second sequence, from the start to the end of both.

    Examples
    --------
    >>> first = np.eye(4)[:, [0, 0, 1, 2, 3, 3]]
    >>> second = np.eye(4)[:, [0, 1, 1, 2, 2, 3]]
    >>> warping_path(first, second, 3, lambda *shape, dtype: np.empty(shape, dtype)).tolist()
    [[0, 0], [1, 0], [2, 1], [2, 2], [3, 3], [3, 4], [4, 5], [5, 5]]
    """
    frames = first.shape[1]
    reach = min(reach, frames - 1)
    steps = np.asarray(allocate(2 * frames - 1, reach + 1, dtype=np.uint8))
    backwards = np.ascontiguousarray(second[:, ::-1])
    # Least totals up to each pair, indexed by frame of the first sequence, on the two anti-diagonals before
    # the current one. They are infinite on either side of the pairs within the band.
    before_last, last = (np.full(frames + 2, np.inf) for _ in range(2))
    before_last[0] = 0  # the path starts here
    for diagonal in range(2 * frames - 1):
        start, stop = _band(diagonal, frames, reach)
        back = frames - 1 - diagonal
        similarity = np.einsum("fn,fn->n", first[:, start:stop], backwards[:, back + start : back + stop])
        totals = before_last[start:stop], last[start + 1 : stop + 1], last[start:stop]  # one for each step
        least = _least(totals, steps[diagonal, : stop - start])
        before_last[start + 1 : stop + 1] = least + (1 - similarity)
        before_last[start] = before_last[stop + 1] = np.inf
        before_last, last = last, before_last
    return _traced_back(steps, frames, reach)


def _band(diagonal: int, frames: int, reach: int) -> tuple[int, int]:
    """Return the frames of the first sequence within the band on an anti-diagonal, as start and stop."""
    start = max(0, diagonal - frames + 1, (diagonal - reach + 1) // 2)
    return start, min(diagonal, frames - 1, (diagonal + reach) // 2) + 1


def _least(totals: tuple[Feature, ...], steps: NDArray[np.uint8]) -> Feature:
    """Return the least of the totals of all steps, and note the step in `steps`."""
    least = totals[0].copy()
    steps[:] = 0
    for number, total in enumerate(totals[1:], 1):
        np.copyto(steps, number, where=total < least)
        np.minimum(least, total, out=least)
    return least


def _traced_back(steps: NDArray[np.uint8], frames: int, reach: int) -> NDArray[np.intp]:
    """Follow the steps back from the last pair."""
    frame, diagonal = frames - 1, 2 * frames - 2
    path = [(frame, diagonal - frame)]
    while diagonal:
        in_first, in_second = _STEPS[steps[diagonal, frame - _band(diagonal, frames, reach)[0]]]
        frame, diagonal = frame - in_first, diagonal - in_first - in_second
        path.append((frame, diagonal - frame))
    return np.array(path[::-1])
