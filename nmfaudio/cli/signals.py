"""Ctrl-C and SIGTERM: unfinished files are removed and the process ends, at once."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)
_TOLD = {
    signal.SIGINT: "interrupted: no stem is left half-written, finished files are kept",
    signal.SIGTERM: "told to end: no stem is left half-written, finished files are kept",
}
_last_words: list[Callable[[], None]] = []


def listen(*, silent: bool = False) -> None:
    """End at SIGINT and SIGTERM, with 128 and the signal's number as a shell has it.

    No exception is raised: the libraries below would lose some, and threads that compute would be waited for.
    What must not be torn in two defers the signals (`nmfaudio.disk.signals`).

    Parameters
    ----------
    silent : bool
        Whether nothing is printed, as in a worker process whose parent prints.
    """

    def end(number: int, _: FrameType | None) -> None:
        for other in SIGNALS:
            signal.signal(other, signal.SIG_IGN)
        _clean()
        if not silent:
            _tell(number)
        os._exit(128 + number)

    for number in SIGNALS:
        signal.signal(number, end)


def before_the_end(action: Callable[[], None]) -> Callable[[], None]:
    """Have something done before the process ends by a signal; return what makes it be forgotten again."""
    _last_words.append(action)
    return lambda: _last_words.remove(action)


def _clean() -> None:
    for action in reversed(_last_words):
        with contextlib.suppress(Exception):
            action()
    writing = sys.modules.get("nmfaudio.sound.stem_files")
    for files in list(writing.unfinished) if writing else ():
        with contextlib.suppress(Exception):
            files.discard()


def _tell(number: int) -> None:
    with contextlib.suppress(Exception):
        shown = (
            "\r\x1b[K\x1b[?25h" if sys.stderr.isatty() else ""
        )  # over a progress bar, and the cursor again
        os.write(2, f"{shown}nmfaudio: {_TOLD[signal.Signals(number)]}\n".encode())
        sys.stdout.flush()
