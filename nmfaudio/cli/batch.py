"""Files in, stems out: each file is separated whatever happens to the others."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nmfaudio.cli.console import complain, progress_bar
from nmfaudio.cli.inputs import Task
from nmfaudio.cli.outcome import Outcome, failed, print_table, succeeded


@dataclass(frozen=True)
class Job:
    """What is done to each file.

    Parameters
    ----------
    separator : Separator
    options : dict
        What else `separate_file` takes by keyword.
    """

    separator: Any
    options: dict[str, Any] = field(default_factory=dict)

    def run(self, task: Task, report: Any = None) -> Outcome:
        """Separate one file; return what came of it, failures included."""
        from nmfaudio.errors import NmfaudioError
        from nmfaudio.separation import separate_file

        file = task.file
        try:
            written = separate_file(file, task.output, self.separator, report=report, **self.options)
        except NmfaudioError as error:
            return failed(file, str(error))
        except MemoryError:
            return failed(
                file, "the memory did not suffice: separate a shorter part, or close other programs"
            )
        except Exception as error:  # one file must not end the others; what a bug says is told
            return failed(file, f"{type(error).__name__}: {error} (a bug in nmfaudio: please report it)")
        return succeeded(file, written)


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


def run_files(job: Job, tasks: list[Task], telling: Telling) -> bool:
    """Separate one file after the other; return whether all went well."""
    well = True
    for task in tasks:
        with progress_bar(Path(task.file).name, not telling.quiet) as report:
            outcome = job.run(task, report)
        telling.tell(outcome)
        well = well and outcome["ok"]
    return well
