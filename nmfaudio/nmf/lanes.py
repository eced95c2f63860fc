"""Frames shared out between threads, in the same portions for any number of threads."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import cache

from threadpoolctl import ThreadpoolController

from nmfaudio.errors import OptionError
from nmfaudio.nmf.layout import BLOCK_FRAMES, ROW_MULTIPLE

LANES = 8  # portions of the frames; sums of a portion are added in its order, so threads change nothing
_LEAST = 5e7  # operations worth a portion of their own: some tenths of a millisecond
_OPERATIONS = 2e9  # of one call of a kernel: some tens of milliseconds, so that Ctrl-C is answered in between


class Lanes:
    """Runs a task over portions of the frames on several threads.

    Parameters
    ----------
    frames : int
        Frames to share out.
    operations : float
        Floating-point operations of one frame, to bound the length of one call.
    pool : ThreadPoolExecutor or None
        Where to run; None runs in this thread.
    most : int, optional
        Frames of one call at most: so many of a stream are in memory for each thread.
    """

    def __init__(
        self, frames: int, operations: float, pool: ThreadPoolExecutor | None, most: int = 2**31
    ) -> None:
        worth = int(frames * operations / _LEAST) + 1
        lane = -(-frames // min(LANES, worth, -(-frames // 32)))
        lane = -(-lane // ROW_MULTIPLE) * ROW_MULTIPLE
        self.bounds = [(start, min(start + lane, frames)) for start in range(0, frames, lane)]
        most = min(int(_OPERATIONS / operations), most)
        self.step = max(1, most // BLOCK_FRAMES) * BLOCK_FRAMES
        self._pool = pool
        self._stopped = threading.Event()

    def run(self, task: Callable[[int, int, int], float]) -> float:
        """Call `task(lane, start, stop)` over all frames and return the sum of its answers, in lane order."""
        if self._pool is None:
            return sum(self._lane(task, lane) for lane in range(len(self.bounds)))
        futures = [self._pool.submit(self._lane, task, lane) for lane in range(len(self.bounds))]
        try:
            return sum(future.result() for future in futures)
        except BaseException:
            self._stopped.set()
            for future in futures:
                future.cancel()
            raise

    def _lane(self, task: Callable[[int, int, int], float], lane: int) -> float:
        total = 0.0
        start, stop = self.bounds[lane]
        for first in range(start, stop, self.step):
            if self._stopped.is_set():
                break
            total += task(lane, first, min(first + self.step, stop))
        return total


@contextmanager
def workers(threads: int | None) -> Iterator[ThreadPoolExecutor | None]:
    """Give a pool of threads (default: one for each usable core), the BLAS held to one thread each."""
    count = available_threads() if threads is None else threads
    if count < 1:
        raise OptionError(f"threads={count}: at least one thread is needed")
    with _single_threaded_blas:
        if count == 1:
            yield None
        else:
            with ThreadPoolExecutor(count, thread_name_prefix="nmfaudio") as pool:
                yield pool


def available_threads() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _SingleThreadedBlas:
    """Holds the BLAS to one thread while anybody is inside: its setting belongs to the whole process."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget who is inside."""
        self._lock, self._inside, self._limit = threading.Lock(), 0, ExitStack()

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._limit.enter_context(_controller().limit(limits=1, user_api="blas"))
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._limit.close()


_single_threaded_blas = _SingleThreadedBlas()
if hasattr(os, "register_at_fork"):
    # A child has none of the threads that were inside; a lock that one of them held would never open.
    os.register_at_fork(after_in_child=_single_threaded_blas.reset)


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()
