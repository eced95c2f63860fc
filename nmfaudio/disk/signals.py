"""Signals that wait: what must not be torn in two is finished first."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class DeferredSignals:
    """Let SIGINT and SIGTERM wait until the block is left.

    Python runs the handlers of signals in the main thread, between any two steps: within a function that C
    calls, an exception from there would be lost, and between two renames it would leave half of the files.
    In other threads there is nothing to defer.

    Examples
    --------
    >>> import signal
    >>> try:
    ...     with DeferredSignals():
    ...         signal.raise_signal(signal.SIGINT)
    ...         print("this is still done")
    ... except KeyboardInterrupt:
    ...     print("and then the interrupt")
    this is still done
    and then the interrupt
    """

    def __enter__(self) -> None:
        self._waiting: list[int] = []
        self._kept: dict[int, Any] = {}
        if threading.current_thread() is not threading.main_thread():
            return
        handlers = {number: signal.getsignal(number) for number in _SIGNALS}
        # One that was not set from Python cannot be set back.
        self._kept = {number: handler for number, handler in handlers.items() if handler is not None}
        for number in self._kept:
            signal.signal(number, self._remember)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._kept.items():
            signal.signal(number, handler)
        if self._waiting:
            signal.raise_signal(self._waiting[0])

    def _remember(self, number: int, frame: FrameType | None) -> None:
        self._waiting.append(number)
