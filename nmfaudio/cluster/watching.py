"""A warning where a cluster has lost all its workers: the run would otherwise wait without a word."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from nmfaudio.errors import NmfaudioWarning

SECONDS = 10.0  # between two looks at the workers
_NO_WORKER = (
    "no worker is left: the run goes on when one arrives; start workers (dask worker), or end the run: what "
    "is finished is kept"
)


@contextmanager
def watched(client: Any) -> Iterator[None]:
    """Warn each time the last worker of a cluster has gone, until the context ends.

    Two looks in a row must find no worker, because a worker that is started again is missing for a moment.
    """
    ended = threading.Event()

    def watch() -> None:
        without = 0
        while not ended.wait(SECONDS):
            try:
                without = 0 if client.nthreads() else without + 1
            except Exception:  # noqa: BLE001 - a scheduler that was lost is told where its tasks end
                return
            if without == 2:
                warnings.warn(_NO_WORKER, NmfaudioWarning, stacklevel=2)

    thread = threading.Thread(target=watch, name="watch for workers", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(1.0)  # at most: a call to a scheduler that was lost may take long
