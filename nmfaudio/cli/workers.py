"""Several files at a time, each in a process of its own that may even be killed."""

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
from nmfaudio.cli.inputs import Task
from nmfaudio.cli.job import Job
from nmfaudio.cli.outcome import Outcome, failed
from nmfaudio.cli.signals import before_the_end, listen

_REPORT_SECONDS = 0.2  # between two reports of a worker
_PATIENCE = 0.3  # seconds that workers have to clean up when all ends


def run_parallel(job: Job, tasks: list[Task], count: int, shown: bool) -> Iterator[Outcome]:
    """Separate files in `count` processes; give each outcome as it comes.

    A file whose process dies is tried once more, alone, after all others.
    """
    crew = _Crew(_sharing(job, count), shown)
    forget = before_the_end(crew.end)
    try:
        lost = yield from crew.work(tasks, count)
        crew.end()
        for task, _ in lost:
            for again, reason in (yield from crew.work([task], 1)):
                yield failed(again.file, f"{reason}, and when it was tried again alone: {_WAY_OUT}")
    finally:
        crew.end()
        forget()


Lost = tuple[Task, str]  # a task whose process died, and how
_WAY_OUT = "perhaps for want of memory; lower --memory, or separate a shorter part"


def _sharing(job: Job, count: int) -> Job:
    """Return the job with the part of the memory that one of `count` processes may take."""
    from nmfaudio.disk.memory_budget import default_budget

    memory = job.options.get("memory") or default_budget()
    return replace(job, options={**job.options, "memory": max(1, memory // count)})


@dataclass
class _Worker:
    """A process and the file that it has."""

    process: Any
    connection: Connection
    task: Task
    line: int

    def death(self) -> str:
        """Say how it died."""
        self.process.join()
        code = self.process.exitcode
        if code < 0:
            with contextlib.suppress(ValueError):
                return f"its process was killed by {signal.Signals(-code).name}"
        return f"its process ended with code {code}"


class _Crew:
    """The processes that are at work."""

    def __init__(self, job: Job, shown: bool) -> None:
        self._job, self._shown = job, shown
        self._context = multiprocessing.get_context("spawn")
        self._workers: dict[int, _Worker] = {}

    def work(self, tasks: list[Task], count: int) -> Generator[Outcome, None, list[Lost]]:
        """Do the tasks; give outcomes; return the tasks whose processes died, and how."""
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
                        yield message
                        self._continue(worker, waiting)
                    else:
                        bars.report(worker.line, worker.task.file, message)
        return lost

    def end(self) -> None:
        """End all processes: they remove what they have not finished."""
        for worker in self._workers.values():
            worker.process.terminate()
        deadline = time.monotonic() + _PATIENCE
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
        with contextlib.suppress(OSError):  # a process that is dead already is noticed later
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
    """Return what a worker says, None if it is dead."""
    try:
        return worker.connection.recv()
    except (EOFError, OSError):
        return None


def _cores(line: int, count: int) -> list[int]:
    """Return the cores of one of `count` processes: they share all cores out."""
    if not hasattr(os, "sched_getaffinity"):
        return []
    cores = sorted(os.sched_getaffinity(0))
    return cores[line::count] or [cores[line % len(cores)]]


def _serve(connection: Connection, job: Job, cores: list[int], shown: bool) -> None:
    """Separate the files that are named on a connection until it is closed: all that a worker does."""
    listen(silent=True)
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C reaches all processes; the first one ends the others
    if cores:
        os.sched_setaffinity(0, cores)
    announce_compilation(shown)
    with contextlib.suppress(EOFError, OSError):  # then the first process is gone
        while True:
            task = connection.recv()
            connection.send(job.run(task, _reporting(connection)))


def _reporting(connection: Connection) -> Callable[[Any], None]:
    """Return a function that sends a `Progress` now and then."""
    last, stage = 0.0, ""

    def report(progress: Any) -> None:
        nonlocal last, stage
        now = time.monotonic()
        if progress.stage != stage or now - last > _REPORT_SECONDS:
            last, stage = now, progress.stage
            connection.send(progress)

    return report
