"""Whether all workers see the recordings and can write the stems, asked before the work."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from nmfaudio.cluster.places import Place, place_of
from nmfaudio.cluster.task import Task
from nmfaudio.errors import ClusterError

_MOST_FOLDERS = 20  # of recordings, and of stems, that are asked for: an archive may have very many


def check_tasks(client: Any, tasks: Iterable[Task]) -> None:
    """Ask all present workers for the folders of the recordings and of the stems, as `check_sharing`."""
    tasks = list(tasks)
    check_sharing(client, [task.file for task in tasks], [task.output for task in tasks])


def check_sharing(client: Any, files: Iterable[str], outputs: Iterable[Place] = ()) -> None:
    """Ask all present workers for the folders of recordings that exist here, and for folders to write.

    Places behind URLs are not asked for.

    Raises
    ------
    ClusterError
        When a worker does not see a folder of recordings, or cannot write into a folder of stems.
    """
    paths = [place for file in files if isinstance(place := place_of(file), Path)]
    inputs = dict.fromkeys(os.path.abspath(path.parent) for path in paths if path.exists())
    written = dict.fromkeys(os.path.abspath(output) for output in outputs if isinstance(output, Path))
    asked = tuple(inputs)[:_MOST_FOLDERS], [(one, _nearest(one)) for one in tuple(written)[:_MOST_FOLDERS]]
    found: Mapping[str, str] = {}
    with suppress(OSError):  # a worker that was lost meanwhile is noticed by its tasks
        found = client.run(_fault, *asked, on_error="ignore")
    faults = [f"the worker {address} {fault}" for address, fault in found.items() if fault]
    if faults:
        raise ClusterError(
            f"{len(faults)} of {len(found)} workers do not share the folders: {'; '.join(faults[:3])}: mount "
            "the folders there under the same paths, or use URLs"
        )


def _fault(inputs: Iterable[str], outputs: Iterable[tuple[str, str]]) -> str:
    """Return which folder this worker does not see, or cannot write; empty where all is well.

    Beside each folder of stems stands the nearest folder that exists where the command runs.
    """
    for folder in inputs:
        if not os.path.isdir(folder):
            return f"does not see {folder}"
    for folder, shared in outputs:
        if not os.path.isdir(shared):
            return f"does not see {shared}"
        try:
            with tempfile.TemporaryFile(dir=_nearest(folder)):
                pass
        except OSError as error:
            return f"cannot write to {folder} ({error.strerror or error})"
    return ""


def _nearest(folder: str) -> str:
    """Return the folder itself, or the nearest folder above it that exists."""
    while not os.path.isdir(folder) and folder != os.path.dirname(folder):
        folder = os.path.dirname(folder)
    return folder
