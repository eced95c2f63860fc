"""What the commands print, and the errors that end them. Heavy libraries are imported where they are used."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from nmfaudio.sound.progress import Progress

FAILED, WRONG_USAGE = 1, 2
_REFRESH_SECONDS = 0.1
# Parameters of Python that library messages name, and that are flags of the commands.
_FLAGS = "overwrite|format|subtype|clip_mode|memory|phase_rounds|strict|sources|filename"
_PARAMETER = re.compile(rf"\b({_FLAGS})=(True|\"[^\"]*\"|-?\d+\b)")


def print_safely() -> None:
    """Let names that cannot be encoded be printed with escapes instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def one_line(message: str) -> str:
    """Return a message on one line: control characters, as in odd file names, are written as escapes."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in message)


def with_flags(message: str) -> str:
    """Return a message of the library with flags of the command line instead of parameters of Python.

    Examples
    --------
    >>> with_flags('pass overwrite=True, or use subtype="FLOAT"')
    'pass --overwrite, or use --subtype FLOAT'
    """

    def flag(match: re.Match[str]) -> str:
        name, value = match[1].replace("_", "-"), match[2].strip('"')
        return f"--{name}" if value == "True" else f"--{name} {value}"

    return _PARAMETER.sub(flag, message)


def complain(message: str) -> None:
    """Print an error or a warning as one line on stderr."""
    print(f"nmfaudio: {one_line(with_flags(message))}", file=sys.stderr, flush=True)


def stop(message: str, code: int) -> NoReturn:
    """Print an error and end the command."""
    import typer

    complain(message)
    raise typer.Exit(code)


def parse_settings(settings: list[str]) -> dict[str, str]:
    """Split texts of the form `name=value`; end the command at one that is not of this form."""
    pairs = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals or not name.strip():
            stop(f"--set {setting!r} must have the form name=value: see `nmfaudio separators`", WRONG_USAGE)
        pairs[name.strip().replace("-", "_")] = value.strip()
    return pairs


def make_separator(name: str, settings: list[str], **flags: object) -> Any:
    """Make a separator from `--set` texts and from flags that were given; end the command if that fails."""
    from nmfaudio.errors import InputError, SeparatorError
    from nmfaudio.pipeline.registry import find, make, with_present_names

    given = {flag: value for flag, value in flags.items() if value is not None}
    try:
        options = find(name).options
        texts = with_present_names(parse_settings(settings), options)
        parsed = {
            option: options[option].parse(text) if option in options else text
            for option, text in texts.items()
        }
        return make(name, **parsed, **{flag: v for flag, v in given.items() if flag not in parsed})
    except (InputError, SeparatorError) as error:
        stop(str(error), WRONG_USAGE)


def announce_compilation(wanted: bool = True) -> None:
    """Print one line, if it is wanted, when this process compiles the engine for this machine."""
    from nmfaudio.nmf.compilation_progress import when_compiling

    has_printed = False

    def report(number: int, total: int) -> None:
        nonlocal has_printed
        if not has_printed:
            message = "nmfaudio: compiling the engine, once on this machine: some ten seconds"
            print(message, file=sys.stderr, flush=True)
        has_printed = True

    when_compiling(report if wanted else None)


@contextmanager
def progress_bar(name: str, wanted: bool) -> Iterator[Any]:
    """Yield a function that shows a `Progress` on stderr; None where nobody would see it."""
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
        line = _StageLine(bar, one_line(name))
        when_compiling(line.report_compilation)
        try:
            yield line.report
        finally:
            when_compiling(None)


@contextmanager
def worker_bars(count: int, files: int, wanted: bool) -> Iterator[WorkerBars]:
    """Yield a line for each worker process and one for all files; they are silent where nobody sees them."""
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
    """Lines of a progress bar: one for each worker process, and one for all files."""

    def __init__(self, bar: Any, count: int, files: int) -> None:
        self._bar = bar
        self._lines = [bar.add_task("starting", total=None) for _ in range(count)] if bar else []
        self._all = bar.add_task("files", total=files) if bar else None

    def report(self, line: int, file: str, progress: Progress) -> None:
        """Show what a worker does."""
        if self._bar:
            description = f"{one_line(Path(file).name)}: {progress.stage}"
            done, total = progress.done, progress.total
            self._bar.update(self._lines[line], description=description, completed=done, total=total)

    def advance(self) -> None:
        """Show that one more file is finished."""
        if self._bar:
            self._bar.advance(self._all)


class _StageLine:
    """One line of a progress bar: the stage that is running."""

    def __init__(self, bar: Any, name: str) -> None:
        self._bar, self._name, self._stage, self._last_time = bar, name, "", 0.0
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
        elif progress.done < progress.total and now - self._last_time < _REFRESH_SECONDS:
            return
        self._last_time = now
        state = f"{progress.done}/{progress.total}"
        if progress.objective is not None:
            state += f" objective {progress.objective:.5g}"
        self._bar.update(self._task, completed=progress.done, total=progress.total, state=state)
