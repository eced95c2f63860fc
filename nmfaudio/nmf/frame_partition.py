"""Frames divided into portions that threads work on: the same portions for any number of threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

from nmfaudio.nmf.layout import BLOCK_FRAMES, ROW_MULTIPLE
from nmfaudio.nmf.threads import WorkerPool, share_out

# The number of portions never depends on the number of threads, and the sums of portions are added in their
# order: so the result is the same, bit by bit, for any number of threads.
PORTIONS = 8
_SHORTEST = 32  # frames in a portion
_LEAST_OPERATIONS = (
    5e7  # operations in a portion: below some tenths of a millisecond a thread is not worth it
)
_MOST_OPERATIONS = 2e9  # operations in one call of a task, some tens of milliseconds: Ctrl-C waits for it


class FramePartition:
    """Runs a task over portions of the frames on several threads.

    Parameters
    ----------
    frames : int
        Number of frames.
    operations : float
        Floating-point operations for one frame, which bound the length of one call.
    pool : WorkerPool or None
        Threads to use; None uses the calling thread.
    most : int, optional
        Largest number of frames in one call. Each thread holds so many frames of a stream in memory.

    Attributes
    ----------
    bounds : list of tuple
        First frame of each portion, and the frame after its last.
    """

    def __init__(self, frames: int, operations: float, pool: WorkerPool | None, most: int = 2**31) -> None:
        useful = int(frames * operations / _LEAST_OPERATIONS) + 1
        length = -(-frames // min(PORTIONS, useful, -(-frames // _SHORTEST)))
        length = -(-length // ROW_MULTIPLE) * ROW_MULTIPLE
        self.bounds = [(start, min(start + length, frames)) for start in range(0, frames, length)]
        most = min(int(_MOST_OPERATIONS / operations), most)
        self._step = max(1, most // BLOCK_FRAMES) * BLOCK_FRAMES
        self._pool = pool
        self._stopped = threading.Event()

    def run(self, task: Callable[[int, int, int], float]) -> float:
        """Call `task(portion, start, stop)` over all frames; return the sum of its results."""
        try:
            return sum(share_out(partial(self._run_portion, task), len(self.bounds), self._pool))
        except BaseException:
            self._stopped.set()
            raise

    def _run_portion(self, task: Callable[[int, int, int], float], portion: int) -> float:
        total = 0.0
        start, stop = self.bounds[portion]
        for first in range(start, stop, self._step):
            if self._stopped.is_set():
                break
            total += task(portion, first, min(first + self._step, stop))
        return total
