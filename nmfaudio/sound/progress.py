"""Progress of a computation, reported while it runs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """How far the work is: `done` of `total` steps of a stage, and the objective where there is one.

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
    """Tell nobody."""
