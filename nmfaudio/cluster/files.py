"""Separate many files from Python: one after another, or on a Dask cluster."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Iterable
from typing import Any

from nmfaudio.cluster.job import Job
from nmfaudio.cluster.outcome import Outcome
from nmfaudio.cluster.pieces import PIECE_SECONDS
from nmfaudio.cluster.places import place_of
from nmfaudio.cluster.task import Task
from nmfaudio.errors import InputError
from nmfaudio.models.contract import Separator
from nmfaudio.pipeline.registry import default_name, make
from nmfaudio.pipeline.separation import separate_file


def separate_files(
    paths: Iterable[str | os.PathLike[str]],
    folder: str | os.PathLike[str] = "separated",
    separator: str | Separator | None = None,
    *,
    client: Any = None,
    any_version: bool = False,
    piece_seconds: float = PIECE_SECONDS,
    **options: Any,
) -> list[Outcome]:
    """Separate files into stems; a file that fails does not end the others.

    Parameters
    ----------
    paths : iterable of path-like
        The files, or their URLs.
    folder : path-like
        Folder of the stems, or its URL.
    separator : str or Separator, optional
        As for `separate_file`.
    client : distributed.Client, optional
        Connection to a Dask cluster, whose workers separate the files. Default: the client of Dask that is
        open in this process; without one, the files are separated here, one after another.
    any_version : bool
        Whether workers with other versions of nmfaudio, numba or numpy may be used.
    piece_seconds : float
        On a cluster, recordings that last longer are separated in pieces of at most this duration, by several
        workers. The stems are the same bits.
    **options
        Other options of `separate_file`, and those of the separator.

    Returns
    -------
    list of dict
        The outcome of each file in the order of the paths: `ok`, `file`, and `error`, or `stems`, `manifest`
        and more.

    Raises
    ------
    ClusterError
        When workers have other versions, too little memory, or do not see the folders, or when the scheduler
        is lost.
    OptionError, SeparatorError
        As for `separate_file`.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     outcomes = separate_files(["audio_samples/drum_loop.flac", "nowhere.flac"], folder)
    >>> [outcome["ok"] for outcome in outcomes]
    [True, False]
    """
    job = _job(separator, options)
    place = place_of(os.fspath(folder))
    tasks = [Task(os.fspath(path), place) for path in paths]
    client = client or _open_client()
    if client is None:
        return [job.run(task) for task in tasks]
    from nmfaudio.cluster.capacity import check_memory
    from nmfaudio.cluster.separation import run_on_cluster
    from nmfaudio.cluster.sharing import check_tasks
    from nmfaudio.cluster.versions import check_workers

    check_memory(client, int(job.options.get("memory") or 0))
    if not any_version:
        check_workers(client)
    check_tasks(client, tasks)
    outcomes = run_on_cluster(client, job, tasks, any_version=any_version, piece_seconds=piece_seconds)
    found = {one["file"]: one for one in outcomes}
    return [found[task.file] for task in tasks]


def _job(separator: str | Separator | None, options: dict[str, Any]) -> Job:
    """Tell the options of the separator from those of writing."""
    known = inspect.signature(separate_file).parameters
    writing = {name: value for name, value in options.items() if name in known}
    own = {name: value for name, value in options.items() if name not in known}
    separator = separator or default_name(own)
    if isinstance(separator, str):
        return Job(make(separator, **own), writing)
    if own:
        raise InputError(
            f"options {sorted(own)} belong to a separator given by name: set them in its constructor"
        )
    return Job(separator, writing)


def _open_client() -> Any:
    """Return the client of Dask that is open in this process; None without one."""
    if "distributed" not in sys.modules:
        return None
    from distributed import default_client

    try:
        return default_client()
    except ValueError:
        return None
