"""Frames divided into portions that threads work on: the same portions for any number of threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial

import numpy as np

from nmfaudio.nmf.layout import BLOCK_FRAMES, FINISHED, PORTIONS, ROW_MULTIPLE, Portions
from nmfaudio.nmf.threads import WorkerPool, share_out

_SHORTEST = 32  # frames in a portion
_LEAST_OPERATIONS = (
    5e7  # operations in a portion: below some tenths of a millisecond a thread is not worth it
)
_MOST_OPERATIONS = 2e9  # operations in one call of a task, some tens of milliseconds: Ctrl-C waits for it

_SLEEP = 5e-5  # seconds between two looks at whether the other threads are done

# Compiled call of one thread: see `kernels.update_portions` for what it takes and returns.
Update = Callable[[Portions, int, int, bool], int]


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
        self._blocks = max(1, int(_MOST_OPERATIONS / operations) // BLOCK_FRAMES)
        self._step = min(self._blocks, max(1, most // BLOCK_FRAMES)) * BLOCK_FRAMES
        self._pool = pool
        self._stopped = threading.Event()
        self._started = np.zeros(1, np.int64)

    def run(self, task: Callable[[int, int, int], float]) -> float:
        """Call `task(portion, start, stop)` over all frames; return the sum of its results."""
        try:
            return sum(share_out(partial(self._run_portion, task), len(self.bounds), self._pool))
        except BaseException:
            self._stopped.set()
            raise

    def run_compiled(self, update: Update) -> float:
        """Let each thread make compiled calls that take portions; return the sum of the objectives.

        A thread repeats its call until no portion is left. Between two calls it can be interrupted.
        """
        count = len(self.bounds)
        portions = Portions.of(self.bounds, self._started)

        def work(leads: bool) -> None:
            portion = -1
            while portion < count and not self._stopped.is_set():
                portion = update(portions, portion, self._blocks, leads)

        try:
            threads = min(self._pool.threads, count) if self._pool else 1
            futures = [self._pool.submit(work, False) for _ in range(threads - 1)] if self._pool else []
            work(True)
            while portions.counters[FINISHED] < count:
                for future in futures:
                    if future.done():
                        future.result()  # raises what happened there
                time.sleep(_SLEEP)
        except BaseException:
            self._stopped.set()
            raise
        return float(portions.objectives.sum())

    def _run_portion(self, task: Callable[[int, int, int], float], portion: int) -> float:
        total = 0.0
        start, stop = self.bounds[portion]
        for first in range(start, stop, self._step):
            if self._stopped.is_set():
                break
            total += task(portion, first, min(first + self._step, stop))
        return total
