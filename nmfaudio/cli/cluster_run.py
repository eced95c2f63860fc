"""Run `separate` on a Dask cluster, or as one job of an array."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from nmfaudio.cli.cluster_progress import files_progress, print_report
from nmfaudio.cli.console import FAILED, WRONG_USAGE, stop
from nmfaudio.cli.signals import at_signal
from nmfaudio.cluster.job import Job
from nmfaudio.cluster.outcome import Outcome
from nmfaudio.cluster.places import Place
from nmfaudio.cluster.task import Task


@dataclass(frozen=True)
class ClusterChoice:
    """Which cluster the command line asks for.

    Attributes
    ----------
    address : str
        Address of a scheduler, a scheduler file, or `local:4`.
    any_version : bool
        Whether workers with other versions may be used.
    piece_seconds : float
        Recordings that last longer are separated in pieces.
    """

    address: str
    any_version: bool
    piece_seconds: float


def run_over_cluster(
    job: Job,
    tasks: list[Task],
    choice: ClusterChoice,
    shown: bool,
    *,
    begin: Callable[[], None],
    sweep: Callable[[], None],
) -> Iterator[Outcome]:
    """Separate files on a cluster; yield each outcome when it comes; end the command where that fails.

    Parameters
    ----------
    job : Job
        What is done to each file.
    tasks : list of Task
        The files.
    choice : ClusterChoice
        The cluster.
    shown : bool
        Whether to show the progress and a summary.
    begin : callable
        Called once when the cluster is ready.
    sweep : callable
        Removes what killed processes left; called when a signal ends the command.
    """
    from nmfaudio.cluster.connection import connected
    from nmfaudio.cluster.separation import run_on_cluster
    from nmfaudio.cluster.sharing import check_tasks
    from nmfaudio.errors import ClusterError, OptionError

    outcomes, start = list[Outcome](), time.monotonic()
    try:
        with (
            connected(
                choice.address,
                any_version=choice.any_version,
                silent=True,
                memory=int(job.options.get("memory") or 0),
            ) as client,
            _ending_at_signals(client, sweep),
            files_progress(len(tasks), shown) as progress,
        ):
            check_tasks(client, tasks)
            begin()
            for outcome in run_on_cluster(
                client, job, tasks, any_version=choice.any_version, piece_seconds=choice.piece_seconds
            ):
                outcomes.append(outcome)
                progress.add(outcome)
                with progress.hidden():
                    yield outcome
    except OptionError as error:
        stop(str(error), WRONG_USAGE)
    except ClusterError as error:
        stop(str(error), FAILED)
    if shown:
        print_report(outcomes, time.monotonic() - start)


def part_of_archive(tasks: list[Task], shard: str) -> list[Task]:
    """Return the files that this job of an array takes; end the command at a malformed part."""
    from nmfaudio.cluster.archive import shard_of
    from nmfaudio.errors import OptionError

    try:
        return shard_of(tasks, shard)
    except OptionError as error:
        stop(str(error), WRONG_USAGE)


def write_list(tasks: list[Task], output: Place, filename: str) -> None:
    """Write the list of an archive's files beside its stems; end the command where that fails."""
    from nmfaudio.cluster.archive import note_files
    from nmfaudio.errors import NmfaudioError

    try:
        note_files(output, tasks, filename)
    except NmfaudioError as error:
        stop(str(error), FAILED)


@contextmanager
def _ending_at_signals(client: Any, sweep: Callable[[], None]) -> Iterator[None]:
    """End local workers and remove their unfinished files when a signal ends the command."""

    def end() -> None:
        nannies = getattr(client.cluster, "workers", {}).values() if client.cluster else ()
        for nanny in nannies:
            with suppress(OSError, TypeError):
                os.kill(nanny.pid, signal.SIGKILL)
        if nannies:
            time.sleep(0.05)  # until the locks of their files are released
            sweep()

    cancel = at_signal(end)
    try:
        yield
    finally:
        cancel()
