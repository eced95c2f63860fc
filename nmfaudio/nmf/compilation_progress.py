"""Progress of the compiler, for commands that show it; nothing here loads numba, which takes a while."""

from __future__ import annotations

from collections.abc import Callable

# Called with the number of the function that is being compiled, and the number of functions that may be.
Report = Callable[[int, int], None]
_reports: list[Report] = []


def when_compiling(report: Report | None) -> None:
    """Call `report` for each function that this process compiles from now on; None asks for silence."""
    _reports[:] = [] if report is None else [report]


def tell(number: int, total: int) -> None:
    """Report that a function is being compiled."""
    for report in _reports:
        report(number, total)
