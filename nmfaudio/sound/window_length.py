"""Limits of the length of an analysis window in seconds."""

from __future__ import annotations

from nmfaudio.errors import OptionError

# A longer window blurs every onset and takes minutes; such a number is usually meant as milliseconds.
LONGEST_WINDOW_SECONDS = 2.0


def check_window(seconds: float) -> None:
    """Check the length of an analysis window.

    Raises
    ------
    OptionError
        When it is not above 0, or beyond `LONGEST_WINDOW_SECONDS`.

    Examples
    --------
    >>> check_window(46)
    Traceback (most recent call last):
    ...
    nmfaudio.errors.OptionError: window=46: it must be above 0 and at most 2 seconds; if you mean 46
    milliseconds, write 0.046
    """
    if not _is_allowed(seconds):
        hint = milliseconds_hint(seconds) if _is_allowed(seconds / 1000) else ""
        limits = f"above 0 and at most {LONGEST_WINDOW_SECONDS:g} seconds"
        raise OptionError(f"window={seconds:g}: it must be {limits}{hint}", option="window")


def milliseconds_hint(seconds: float) -> str:
    """Return the end of a message about a number of seconds that is probably meant as milliseconds."""
    return f"; if you mean {seconds:g} milliseconds, write {seconds / 1000:g}"


def _is_allowed(seconds: float) -> bool:
    return 0 < seconds <= LONGEST_WINDOW_SECONDS
