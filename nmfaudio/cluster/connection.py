"""Connections to Dask: to a running scheduler, or to workers that are started on this machine."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nmfaudio.cluster.capacity import check_memory
from nmfaudio.cluster.versions import check_workers, own_versions
from nmfaudio.errors import ClusterError, OptionError

_SECONDS = "distributed.comm.timeouts.connect"  # setting of Dask: how long to wait for others
_LOCAL = re.compile(r"local(?::(\d+))?")


@contextlib.contextmanager
def connected(
    address: str, *, any_version: bool = False, silent: bool = False, memory: int = 0
) -> Iterator[Any]:
    """Provide a client of Dask whose workers can run nmfaudio.

    Encrypted connections follow the settings of Dask (`distributed.comm.tls`).

    Parameters
    ----------
    address : str
        Address of a scheduler such as `tcp://host:8786`, the path of a scheduler file, or `local:4` for four
        worker processes on this machine, each with one thread.
    any_version : bool
        Whether workers with other versions of nmfaudio, numba or numpy may be used.
    silent : bool
        Whether to switch off the log of Dask in this process, for programs that print errors themselves.
    memory : int
        Bytes that each thread of a worker may use for large arrays; 0 where that follows its memory limit.

    Raises
    ------
    ClusterError
        When Dask is not installed, nothing answers, there is no worker, or a worker has other versions or too
        little memory.
    OptionError
        When the address has none of the forms.
    """
    try:
        import distributed  # noqa: F401
    except ImportError:
        raise ClusterError(
            "a cluster needs the package distributed: pip install 'nmfaudio[cluster]'"
        ) from None
    if silent:
        for name in ("distributed", *logging.root.manager.loggerDict):
            if name.partition(".")[0] == "distributed":
                logging.getLogger(name).setLevel(logging.CRITICAL)
    with contextlib.ExitStack() as stack:
        client = stack.enter_context(_client(address, stack))
        check_memory(client, memory)  # first: a worker that is too small dies when it loads nmfaudio
        wait_for_a_worker(client)
        if not any_version:
            check_workers(client)
        yield client


def wait_for_a_worker(client: Any) -> None:
    """Wait until a worker can work. Clusters that grow on demand start one for this.

    Raises
    ------
    ClusterError
        When there is none in time, or it cannot load nmfaudio.
    """
    seconds = _seconds_to_wait()
    probe = client.submit(own_versions, pure=False)
    try:
        error = probe.exception(timeout=seconds)
    except TimeoutError:
        probe.cancel()
        raise ClusterError(
            f"{_name(client)}: no worker took work within {seconds:.0f} seconds: start workers "
            f"(dask worker), or raise {_SECONDS} in the settings of Dask, and run the same command again"
        ) from None
    if error is not None:
        raise ClusterError(
            f"a worker cannot run nmfaudio ({type(error).__name__}: {error}): install nmfaudio there"
        )


def _client(address: str, stack: contextlib.ExitStack) -> Any:
    from distributed import Client

    if local := _LOCAL.fullmatch(address):
        stack.enter_context(_without_profiles())
        cluster = stack.enter_context(_local_cluster(int(local[1] or os.cpu_count() or 1)))
        return Client(cluster, set_as_default=False)
    given: dict[str, Any] = {"address": address}
    if not re.match(r"[a-z]+://", address):
        _check_scheduler_file(address)
        given = {"scheduler_file": address}
    try:
        return Client(**given, timeout=_seconds_to_wait(), set_as_default=False)
    except (OSError, TimeoutError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ClusterError(
            f"{address}: no scheduler of Dask answers ({reason}): start one (dask scheduler), or check the "
            "address"
        ) from None


def _without_profiles() -> contextlib.AbstractContextManager[Any]:
    """Switch off the profiles of workers that are started here: nothing shows them, and they cost time."""
    import dask

    return dask.config.set({"distributed.worker.profile.enabled": False})  # type: ignore[no-any-return]


def _local_cluster(count: int) -> Any:
    from distributed import LocalCluster

    if count < 1:
        raise OptionError("local:0: at least one worker is needed", option="cluster")
    return LocalCluster(
        n_workers=count,
        threads_per_worker=1,
        host="127.0.0.1",
        scheduler_kwargs={"dashboard": False, "dashboard_address": ":0"},  # any free port
        silence_logs=logging.CRITICAL,
    )


def _check_scheduler_file(path: str) -> None:
    try:
        document = json.loads(Path(path).read_bytes())
    except OSError as error:
        raise OptionError(
            f"cluster {path!r}: it is no address such as tcp://host:8786, not local:4, and no scheduler file "
            f"({error.strerror})",
            option="cluster",
        ) from None
    except ValueError:
        document = None
    if not isinstance(document, dict) or "address" not in document:
        raise OptionError(
            f"{path}: it is no scheduler file: name the file that `dask scheduler --scheduler-file` wrote",
            option="cluster",
        )


def _seconds_to_wait() -> float:
    import dask

    return float(dask.utils.parse_timedelta(dask.config.get(_SECONDS)))


def _name(client: Any) -> str:
    return str(client.scheduler.address) if client.scheduler else "the cluster"
