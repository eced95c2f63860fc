"""Warnings and notes about a result, for programs that call the library."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterable

from nmfaudio.errors import NmfaudioWarning

_LOGGER = logging.getLogger("nmfaudio")


def announce(messages: Iterable[str], problems: Iterable[str]) -> None:
    """Log messages at level INFO, and issue a `NmfaudioWarning` for each problem at the line of the caller.

    Parameters
    ----------
    messages, problems : iterable of str
        Notes about the result, and warnings about it.
    """
    for message in messages:
        _LOGGER.info(message)
    for problem in problems:
        warnings.warn(problem, NmfaudioWarning, stacklevel=3)
