"""Separate several files at a time, each in a process of its own, which may even be killed."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from typing import Any

from nmfaudio.cli.console import announce_compilation, worker_bars
from nmfaudio.cli.signals import at_signal, listen
from nmfaudio.cluster.job import Job
from nmfaudio.cluster.outcome import Outcome, failed
from nmfaudio.cluster.task import Task

_REPORT_SECONDS = 0.2  # between two reports of a worker
_CLEANUP_SECONDS = 0.3  # that workers have to clean up when the run ends


def run_parallel(job: Job, tasks: list[Task], count: int, shown: bool) -> Iterator[Outcome]:
    """Separate files in `count` processes; yield each outcome when it comes.

    A file whose process dies is tried once more, alone, after all others.
    """
    pool = _WorkerPool(_with_share_of_memory(job, count), shown)
    cancel = at_signal(pool.end)
    try:
        lost = yield from pool.work(tasks, count)
        pool.end()
        for task, _ in lost:
            for again, reason in (yield from pool.work([task], 1)):
                yield failed(again.file, f"{reason}, and again when it was tried alone: {_WAY_OUT}")
    finally:
        pool.end()
        cancel()


Lost = tuple[Task, str]  # a task whose process died, and how
_WAY_OUT = "perhaps there was too little memory: lower --memory, or separate a shorter part"


def _with_share_of_memory(job: Job, count: int) -> Job:
    """Return the job with the part of the memory that each of `count` processes may take."""
    from nmfaudio.disk.memory_budget import default_budget

    memory = job.options.get("memory") or default_budget()
    return replace(job, options={**job.options, "memory": max(1, memory // count)})


@dataclass
class _Worker:
    """A process and the file that it separates."""

    process: Any
    connection: Connection
    task: Task
    line: int

    def death(self) -> str:
        """Return how the process died."""
        self.process.join()
        code = self.process.exitcode
        if code < 0:
            with contextlib.suppress(ValueError):
                return f"its process was killed by {signal.Signals(-code).name}"
        return f"its process ended with code {code}"


class _WorkerPool:
    """The processes that separate files."""

    def __init__(self, job: Job, shown: bool) -> None:
        self._job, self._shown = job, shown
        self._context = multiprocessing.get_context("spawn")
        self._workers: dict[int, _Worker] = {}

    def work(self, tasks: list[Task], count: int) -> Generator[Outcome, None, list[Lost]]:
        """Do the tasks; yield their outcomes; return the tasks whose processes died, and how they died."""
        waiting, lost = deque(tasks), list[Lost]()
        with worker_bars(min(count, len(tasks)), len(tasks), self._shown) as bars:
            for line in range(min(count, len(tasks))):
                self._start(waiting.popleft(), line, count)
            while self._workers:
                for worker in self._ready():
                    message = _received(worker)
                    if message is None:
                        del self._workers[worker.line]
                        lost.append((worker.task, worker.death()))
                        if waiting:
                            self._start(waiting.popleft(), worker.line, count)
                    elif isinstance(message, dict):
                        bars.advance()
                        with bars.hidden():
                            yield message
                        self._continue(worker, waiting)
                    else:
                        bars.report(worker.line, worker.task.file, message)
        return lost

    def end(self) -> None:
        """End all processes; each removes its unfinished files."""
        for worker in self._workers.values():
            worker.process.terminate()
        deadline = time.monotonic() + _CLEANUP_SECONDS
        for worker in self._workers.values():
            worker.process.join(max(0.0, deadline - time.monotonic()))
            if worker.process.is_alive():
                worker.process.kill()
        self._workers.clear()

    def _start(self, task: Task, line: int, count: int) -> None:
        ours, theirs = self._context.Pipe()
        given = theirs, self._job, _cores(line, count), self._shown
        process = self._context.Process(target=_serve, args=given, daemon=True)
        process.start()
        theirs.close()
        self._workers[line] = _Worker(process, ours, task, line)
        with contextlib.suppress(OSError):  # a dead process is noticed later
            ours.send(task)

    def _continue(self, worker: _Worker, waiting: deque[Task]) -> None:
        if waiting:
            worker.task = waiting.popleft()
            with contextlib.suppress(OSError):
                worker.connection.send(worker.task)
        else:
            worker.connection.close()  # which ends it
            worker.process.join()
            del self._workers[worker.line]

    def _ready(self) -> list[_Worker]:
        ready = wait([worker.connection for worker in self._workers.values()])
        return [worker for worker in list(self._workers.values()) if worker.connection in ready]


def _received(worker: _Worker) -> Any:
    """Return the next message of a worker; None if it is dead."""
    try:
        return worker.connection.recv()
    except (EOFError, OSError):
        return None


def _cores(line: int, count: int) -> list[int]:
    """Return the cores of one of `count` processes, which share all cores."""
    if not hasattr(os, "sched_getaffinity"):
        return []
    cores = sorted(os.sched_getaffinity(0))
    return cores[line::count] or [cores[line % len(cores)]]


def _serve(connection: Connection, job: Job, cores: list[int], shown: bool) -> None:
    """Separate the files that a connection names until it is closed; the main function of a worker."""
    listen(silent=True)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the first process, which ends the others
    if cores:
        os.sched_setaffinity(0, cores)
    announce_compilation(shown)
    with contextlib.suppress(EOFError, OSError):  # the first process has ended
        while True:
            task = connection.recv()
            connection.send(job.run(task, _reporting(connection)))


def _reporting(connection: Connection) -> Callable[[Any], None]:
    """Return a function that sends a `Progress` from time to time."""
    last, stage = 0.0, ""

    def report(progress: Any) -> None:
        nonlocal last, stage
        now = time.monotonic()
        if progress.stage != stage or now - last > _REPORT_SECONDS:
            last, stage = now, progress.stage
            connection.send(progress)

    return report
