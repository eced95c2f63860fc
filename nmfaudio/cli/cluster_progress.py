"""Progress of many files on a cluster, and the report at the end."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from nmfaudio.cli.console import ProgressLines, bar_on_stderr, complain, hidden, one_line
from nmfaudio.cluster.outcome import Outcome

_SLOWEST = 3  # files that the report names


class FilesProgress:
    """Shows finished files in a bar, or as a line now and then, or not at all.

    Parameters
    ----------
    files : int
        Number of all files.
    bar : rich.progress.Progress, optional
        Bar on a terminal.
    lines : ProgressLines, optional
        Lines of a log.
    """

    def __init__(self, files: int, bar: Any = None, lines: ProgressLines | None = None) -> None:
        self._files, self._bar, self._lines = files, bar, lines
        self._start, self._done, self._failed, self._sound = time.monotonic(), 0, 0, 0.0
        self._task = bar.add_task("files", total=files, words="") if bar else None

    def add(self, outcome: Outcome) -> None:
        """Count one more file, and show it."""
        self._done += 1
        self._failed += not outcome["ok"]
        self._sound += outcome.get("audio_seconds", 0.0)
        if self._bar:
            self._bar.update(self._task, advance=1, words=self.words)
        elif self._lines and self._done < self._files:
            self._lines.print(f"{self._done} of {self._files} files are done, {self.words}")

    @property
    def words(self) -> str:
        """Failures, hours of sound, rate, and time left."""
        elapsed = time.monotonic() - self._start
        left = elapsed / self._done * (self._files - self._done) if self._done else 0.0
        rate = self._sound / elapsed if elapsed else 0.0
        return (
            f"{self._failed} failed, {self._sound / 3600:.2f} h of sound, {rate:.1f} s of it a second, "
            f"{_duration(left)} left"
        )

    def hidden(self) -> AbstractContextManager[None]:
        """Clear the bar from the terminal while something is printed."""
        return hidden(self._bar)


@contextmanager
def files_progress(files: int, shown: bool) -> Iterator[FilesProgress]:
    """Yield what shows the progress of so many files, on a terminal or in a log."""
    if not shown:
        yield FilesProgress(files)
    elif not sys.stderr.isatty():
        yield FilesProgress(files, lines=ProgressLines(""))
    else:
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn

        columns = TextColumn("files"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[words]}")
        with bar_on_stderr(*columns) as bar:
            yield FilesProgress(files, bar)


def print_report(outcomes: list[Outcome], seconds: float) -> None:
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


def _duration(seconds: float) -> str:
    """Return a duration as 1:02:03.

    Examples
    --------
    >>> _duration(3723.4)
    '1:02:03'
    """
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"
