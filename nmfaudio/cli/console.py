"""What the commands print, and the errors that end them. Heavy libraries are imported where they are used."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from nmfaudio.cli.debugging import traceback_text

if TYPE_CHECKING:
    from nmfaudio.sound.progress import Progress

FAILED, WRONG_USAGE = 1, 2
_REFRESH_SECONDS = 0.1
# Seconds after which a command that shows no bar prints the first line about its progress, and between lines.
_FIRST_LINE_SECONDS, _LINE_SECONDS = 2.0, 10.0
COMPILING = "compiling for your processor"
# Parameters of Python that library messages name, and that are flags of the commands.
_FLAGS = (
    "overwrite|format|subtype|clip_mode|memory|phase_rounds|strict|sources|filename|only|start|end|in_place|track|"
    "dictionary|midi|solo|silent|range|oneshots|free|rest|resume|any_version"
)
_PARAMETER = re.compile(rf"\b({_FLAGS})=(True|\.\.\.|\"[^\"]*\"|-?\d+\b)")


def print_safely() -> None:
    """Let names that cannot be encoded be printed with escapes instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def warn_in_one_line() -> None:
    """Print warnings of the library as `complain` does, and not with a line of Python code."""
    import warnings

    from nmfaudio.errors import NmfaudioWarning

    show = warnings.showwarning

    def shown(message: Any, category: type[Warning], *place: Any, **more: Any) -> None:
        if issubclass(category, NmfaudioWarning):
            complain(f"warning: {message}")
        else:
            show(message, category, *place, **more)

    warnings.showwarning = shown


def one_line(message: str) -> str:
    """Return a message on one line: control characters, as in odd file names, are written as escapes."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in message)


def with_flags(message: str) -> str:
    """Return a message of the library with flags of the command line instead of parameters of Python.

    Examples
    --------
    >>> with_flags('pass overwrite=True, or use subtype="FLOAT"')
    'pass --overwrite, or use --subtype FLOAT'
    >>> with_flags("name passages in which it is alone (solo=...)")
    'name passages in which it is alone (--solo)'
    """

    def flag(match: re.Match[str]) -> str:
        name, value = match[1].replace("_", "-"), match[2].strip('"')
        return f"--{name}" if value in ("True", "...") else f"--{name} {value}"

    return _PARAMETER.sub(flag, message)


def complain(message: str) -> None:
    """Print an error or a warning as one line on stderr; with `--debug`, after its traceback."""
    print(traceback_text(), end="", file=sys.stderr)
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
            message = f"nmfaudio: {COMPILING} (first use of this method, up to a minute)"
            print(message, file=sys.stderr, flush=True)
        has_printed = True

    when_compiling(report if wanted else None)


@contextmanager
def progress_bar(name: str, wanted: bool) -> Iterator[Any]:
    """Yield a function that shows a `Progress` on stderr; None where nobody wants it.

    A terminal shows a bar. Elsewhere, as in logs and notebooks, a line is printed from time to time. Standard
    output is left alone, because it may be a file.
    """
    from nmfaudio.nmf.compilation_progress import when_compiling

    if not wanted:
        yield None
        return
    if not sys.stderr.isatty():
        yield ProgressLines(one_line(name)).report
        return
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[state]}", markup=False),
        TimeRemainingColumn(),
    )
    with bar_on_stderr(*columns) as bar:
        line = _StageLine(bar, one_line(name))
        when_compiling(line.report_compilation)
        try:
            yield line.report
        finally:
            when_compiling(None)


@contextmanager
def worker_bars(count: int, files: int, wanted: bool) -> Iterator[WorkerBars]:
    """Yield a line for each worker process and one for all files; they are silent where nobody wants them."""
    if not (wanted and sys.stderr.isatty()):
        yield WorkerBars(None, 0, files, ProgressLines("") if wanted else None)
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
    with bar_on_stderr(*columns) as bar:
        yield WorkerBars(bar, count, files)


def bar_on_stderr(*columns: Any) -> Any:
    """Return bars on stderr that do not take over standard output."""
    from rich.console import Console
    from rich.progress import Progress as Bar

    return Bar(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False)


@contextmanager
def hidden(bar: Any) -> Iterator[None]:
    """Clear a bar, if there is one, from the terminal while something is printed."""
    if bar:
        bar.stop()
    yield
    if bar:
        bar.start()


class ProgressLines:
    """Lines about the progress of a long run, for logs and notebooks; short runs print none."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._next_time = time.monotonic() + _FIRST_LINE_SECONDS

    def report(self, progress: Progress) -> None:
        """Print a line about a `Progress` if the last line is old enough."""
        percent = f", {100 * progress.done // progress.total} %" if progress.total else ""
        self.print(f"{self._name}: {progress.stage}{percent}")

    def print(self, message: str) -> None:
        """Print a line if the last one is old enough."""
        now = time.monotonic()
        if now >= self._next_time:
            self._next_time = now + _LINE_SECONDS
            print(f"nmfaudio: {message}", file=sys.stderr, flush=True)


class WorkerBars:
    """Lines of a progress bar: one for each worker process, and one for all files."""

    def __init__(self, bar: Any, count: int, files: int, printed: ProgressLines | None = None) -> None:
        self._bar, self._printed = bar, printed
        self._done, self._files = 0, files
        self._lines = [bar.add_task("starting", total=None) for _ in range(count)] if bar else []
        self._all = bar.add_task("files", total=files) if bar else None

    def report(self, line: int, file: str, progress: Progress) -> None:
        """Show what a worker does."""
        description = f"{one_line(Path(file).name)}: {progress.stage}"
        if self._bar:
            done, total = progress.done, progress.total
            self._bar.update(self._lines[line], description=description, completed=done, total=total)
        elif self._printed:
            self._printed.print(f"{self._done} of {self._files} files are done; {description}")

    def advance(self) -> None:
        """Show that one more file is finished."""
        self._done += 1
        if self._bar:
            self._bar.advance(self._all)

    def hidden(self) -> AbstractContextManager[None]:
        """Clear the bars from the terminal while something is printed."""
        return hidden(self._bar)


class _StageLine:
    """One line of a progress bar: the stage that is running, or that code is being compiled for it.

    While code is compiled, the stage that waits for it may report again and again that nothing is done yet.
    Such reports change nothing.
    """

    def __init__(self, bar: Any, name: str) -> None:
        self._bar, self._name, self._stage, self._last_time = bar, name, "", 0.0
        self._is_compiling, self._done = False, 0
        self._task = bar.add_task(f"{name}: starting", total=None, state="")

    def report_compilation(self, number: int, total: int) -> None:
        self._is_compiling = True
        described = f"{self._name}: {COMPILING}, {number} of {total} (first use of this method)"
        self._bar.update(self._task, description=described, completed=number, total=total, state="")

    def report(self, progress: Progress) -> None:
        now, has_advanced = time.monotonic(), progress.done > self._done
        is_new, self._done = progress.stage != self._stage, progress.done
        if self._is_compiling and (is_new or not has_advanced):
            self._stage = progress.stage
            return
        if is_new or self._is_compiling:
            self._stage, self._is_compiling = progress.stage, False
            description = f"{self._name}: {progress.stage}"
            self._bar.reset(self._task, description=description, total=progress.total, state="")
        elif progress.done < progress.total and now - self._last_time < _REFRESH_SECONDS:
            return
        self._last_time = now
        state = f"{progress.done}/{progress.total}"
        if progress.objective is not None:
            state += f" objective {progress.objective:.5g}"
        self._bar.update(self._task, completed=progress.done, total=progress.total, state=state)
