"""What the commands print, and the errors that end them. Heavy libraries are imported where they are used."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from nmfaudio.sound.stft import Progress

FAILED, WRONG_USAGE = 1, 2
_REFRESH_SECONDS = 0.1


def print_safely() -> None:
    """Let names that cannot be encoded be printed with escapes instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def one_line(message: str) -> str:
    """Return a message on one line: control characters, as in odd file names, are written as escapes."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in message)


def complain(message: str) -> None:
    """Print an error as one line on stderr."""
    print(f"nmfaudio: {one_line(message)}", file=sys.stderr, flush=True)


def stop(message: str, code: int) -> NoReturn:
    """Print an error and end the command."""
    import typer

    complain(message)
    raise typer.Exit(code)


def parse_settings(settings: list[str]) -> dict[str, str]:
    """Split `key=value` texts; end the command at one that is not of this form."""
    pairs = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals or not name.strip():
            stop(f"--set {setting!r} must be of the form name=value: see `nmfaudio separators`", WRONG_USAGE)
        pairs[name.strip().replace("-", "_")] = value.strip()
    return pairs


def make_separator(name: str, settings: list[str], **flags: object) -> Any:
    """Make a separator from `--set` texts and from flags that were given; end the command if that fails."""
    from nmfaudio.errors import InputError, SeparatorError
    from nmfaudio.registry import find, make

    given = {flag: value for flag, value in flags.items() if value is not None}
    try:
        known = find(name).options
        parsed = {
            option: known[option].parse(text) if option in known else text
            for option, text in parse_settings(settings).items()
        }
        return make(name, **parsed, **{flag: v for flag, v in given.items() if flag not in parsed})
    except (InputError, SeparatorError) as error:
        stop(str(error), WRONG_USAGE)


def announce_compilation(wanted: bool = True) -> None:
    """Say once, if wanted, that this process compiles the engine; a progress bar shows how far it is."""
    from nmfaudio.nmf.compilation_progress import when_compiling

    said = False

    def report(number: int, total: int) -> None:
        nonlocal said
        if not said:
            print(
                "nmfaudio: compiling the engine, once on this machine: some ten seconds",
                file=sys.stderr,
                flush=True,
            )
        said = True

    when_compiling(report if wanted else None)


@contextmanager
def progress_bar(name: str, wanted: bool) -> Iterator[Any]:
    """Give a function that shows a `Progress` on stderr, or None where nobody would see it."""
    if not (wanted and sys.stderr.isatty()):
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    from nmfaudio.nmf.compilation_progress import when_compiling

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[state]}", markup=False),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        shown = _Shown(bar, one_line(name))
        when_compiling(shown.report_compilation)
        try:
            yield shown.report
        finally:
            when_compiling(None)


@contextmanager
def worker_bars(count: int, files: int, wanted: bool) -> Iterator[WorkerBars]:
    """Give one line for each worker process, and one for all files; silent where nobody would see them."""
    if not (wanted and sys.stderr.isatty()):
        yield WorkerBars(None, 0, 0)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        yield WorkerBars(bar, count, files)


class WorkerBars:
    """What `worker_bars` gives."""

    def __init__(self, bar: Any, count: int, files: int) -> None:
        self._bar = bar
        self._lines = [bar.add_task("starting", total=None) for _ in range(count)] if bar else []
        self._all = bar.add_task("files", total=files) if bar else None

    def report(self, line: int, file: str, progress: Progress) -> None:
        """Show what a worker does."""
        if self._bar:
            told = f"{one_line(Path(file).name)}: {progress.stage}"
            done, total = progress.done, progress.total
            self._bar.update(self._lines[line], description=told, completed=done, total=total)

    def advance(self) -> None:
        """Show that one more file is done."""
        if self._bar:
            self._bar.advance(self._all)


class _Shown:
    """One line of a progress bar: the stage that is running."""

    def __init__(self, bar: Any, name: str) -> None:
        self._bar, self._name, self._stage, self._last = bar, name, "", 0.0
        self._task = bar.add_task(f"{name}: starting", total=None, state="")

    def report_compilation(self, number: int, total: int) -> None:
        self._stage = "compiling"
        described = f"{self._name}: compiling {number} of {total}, once on this machine"
        self._bar.update(self._task, description=described, completed=number, total=total, state="")

    def report(self, progress: Progress) -> None:
        now = time.monotonic()
        if progress.stage != self._stage:
            self._stage = progress.stage
            self._bar.reset(self._task, description=f"{self._name}: {progress.stage}", total=progress.total)
        elif progress.done < progress.total and now - self._last < _REFRESH_SECONDS:
            return
        self._last = now
        state = f"{progress.done}/{progress.total}"
        if progress.objective is not None:
            state += f" objective {progress.objective:.5g}"
        self._bar.update(self._task, completed=progress.done, total=progress.total, state=state)
