"""Defer SIGINT and SIGTERM until a step that must not be interrupted is complete."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class DeferredSignals:
    """Defer SIGINT and SIGTERM until the `with` block ends.

    Python runs signal handlers in the main thread, between any two bytecode instructions. An exception that a
    handler raises inside a callback from C would be lost; one that it raises between two renames would leave
    only a part of the files. Other threads never run handlers, so there the block changes nothing.

    Examples
    --------
    >>> import signal
    >>> previous = signal.signal(signal.SIGINT, signal.default_int_handler)  # programs may start without it
    >>> try:
    ...     with DeferredSignals():
    ...         signal.raise_signal(signal.SIGINT)
    ...         print("this line still runs")
    ... except KeyboardInterrupt:
    ...     print("then the interrupt arrives")
    this line still runs
    then the interrupt arrives
    >>> _ = signal.signal(signal.SIGINT, previous)
    """

    def __enter__(self) -> None:
        self._deferred: list[int] = []
        self._handlers: dict[int, Any] = {}
        if threading.current_thread() is not threading.main_thread():
            return
        handlers = {number: signal.getsignal(number) for number in _SIGNALS}
        # None stands for a handler that was not installed from Python: it cannot be restored.
        self._handlers = {number: handler for number, handler in handlers.items() if handler is not None}
        for number in self._handlers:
            signal.signal(number, self._remember)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        if self._deferred:
            signal.raise_signal(self._deferred[0])

    def _remember(self, number: int, frame: FrameType | None) -> None:
        self._deferred.append(number)
