"""Run `separate` on a Dask cluster, or as one job of an array."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from nmfaudio.cli.console import FAILED, WRONG_USAGE, complain, one_line, stop
from nmfaudio.cli.signals import at_signal
from nmfaudio.cluster.job import Job
from nmfaudio.cluster.outcome import Outcome
from nmfaudio.cluster.places import Place
from nmfaudio.cluster.task import Task

_SLOWEST = 3  # files that the summary names


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
    from nmfaudio.errors import ClusterError, OptionError

    outcomes, start = list[Outcome](), time.monotonic()
    try:
        with (
            connected(choice.address, any_version=choice.any_version, silent=True) as client,
            _ending_at_signals(client, sweep),
            _progress(len(tasks), shown) as advance,
        ):
            begin()
            for outcome in run_on_cluster(
                client, job, tasks, any_version=choice.any_version, piece_seconds=choice.piece_seconds
            ):
                outcomes.append(outcome)
                advance(outcome)
                yield outcome
    except OptionError as error:
        stop(str(error), WRONG_USAGE)
    except ClusterError as error:
        stop(
            str(error).replace("any_version=True", "--any-version").replace("resume=True", "--resume"), FAILED
        )
    if shown:
        _print_report(outcomes, time.monotonic() - start)


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


@contextmanager
def _progress(files: int, shown: bool) -> Iterator[Callable[[Outcome], None]]:
    """Yield a function that shows finished files, hours of sound and the time left on a terminal."""
    if not (shown and sys.stderr.isatty()):
        yield lambda outcome: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("files"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[hours]:.2f} h of sound"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        line, hours = bar.add_task("files", total=files, hours=0.0), 0.0

        def advance(outcome: Outcome) -> None:
            nonlocal hours
            hours += outcome.get("audio_seconds", 0.0) / 3600
            bar.update(line, advance=1, hours=hours)

        yield advance


def _print_report(outcomes: list[Outcome], seconds: float) -> None:
    """Print on stderr what was done, how fast, the failures of each worker, and the slowest files."""
    sound = sum(outcome.get("audio_seconds", 0.0) for outcome in outcomes)
    rate = sound / seconds if seconds else 0.0
    complain(f"{sound / 3600:.2f} hours of sound in {seconds:.1f} s: {rate:.1f} seconds of sound a second")
    failures = Counter(outcome["worker"] for outcome in outcomes if not outcome["ok"] and "worker" in outcome)
    for worker, count in failures.most_common():
        complain(f"{count} failed on the worker {worker}")
    made = [outcome for outcome in outcomes if outcome["ok"] and not outcome["found"]]
    slowest = sorted(made, key=lambda outcome: -outcome["seconds"])[:_SLOWEST]
    if len(made) > _SLOWEST:
        names = ", ".join(f"{one_line(outcome['file'])} ({outcome['seconds']:.1f} s)" for outcome in slowest)
        complain(f"the slowest files: {names}")
