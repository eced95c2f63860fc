"""Word of the compiler at work: the first time that a machine runs a kernel, which takes some seconds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba.core import event


class _First(event.Listener):
    """Calls a function at the first compilation; what the compiler's cache holds is none."""

    def __init__(self) -> None:
        self.say: Callable[[], None] | None = None

    def on_start(self, event: Any) -> None:
        """Tell, once."""
        say, self.say = self.say, None
        if say is not None:
            say()

    def on_end(self, event: Any) -> None:
        """Nothing to tell."""


_first = _First()
_register: Any = event.register  # untyped
_register("numba:compile", _first)


def when_compiling(say: Callable[[], None] | None) -> None:
    """Call `say` when this process compiles for the first time from now on; None asks for silence."""
    _first.say = say
