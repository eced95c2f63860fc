"""Separate files on the workers of a Dask cluster: a task a file."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from nmfaudio.cluster.archive import audio_seconds, exists_already, note_outcome
from nmfaudio.cluster.capacity import fault_of_file, words_of_death
from nmfaudio.cluster.job import Job
from nmfaudio.cluster.outcome import Outcome, failed
from nmfaudio.cluster.pieces import PIECE_SECONDS, Pieces, check_piece_seconds
from nmfaudio.cluster.places import is_url, place_of
from nmfaudio.cluster.task import Task
from nmfaudio.cluster.versions import Versions, difference, own_versions
from nmfaudio.cluster.watching import watched
from nmfaudio.errors import ClusterError

TASKS_IN_FLIGHT = 4096  # that the scheduler knows at a time, or twice as many as there are threads of workers
_COUNTED_AFTER = 1024  # outcomes, after which the threads are counted again: clusters may grow
_SHARE_OF_MEMORY = 4  # the large arrays of a file take this part of what its thread may have
_LOST = (
    "the scheduler was lost: start it again, and run the same command with resume=True; the stems of "
    "finished files are kept"
)


def run_on_cluster(
    client: Any,
    job: Job,
    tasks: Iterable[Task],
    *,
    any_version: bool = False,
    piece_seconds: float = PIECE_SECONDS,
) -> Iterator[Outcome]:
    """Separate files on a cluster; yield each outcome when it comes.

    Dask starts a task again on another worker when its worker is lost. Where no worker is left, an
    `NmfaudioWarning` says so, and the run waits for new ones.

    Parameters
    ----------
    client : distributed.Client
        Connection to the scheduler.
    job : Job
        What is done to each file.
    tasks : iterable of Task
        The files.
    any_version : bool
        Whether workers with other versions of nmfaudio, numba or numpy may be used.
    piece_seconds : float
        Recordings that last longer are separated in pieces of at most this duration, on several workers.

    Raises
    ------
    ClusterError
        When the scheduler is lost.
    OptionError
        When pieces are shorter than `LEAST_PIECE_SECONDS`.
    """
    from distributed import as_completed

    check_piece_seconds(piece_seconds)
    expected = None if any_version else own_versions()
    repeatable = _repeatable(job)
    running, completed = dict[Any, Task](), as_completed(loop=client.loop)
    waiting = iter(tasks)

    def submit(most: int) -> Iterator[Outcome]:
        """Submit files until so many are running; yield the outcomes of those that cannot be done."""
        while len(running) < most and (task := next(waiting, None)):
            if existing := _not_replaced(task, job):
                yield failed(task.file, f"{existing} exists: pass overwrite=True, or choose another folder")
                continue
            given = repeatable, _absolute(task), expected, piece_seconds
            try:
                future = client.submit(_separate, *given, pure=False)
            except OSError:  # the connection broke meanwhile
                raise ClusterError(_LOST) from None
            running[future] = task
            completed.add(future)

    try:
        with watched(client):
            most, done = _most_in_flight(client), 0
            yield from submit(most)
            while running:
                future = next(completed)
                yield _outcome(future, running.pop(future), job)
                done += 1
                if done % _COUNTED_AFTER == 0:
                    most = _most_in_flight(client)
                yield from submit(most)
    finally:
        with suppress(Exception):  # a scheduler that was lost knows no task any more
            client.cancel(list(running))


def _most_in_flight(client: Any) -> int:
    threads: Mapping[str, int] = {}
    with suppress(OSError):  # a scheduler that was lost is noticed by its tasks
        threads = client.nthreads()
    return max(TASKS_IN_FLIGHT, 2 * sum(threads.values()))


def _separate(job: Job, task: Task, expected: Versions | None, piece_seconds: float) -> Outcome:
    """Separate a file on a worker, on one thread: Dask runs a task for each thread of a worker."""
    from distributed import get_worker

    from nmfaudio.nmf.threads import limited_threads

    worker = get_worker()
    address = str(worker.address)
    job = _with_memory_of(worker, job)
    if expected and (fault := difference(expected, own_versions())):
        outcome = failed(task.file, f"its worker has {fault}: install the same versions there")
    elif fault := fault_of_file(worker, task.file, job.options.get("memory") or 0):
        outcome = failed(task.file, fault)
    else:
        with limited_threads(1):
            outcome = _run_in_pieces(job, task, piece_seconds)
    note_outcome(task, job.options, outcome)
    if not outcome["ok"]:
        outcome["error"] += f" (on the worker {address})"
        return {**outcome, "worker": address}
    return {**outcome, "worker": address, "audio_seconds": audio_seconds(outcome)}


def _run_in_pieces(job: Job, task: Task, piece_seconds: float) -> Outcome:
    """Separate a file; other workers make the pieces of a long one, unless it lies behind a URL."""
    if is_url(task.file) or is_url(task.output):
        return job.run(task)
    pieces = Pieces(repr(job.separator), piece_seconds)
    try:
        outcome = replace(job, options={**job.options, "distribute": pieces.distribute}).run(task)
    finally:
        pieces.remove()
    if pieces.note and outcome["ok"]:
        outcome["notes"].append(pieces.note)
    return {**outcome, "pieces": pieces.count}


def _with_memory_of(worker: Any, job: Job) -> Job:
    """Return the job with the memory that one thread of a worker may use, where none is given."""
    limit = worker.memory_manager.memory_limit
    if job.options.get("memory") or not limit:
        return job
    share = int(limit) // worker.state.nthreads // _SHARE_OF_MEMORY
    return replace(job, options={**job.options, "memory": max(1, share)})


def _repeatable(job: Job) -> Job:
    """Return the job as it is sent: a task may run twice, and paths must be the same in every folder.

    The second run of a task finds the stems of the first; `resume` keeps them.
    """
    from nmfaudio.models.options import rules_of

    separator = job.separator
    if dataclasses.is_dataclass(separator) and not isinstance(separator, type):
        reading = {
            f.name: _absolute_paths(getattr(separator, f.name))
            for f in dataclasses.fields(separator)
            if rules_of(f).reads
        }
        separator = replace(separator, **reading)
    options = dict(job.options)
    if not options.get("overwrite"):
        options["resume"] = True
    return Job(separator, options)


def _absolute_paths(value: Any) -> Any:
    if isinstance(value, str | os.PathLike):
        return type(value)(os.path.abspath(value))  # type: ignore[call-arg]
    if isinstance(value, tuple | list):
        return type(value)(_absolute_paths(one) for one in value)
    return value


def _absolute(task: Task) -> Task:
    file, output = place_of(task.file), task.output
    return Task(
        os.path.abspath(file) if isinstance(file, Path) else task.file,
        output.absolute() if isinstance(output, Path) else output,
    )


def _not_replaced(task: Task, job: Job) -> object:
    if job.options.get("overwrite") or job.options.get("resume"):
        return None
    return exists_already(task, job.options)


def _outcome(future: Any, task: Task, job: Job) -> Outcome:
    """Return the outcome of a finished task, also where its workers died."""
    from distributed import KilledWorker

    try:
        return {**future.result(), "file": task.file}
    except KilledWorker as error:
        reason = words_of_death(error, "separated it")
    except Exception as error:  # a task may raise anything
        if future.status != "error" and isinstance(error, CancelledError | OSError):
            raise ClusterError(_LOST) from None  # before the outcome arrived, or on its way
        reason = f"its worker failed with {type(error).__name__}: {error}"
    outcome = failed(task.file, reason)
    note_outcome(task, job.options, outcome)
    return outcome
