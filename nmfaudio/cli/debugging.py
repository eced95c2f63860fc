"""The flag `--debug`: tracebacks of errors on standard error."""

from __future__ import annotations

import sys
import traceback

_is_on = False


def switch_debugging_on(wanted: bool = True) -> None:
    """Print the traceback of each error from now on, or print messages alone."""
    global _is_on
    _is_on = wanted


def is_debugging() -> bool:
    """Whether tracebacks are wanted."""
    return _is_on


def traceback_text() -> str:
    """Return the traceback of the error that is being handled; empty where none is, or none is wanted."""
    return traceback.format_exc() if _is_on and sys.exc_info()[0] is not None else ""
