"""Files in, stems out: each file is separated whatever happens to the others."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from nmfaudio.cli.console import complain, progress_bar
from nmfaudio.cli.inputs import Task
from nmfaudio.cli.job import Job
from nmfaudio.cli.outcome import Outcome, failed, print_table


@dataclass(frozen=True)
class Telling:
    """How the outcomes are told."""

    as_json: bool = False
    quiet: bool = False

    def tell(self, outcome: Outcome) -> None:
        """Print one outcome: errors and warnings on stderr, the rest on stdout."""
        file = outcome["file"]
        if not outcome["ok"]:
            reason = outcome["error"]
            complain(reason if file in reason else f"{file}: {reason}")
        elif not self.quiet:
            for warning in outcome["warnings"]:
                complain(f"{file}: warning: {warning}")
        if self.as_json:
            print(json.dumps(outcome), flush=True)
        elif outcome["ok"] and not self.quiet:
            print_table(outcome)

    def sum_up(self, outcomes: list[Outcome]) -> None:
        """Print how many of several files went well, on stderr."""
        if not self.quiet and len(outcomes) > 1:
            well = [outcome for outcome in outcomes if outcome["ok"]]
            found = sum(outcome["found"] for outcome in well)
            already = f", {found} of them before" if found else ""
            told = f"{len(well)} of {len(outcomes)} files separated{already}"
            print(f"nmfaudio: {told}", file=sys.stderr, flush=True)


def run_files(job: Job, tasks: list[Task], telling: Telling, processes: int = 1) -> bool:
    """Separate files, several at a time if wanted; return whether all went well."""
    possible, outcomes = [], []
    for task, clash in _clashes(tasks):
        if clash:
            outcomes.append(failed(task.file, clash))
            telling.tell(outcomes[-1])
        else:
            possible.append(task)
    _sweep(possible)
    for outcome in _run(job, possible, telling, processes):
        telling.tell(outcome)
        outcomes.append(outcome)
    telling.sum_up(outcomes)
    return all(outcome["ok"] for outcome in outcomes)


def _run(job: Job, tasks: list[Task], telling: Telling, processes: int) -> Iterator[Outcome]:
    if processes > 1 and len(tasks) > 1:
        from nmfaudio.cli.workers import run_parallel

        yield from run_parallel(job, tasks, processes, not telling.quiet)
        return
    for task in tasks:
        with progress_bar(Path(task.file).name, not telling.quiet) as report:
            outcome = job.run(task, report)
        yield outcome


def _clashes(tasks: Iterable[Task]) -> Iterator[tuple[Task, str | None]]:
    """Give each file with what stands against it: one before it whose stems would have the same names."""
    seen: dict[tuple[Path, str], str] = {}
    for task in tasks:
        key = task.output, Path(task.file).stem
        before = seen.setdefault(key, task.file)
        same = before is not task.file
        yield (
            task,
            f"its stems would have the names of those of {before}: use another -o for it" if same else None,
        )


def _sweep(tasks: Iterable[Task]) -> None:
    """Remove what runs that are dead left in the folders of the stems."""
    from nmfaudio.disk.partial_file import sweep

    for folder in {task.output for task in tasks}:
        for place in (folder, *(path for path in folder.glob("*") if path.is_dir())):
            sweep(place)
