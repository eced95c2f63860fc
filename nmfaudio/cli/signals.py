"""End the process at Ctrl-C and SIGTERM at once, after unfinished files are removed."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)
_MESSAGES = {
    signal.SIGINT: "interrupted: no stem is left half-written, finished files are kept",
    signal.SIGTERM: "terminated: no stem is left half-written, finished files are kept",
}
_cleanups: list[Callable[[], None]] = []


def listen(*, silent: bool = False) -> None:
    """End the process at SIGINT and SIGTERM, with the exit code that a shell gives: 128 plus the number.

    No exception is raised, because some libraries lose exceptions, and Python would wait for threads that
    compute. Work that must not be interrupted defers the signals (`nmfaudio.disk.signals`).

    Parameters
    ----------
    silent : bool
        Whether to print nothing, as in a worker process whose parent prints.
    """

    def end(number: int, _: FrameType | None) -> None:
        for other in SIGNALS:
            signal.signal(other, signal.SIG_IGN)
        _clean()
        if not silent:
            _print_message(number)
        os._exit(128 + number)

    for number in SIGNALS:
        signal.signal(number, end)


def at_signal(action: Callable[[], None]) -> Callable[[], None]:
    """Do something before a signal ends the process; return a function that cancels this."""
    _cleanups.append(action)
    return lambda: _cleanups.remove(action)


def _clean() -> None:
    for action in reversed(_cleanups):
        with contextlib.suppress(Exception):
            action()
    module = sys.modules.get("nmfaudio.sound.stem_files")  # only where stems are written
    for files in list(module.unfinished_stem_files) if module else ():
        with contextlib.suppress(Exception):
            files.discard()


def _print_message(number: int) -> None:
    with contextlib.suppress(Exception):
        # On a terminal: clear the line of the progress bar and show the cursor again.
        clear = "\r\x1b[K\x1b[?25h" if sys.stderr.isatty() else ""
        os.write(2, f"{clear}nmfaudio: {_MESSAGES[signal.Signals(number)]}\n".encode())
        sys.stdout.flush()
