"""Separate several files: each one is separated, whatever happens to the others."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from nmfaudio.cli.cluster_run import ClusterChoice, part_of_archive, run_over_cluster, write_list
from nmfaudio.cli.console import complain, progress_bar
from nmfaudio.cli.outcome import print_table
from nmfaudio.cluster.archive import note_outcome
from nmfaudio.cluster.job import Job
from nmfaudio.cluster.outcome import Outcome, failed
from nmfaudio.cluster.places import Place
from nmfaudio.cluster.task import Task


@dataclass(frozen=True)
class OutcomePrinter:
    """Prints the outcomes of files.

    Attributes
    ----------
    as_json : bool
        Whether to print one JSON object a file instead of tables.
    quiet : bool
        Whether to print only errors.
    """

    as_json: bool = False
    quiet: bool = False

    def print(self, outcome: Outcome) -> None:
        """Print one outcome: errors and warnings on stderr, everything else on stdout."""
        file = outcome["file"]
        if not outcome["ok"]:
            reason = outcome["error"]
            print(outcome.get("traceback", ""), end="", file=sys.stderr)
            complain(reason if file in reason else f"{file}: {reason}")
        elif not self.quiet:
            for warning in outcome["warnings"]:
                complain(f"{file}: warning: {warning}")
        if self.as_json:
            print(json.dumps(outcome), flush=True)
        elif outcome["ok"] and not self.quiet:
            print_table(outcome)

    def print_summary(self, outcomes: list[Outcome]) -> None:
        """Print on stderr how many of several files were separated."""
        if not self.quiet and len(outcomes) > 1:
            separated = [outcome for outcome in outcomes if outcome["ok"]]
            existing = sum(outcome["found"] for outcome in separated)
            already = f", {existing} of them by an earlier run" if existing else ""
            summary = f"{len(separated)} of {len(outcomes)} files separated{already}"
            print(f"nmfaudio: {summary}", file=sys.stderr, flush=True)


def run_files(
    job: Job,
    tasks: list[Task],
    printer: OutcomePrinter,
    processes: int = 1,
    *,
    cluster: ClusterChoice | None = None,
    shard: str | None = None,
    archive: Place | None = None,
) -> bool:
    """Separate files, several at a time if wanted; return whether all succeeded.

    `archive` is the folder of all stems where the run is one of an archive of several files: a list of the
    files, and the reason of each failure, are written there.
    """
    possible, outcomes = [], []
    for task, clash in _clashes(tasks):
        if clash:
            outcomes.append(failed(task.file, clash))
            printer.print(outcomes[-1])
        else:
            possible.append(task)
    everything = possible
    if shard:
        possible = part_of_archive(possible, shard)

    def begin() -> None:
        if archive is not None:
            write_list(everything, archive, job.options["filename"])
        _sweep(possible)

    by_name = {task.file: task for task in possible}
    for outcome in _run(job, possible, printer, processes, cluster, begin):
        if archive is not None and not cluster:  # workers of a cluster do it themselves
            note_outcome(by_name[outcome["file"]], job.options, outcome)
        printer.print(outcome)
        outcomes.append(outcome)
    printer.print_summary(outcomes)
    return all(outcome["ok"] for outcome in outcomes)


def _run(
    job: Job,
    tasks: list[Task],
    printer: OutcomePrinter,
    processes: int,
    cluster: ClusterChoice | None,
    begin: Callable[[], None],
) -> Iterator[Outcome]:
    shown = not printer.quiet
    if cluster:
        yield from run_over_cluster(job, tasks, cluster, shown, begin=begin, sweep=lambda: _sweep(tasks))
        return
    begin()
    if processes > 1 and len(tasks) > 1:
        from nmfaudio.cli.workers import run_parallel

        yield from run_parallel(job, tasks, processes, shown)
        return
    for task in tasks:
        with progress_bar(Path(task.file).name, shown) as report:
            outcome = job.run(task, report)
        yield outcome


def _clashes(tasks: Iterable[Task]) -> Iterator[tuple[Task, str | None]]:
    """Yield each file with an error where its stems would have the names of those of an earlier file."""
    seen: dict[tuple[Place, str], str] = {}
    for task in tasks:
        key = task.output, Path(task.file).stem
        first = seen.setdefault(key, task.file)
        clash = f"its stems would have the names of those of {first}: separate it into another folder (-o)"
        yield task, clash if first is not task.file else None


def _sweep(tasks: Iterable[Task]) -> None:
    """Remove what crashed runs left in the folders of the stems."""
    from nmfaudio.disk.partial_file import remove_orphaned_files

    for folder in {task.output for task in tasks if isinstance(task.output, Path)}:
        for place in (folder, *(path for path in folder.glob("*") if path.is_dir())):
            remove_orphaned_files(place)
