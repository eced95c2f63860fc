"""Memory of workers beside what their work needs: a worker that is too small is told before the work."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nmfaudio.dictionaries.corpus import FRAMES_OF_SHARD
from nmfaudio.errors import ClusterError
from nmfaudio.sound.header import read_header
from nmfaudio.sound.stft import STFT

PROCESS_BYTES = 250_000_000  # a worker that has loaded nmfaudio and compiled its kernels, as measured
_VALUE_BYTES = 16  # a complex value
_ARRAYS_OF_A_BLOCK = 16  # complex arrays as large as a block that a separation has at once, as measured
_ARRAYS_OF_A_RECORDING = 2  # complex arrays as large as the whole spectrogram, which --memory limits
_SPECTRUM_BYTES = 4  # a value of a shard of learning
_COPIES_OF_A_SHARD = 3  # arrays as large as a shard: the shard and its model, as measured
_USUAL_RATE = 48000  # Hz, of recordings that only workers see
_TERMINATE = "distributed.worker.memory.terminate"  # setting of Dask: part of the limit that ends a worker
_WAY_OUT = "start it with a larger --memory-limit or with fewer threads (--nthreads)"
_MOST_NAMED = 3  # workers in a message


@dataclass(frozen=True)
class Capacity:
    """How much memory Dask gives a worker.

    Attributes
    ----------
    address : str
    limit : int
        Bytes; 0 where there is no limit.
    threads : int
    """

    address: str
    limit: int
    threads: int

    def fault(self, thread_bytes: int) -> str:
        """Return what is wrong, in words, where each thread needs so many bytes; empty where all is well."""
        import dask

        usable = self.limit * (dask.config.get(_TERMINATE, 0.95) or 1.0)
        needed = PROCESS_BYTES + self.threads * thread_bytes
        if not self.limit or needed <= usable:
            return ""
        threads = f"{self.threads} thread{'s' if self.threads > 1 else ''}"
        return (
            f"the worker {self.address} with {threads} has a memory limit of {_gigabytes(self.limit)}, and "
            f"needs about {_gigabytes(needed)}"
        )


def check_memory(client: Any, memory: int) -> None:
    """Compare the memory limits of all present workers with what any separation needs.

    Parameters
    ----------
    client : distributed.Client
        Connection to the scheduler.
    memory : int
        Bytes that each thread may use for large arrays; 0 where that follows the memory limit of its worker.

    Raises
    ------
    ClusterError
        When some worker has too little memory.
    """
    if memory:
        check_capacities(client, memory, f"{_gigabytes(memory)} of large arrays a thread, as --memory allows")
    else:
        check_capacities(client, 0, "a process of nmfaudio")


def check_capacities(client: Any, thread_bytes: int, work: str) -> None:
    """Compare the memory limits of all present workers with what the work needs.

    Parameters
    ----------
    client : distributed.Client
        Connection to the scheduler.
    thread_bytes : int
        What each thread of a worker needs beside the memory of the process.
    work : str
        What the workers are to do, in words.

    Raises
    ------
    ClusterError
        When some worker has too little memory.
    """
    workers = client.scheduler_info(n_workers=-1)["workers"]
    found = [
        Capacity(address, int(one["memory_limit"] or 0), int(one["nthreads"]))
        for address, one in workers.items()
    ]
    faults = [fault for one in found if (fault := one.fault(thread_bytes))]
    if faults:
        more = f"; and {len(faults) - _MOST_NAMED} more" if len(faults) > _MOST_NAMED else ""
        raise ClusterError(
            f"{len(faults)} of {len(found)} workers have too little memory for {work}: "
            f"{'; '.join(faults[:_MOST_NAMED])}{more}: {_WAY_OUT}"
        )


def fault_of_file(worker: Any, path: str, memory: int) -> str:
    """Return why a worker has too little memory for a recording; empty where it has enough.

    Parameters
    ----------
    worker : distributed.Worker
        The worker of this task.
    path : str
        The recording.
    memory : int
        Bytes that arrays as large as the whole spectrogram may use; 0 where there is no limit.
    """
    header = read_header(path)
    if header is None:
        return ""
    arrays = _ARRAYS_OF_A_RECORDING * _VALUE_BYTES * header.values
    needed = _ARRAYS_OF_A_BLOCK * _VALUE_BYTES * header.block_values + min(memory or arrays, arrays)
    limit = int(worker.memory_manager.memory_limit or 0)
    fault = Capacity(str(worker.address), limit, worker.state.nthreads).fault(needed)
    return f"{fault} for such recordings: {_WAY_OUT}" if fault else ""


def shard_bytes(recording: object, sample_rate: int | None, window: float) -> int:
    """Return the bytes that a thread needs for a shard of learning.

    Parameters
    ----------
    recording : object
        The first recording, whose sample rate counts where none is given and its header can be read here.
    sample_rate : int or None
        Sample rate of the dictionary in Hz.
    window : float
        Length of the analysis window in seconds.
    """
    header = read_header(recording) if sample_rate is None and isinstance(recording, Path) else None
    rate = sample_rate or (header.sample_rate if header else _USUAL_RATE)
    return _COPIES_OF_A_SHARD * FRAMES_OF_SHARD * STFT.lasting(window, rate).bins * _SPECTRUM_BYTES


def words_of_death(error: Any, work: str) -> str:
    """Return what it means that Dask gave up a task because its workers died.

    Parameters
    ----------
    error : distributed.KilledWorker
        What Dask says.
    work : str
        What the workers did, in words.
    """
    last = error.last_worker
    limit = f" (memory limit {_gigabytes(last.memory_limit)})" if last.memory_limit else ""
    return (
        f"{error.allowed_failures + 1} workers died while they {work}, the last was {last.address}{limit}: "
        "perhaps there was too little memory: lower --memory, or give workers more memory or fewer threads"
    )


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.2f} GB"
