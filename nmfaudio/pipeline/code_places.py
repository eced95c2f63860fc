"""Where the code of a plugin is, for errors: file and line."""

from __future__ import annotations

import inspect
import traceback
from pathlib import Path
from types import FrameType, TracebackType

_PACKAGE = Path(__file__).resolve().parent.parent
# Libraries in which an error may appear although the fault is in the code that called them.
_LIBRARIES = ("numpy", "scipy", "librosa", "numba", "sklearn", "nmfaudio")


def place_outside_libraries(trace: TracebackType | None) -> str:
    """Return the file and line of the innermost call that is not in a library, as the end of a sentence."""
    frames = [frame for frame in traceback.walk_tb(trace) if _is_outside_libraries(frame[0])]
    return _described(*frames[-1]) if frames else ""


def innermost_place(trace: TracebackType | None) -> str:
    """Return `place_outside_libraries`, or the innermost call where all calls are in libraries."""
    frames = list(traceback.walk_tb(trace))
    return place_outside_libraries(trace) or (_described(*frames[-1]) if frames else "")


def _is_outside_libraries(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__", "")).split(".")[0] not in _LIBRARIES


def _described(frame: FrameType, line: int) -> str:
    return f" ({frame.f_code.co_filename}, line {line})"


def place_of(model: object) -> str:
    """Return the file and line where a plugin defines how its model separates, as the end of a sentence.

    It is empty where the code belongs to nmfaudio or is not known.
    """
    original = getattr(model, "original", model)
    function = getattr(original, "estimate", None) or getattr(type(original), "separate", None)
    code = getattr(inspect.unwrap(function), "__code__", None) if callable(function) else None
    if code is None or _PACKAGE in Path(code.co_filename).parents:
        return ""
    return f" ({code.co_filename}, line {code.co_firstlineno})"
