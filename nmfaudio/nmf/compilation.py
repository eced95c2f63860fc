"""Compiling the engine: the decorator of its functions, and word of the compiler at work.

A machine compiles each function once, the first time that a run needs it, which takes some seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
from numba.core import event

from nmfaudio.nmf import compilation_progress, compiled_code

_functions: list[Any] = []


def compiled(*, reassociate: bool = False) -> Callable[[Any], Any]:
    """Return a decorator that compiles a function when it is first called, and keeps the code between runs.

    Parameters
    ----------
    reassociate : bool
        Whether sums may be added in another order, which lets a loop that sums use vector registers.
    """
    flags = {"contract", "reassoc"} if reassociate else {"contract"}

    def decorate(function: Any) -> Any:
        dispatcher = numba.njit(nogil=True, error_model="numpy", fastmath=flags)(function)
        if hasattr(dispatcher, "overloads"):  # not where the compiler is switched off
            compiled_code.keep(dispatcher)
            _functions.append(dispatcher)
        return dispatcher

    return decorate


def inlined() -> Callable[[Any], Any]:
    """Return a decorator for functions that become a part of their callers.

    LLVM optimises a function of its own once more in each caller, which takes longer.
    """
    return numba.njit(nogil=True, error_model="numpy", fastmath={"contract"}, inline="always")


class _Listener(event.Listener):
    """Hears of each function that is compiled; functions read from disk are not."""

    def on_start(self, event: Any) -> None:
        """Report the function that begins."""
        if event.data["dispatcher"] in _functions:
            compiled_code.say_what_is_lost()
        ready = sum(bool(function.overloads) for function in _functions)
        compilation_progress.tell(min(ready + 1, len(_functions)), len(_functions))

    def on_end(self, event: Any) -> None:
        """Nothing to report."""


_register: Any = event.register  # untyped
_register("numba:compile", _Listener())
