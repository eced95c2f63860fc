"""Suggestions for names that do not exist: the known name that is most like them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_LEAST_LIKENESS = 0.6  # of 1, where two names are equal


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return the end of a message about an unknown name: the known name that may be meant, or nothing.

    Parameters
    ----------
    name : str
        Name that does not exist.
    known : iterable of str
        Names that exist.

    Examples
    --------
    >>> suggestion("blnd", ["auto", "blind"])
    "; did you mean 'blind'?"
    >>> suggestion("percussive", ["blind", "harmonic-percussive"])
    "; did you mean 'harmonic-percussive'?"
    >>> suggestion("guitar", ["blind"])
    ''
    """
    wanted = _plain(name)
    plain = {_plain(one): one for one in known}
    close = difflib.get_close_matches(wanted, plain, n=1, cutoff=_LEAST_LIKENESS)
    if not close and len(wanted) >= 3:
        close = [one for one in plain if wanted in one][:1]
    return f"; did you mean {plain[close[0]]!r}?" if close else ""


def _plain(name: str) -> str:
    return name.strip().casefold().replace("_", "-")
