"""Write one stem to the standard output."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from nmfaudio.cli.batch import OutcomePrinter
from nmfaudio.cli.console import FAILED, WRONG_USAGE, complain, stop
from nmfaudio.cli.signals import at_signal
from nmfaudio.cluster.job import Job
from nmfaudio.cluster.task import Task
from nmfaudio.suggestion import suggestion


def stem_to_stdout(job: Job, names: list[str], stem: str | None, printer: OutcomePrinter) -> None:
    """Separate one file and write one of its stems, a whole audio file, to the standard output."""
    if len(names) != 1 or printer.as_json:
        stop("-o - writes one stem of one FILE: name one file, the stem with --stem, no --json", WRONG_USAGE)
    if sys.stdout.isatty():
        stop("-o - would write audio to the terminal: redirect it to a file or a pipe", WRONG_USAGE)
    folder = tempfile.mkdtemp(prefix="nmfaudio-")
    cancel = at_signal(lambda: shutil.rmtree(folder, ignore_errors=True))
    try:
        _write(job.run(Task(names[0], Path(folder))), stem, printer)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        cancel()


def _write(outcome: dict[str, object], stem: str | None, printer: OutcomePrinter) -> None:
    if not outcome["ok"]:
        printer.print(outcome)
        raise SystemExit(FAILED)
    stems: dict[str, dict[str, str]] = outcome["stems"]  # type: ignore[assignment]
    if stem not in stems:
        meant = suggestion(stem or "", stems)
        stop(f"--stem {stem or '(not given)'}: name one of {', '.join(stems)}{meant}", WRONG_USAGE)
    try:
        with open(stems[stem]["path"], "rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer, 1 << 20)
        sys.stdout.buffer.flush()
    except OSError as error:  # for example, the reader of a pipe has ended
        complain(f"-: the standard output cannot be written ({error.strerror})")
        raise SystemExit(FAILED) from None
