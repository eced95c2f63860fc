"""Several factorizations side by side, each on its own threads, which gains more than dividing each one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

import numpy as np

from nmfaudio.nmf.factorization import Callback
from nmfaudio.nmf.threads import available_threads

T = TypeVar("T")
Task = Callable[[int, Callback], T]

_REPORT_SECONDS = 0.05  # time between two calls of `tell`


def side_by_side(tasks: Sequence[Task[T]], tell: Callable[[int, float], object]) -> list[T]:
    """Run tasks, as many at a time as there are cores, and return their results in order.

    Parameters
    ----------
    tasks : sequence of callables
        Each is called with the number of threads to use and a callback for `factorize`, which stops it when
        all tasks are to stop. Its result must not depend on the number of threads.
    tell : callable
        Function called in this thread with the number of iterations of all tasks and the latest objective.
        An exception from it, or from a task, stops all tasks.
    """
    cores = available_threads()
    # While all cores are busy, a task has one thread; the tasks of the last round share the cores.
    last = len(tasks) % cores
    threads = [1] * (len(tasks) - last) + [cores // max(1, last)] * last
    stopped, iterations, latest = threading.Event(), [0] * len(tasks), [np.inf]

    def callback_of(number: int) -> Callback:
        def callback(iteration: int, objective: float) -> bool:
            iterations[number], latest[0] = iteration, objective
            return stopped.is_set()

        return callback

    pool = ThreadPoolExecutor(min(cores, len(tasks)), thread_name_prefix="nmfaudio-start")
    try:
        futures = [
            pool.submit(task, threads[number], callback_of(number)) for number, task in enumerate(tasks)
        ]
        running = set(futures)
        while running:
            finished, running = wait(running, timeout=_REPORT_SECONDS)
            for future in finished:
                future.result()
            tell(sum(iterations), latest[0])
        return [future.result() for future in futures]
    finally:
        # After an error nobody waits for the running tasks: they stop at their next callback.
        stopped.set()
        pool.shutdown(wait=False, cancel_futures=True)
