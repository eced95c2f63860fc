"""One stem to the standard output."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from nmfaudio.cli.batch import Telling
from nmfaudio.cli.console import FAILED, WRONG_USAGE, complain, stop
from nmfaudio.cli.inputs import Task
from nmfaudio.cli.job import Job
from nmfaudio.cli.signals import before_the_end


def stem_to_stdout(job: Job, names: list[str], stem: str | None, telling: Telling) -> None:
    """Separate one file and write one of its stems to the standard output, header and all."""
    if len(names) != 1 or telling.as_json:
        stop("-o - writes one stem of one FILE: name one file, the stem with --stem, no --json", WRONG_USAGE)
    if sys.stdout.isatty():
        stop("-o - would write audio to the terminal: redirect it to a file or a pipe", WRONG_USAGE)
    folder = tempfile.mkdtemp(prefix="nmfaudio-")
    forget = before_the_end(lambda: shutil.rmtree(folder, ignore_errors=True))
    try:
        _write(job.run(Task(names[0], Path(folder))), stem, telling)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        forget()


def _write(outcome: dict[str, object], stem: str | None, telling: Telling) -> None:
    if not outcome["ok"]:
        telling.tell(outcome)
        raise SystemExit(FAILED)
    stems: dict[str, dict[str, str]] = outcome["stems"]  # type: ignore[assignment]
    if stem not in stems:
        stop(f"--stem {stem or '(not given)'}: there are {', '.join(stems)}", WRONG_USAGE)
    try:
        with open(stems[stem]["path"], "rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer, 1 << 20)
        sys.stdout.buffer.flush()
    except OSError as error:  # such as a reader that ended before
        complain(f"-: the standard output cannot be written ({error.strerror})")
        raise SystemExit(FAILED) from None
