"""Threads for the solver, and a BLAS that uses one thread while they work."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar, copy_context
from functools import cache
from typing import Any, TypeVar

from threadpoolctl import ThreadpoolController

from nmfaudio.errors import OptionError

S = TypeVar("S")
T = TypeVar("T")

_MOST_AHEAD = 4  # items that threads work on at a time in `work_ahead`

_most_threads: ContextVar[int] = ContextVar("most_threads", default=2**31)


class WorkerPool(ThreadPoolExecutor):
    """Threads that work together with the thread that calls them.

    Parameters
    ----------
    threads : int
        Number of threads, the calling one included; at least 2.
    """

    def __init__(self, threads: int) -> None:
        super().__init__(threads - 1, thread_name_prefix="nmfaudio")
        self.threads = threads


@contextmanager
def workers(threads: int | None) -> Iterator[WorkerPool | None]:
    """Provide a pool of threads, by default one for each usable core; None where one thread is enough.

    The BLAS uses one thread meanwhile.
    """
    count = available_threads() if threads is None else threads
    if count < 1:
        raise OptionError(f"threads={count}: at least one thread is needed")
    with _single_threaded_blas:
        if count == 1:
            yield None
        else:
            with WorkerPool(count) as pool:
                yield pool


def share_out(task: Callable[[int], T], count: int, pool: WorkerPool | None) -> list[T]:
    """Call a task with each number below `count`, on the threads of the pool and on the calling thread.

    A thread takes the next number when it has finished one. After an exception no thread takes another.

    Returns
    -------
    list
        Results in the order of the numbers.

    Examples
    --------
    >>> with workers(2) as pool:
    ...     share_out(lambda number: number**2, 4, pool)
    [0, 1, 4, 9]
    """
    if pool is None:
        return [task(number) for number in range(count)]
    left, results = deque(range(count)), dict[int, Any]()

    def work() -> None:
        while True:
            try:
                number = left.popleft()
            except IndexError:
                return
            try:
                results[number] = task(number)
            except BaseException:
                left.clear()
                raise

    futures = [pool.submit(work) for _ in range(min(pool.threads, count) - 1)]
    work()
    for future in futures:
        future.result()
    return [results[number] for number in range(count)]


def work_ahead(task: Callable[[S], T], items: Iterable[S]) -> Iterator[T]:
    """Yield the results of a task for all items in order, while threads work on the items that follow.

    The items are taken by the calling thread, one after the other, so they may be read from a file. Each task
    finds one core, and the settings of the calling thread, such as those of `numpy.errstate`. Few items are
    in work at a time, because each may be a large array.

    Examples
    --------
    >>> list(work_ahead(lambda number: number**2, range(4)))
    [0, 1, 4, 9]
    """
    threads = min(available_threads(), _MOST_AHEAD)
    if threads == 1:
        yield from map(task, items)
        return

    def alone(item: S) -> T:
        with limited_threads(1):
            return task(item)

    with _single_threaded_blas, ThreadPoolExecutor(threads, thread_name_prefix="nmfaudio-ahead") as pool:
        ahead = deque[Future[T]]()
        for item in items:
            ahead.append(pool.submit(copy_context().run, alone, item))
            if len(ahead) == threads:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


@contextmanager
def limited_threads(most: int) -> Iterator[None]:
    """Let the calling thread find at most so many cores, as if the process could use no more.

    Other threads of the process are not affected, so that several runs in one process can share its cores.

    Examples
    --------
    >>> with limited_threads(1):
    ...     available_threads()
    1
    """
    token = _most_threads.set(most)
    try:
        yield
    finally:
        _most_threads.reset(token)


def available_threads() -> int:
    """Return the number of cores that this thread may use."""
    return min(_most_threads.get(), _cores())


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _SingleThreadedBlas:
    """Limits the BLAS to one thread while any caller is inside: the setting belongs to the whole process."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget all callers."""
        self._lock, self._callers, self._limit = threading.Lock(), 0, ExitStack()

    def __enter__(self) -> None:
        with self._lock:
            if self._callers == 0:
                self._limit.enter_context(_controller().limit(limits=1, user_api="blas"))
            self._callers += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._callers -= 1
            if self._callers == 0:
                self._limit.close()


_single_threaded_blas = _SingleThreadedBlas()
if hasattr(os, "register_at_fork"):
    # A forked child has none of its parent's threads: a lock that one of them held would never open.
    os.register_at_fork(after_in_child=_single_threaded_blas.reset)


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()
