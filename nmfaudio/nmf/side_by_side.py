"""Several factorizations at once: each on threads of its own, where to share each out gains less."""

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

_PATIENCE = 0.05  # seconds between two looks at how far they are


def side_by_side(tasks: Sequence[Task[T]], tell: Callable[[int, float], object]) -> list[T]:
    """Run tasks, as many at a time as there are cores, and return what they find, in order.

    Parameters
    ----------
    tasks : sequence of callables
        Each takes the number of threads to use and a callback for `factorize`, which stops it when all are
        to stop, and returns what it found: the same on any number of threads.
    tell : callable
        Called in this thread with the iterations that all have made, and the objective heard of last. It may
        raise, which stops all; so does a task that raises.
    """
    cores = available_threads()
    threads = max(1, cores // len(tasks))
    stopped, made, heard = threading.Event(), [0] * len(tasks), [np.inf]

    def callback_of(number: int) -> Callback:
        def callback(iteration: int, objective: float) -> bool:
            made[number], heard[0] = iteration, objective
            return stopped.is_set()

        return callback

    pool = ThreadPoolExecutor(min(cores, len(tasks)), thread_name_prefix="nmfaudio-start")
    try:
        futures = [pool.submit(task, threads, callback_of(number)) for number, task in enumerate(tasks)]
        running = set(futures)
        while running:
            finished, running = wait(running, timeout=_PATIENCE)
            for future in finished:
                future.result()
            tell(sum(made), heard[0])
        return [future.result() for future in futures]
    finally:
        # After an error nobody waits for those still at work: they stop at their next look.
        stopped.set()
        pool.shutdown(wait=False, cancel_futures=True)
