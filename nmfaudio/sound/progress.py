"""Progress of a running computation."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """Progress of a stage: `done` of `total` steps, and the value of the objective function, if any.

    Examples
    --------
    >>> Progress("reading", 3, 10).done
    3
    """

    stage: str
    done: int
    total: int
    objective: float | None = None


def ignore_progress(_: Progress) -> None:
    """Do nothing: the default of functions that report progress."""
