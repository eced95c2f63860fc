"""Measure what Dask costs: ``python scripts/benchmark_cluster.py [--files 200] [--seconds 10] [--rounds 3]``.

The script makes short files and separates them with ``-j 1``, ``-j 2``, ``--cluster local:1`` and
``--cluster local:2``, in turns, each as one command with its starting time. It prints medians of rounds and
the ratios of the cluster to ``-j``. Then it measures the tasks a second of a scheduler with trivial tasks,
the bytes that workers send each other in an epoch of learning, the peak memory of the workers beside their
limit, and the time that the death of a worker costs.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from distributed import Client, LocalCluster

from nmfaudio import learn, separate_files

RATE = 16000
SEPARATOR = "harmonic-percussive"
_TRIVIAL = 3000  # tasks
_RANK, _EPOCHS = 8, 4
_WAYS = {
    "-j 1": ("-j", "1"),
    "-j 2": ("-j", "2"),
    "local:1": ("--cluster", "local:1"),
    "local:2": ("--cluster", "local:2"),
}


def make_files(folder: Path, count: int, seconds: float) -> list[Path]:
    """Write files of two notes with some noise."""
    clock, paths = np.arange(int(seconds * RATE)) / RATE, []
    for number in range(count):
        noise = 0.01 * np.random.default_rng(number).standard_normal(len(clock))
        sound = 0.3 * np.sin(2 * np.pi * (200 + number) * clock) * (np.sin(12 * clock) > 0) + noise
        paths.append(folder / f"{number:04}.wav")
        soundfile.write(paths[-1], sound, RATE, subtype="PCM_16")
    return paths


def seconds_of(action: Callable[[], object]) -> float:
    """Return the wall time of a call."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def command_seconds(folder: Path, flags: tuple[str, ...]) -> float:
    """Return the wall time of one command that separates the folder."""
    out = folder.parent / "out"
    command = [sys.executable, "-m", "nmfaudio", "separate", str(folder), "-o", str(out), "-q"]
    try:
        return seconds_of(lambda: subprocess.run([*command, "--separator", SEPARATOR, *flags], check=True))
    finally:
        shutil.rmtree(out, ignore_errors=True)


def print_throughput(folder: Path, count: int, rounds: int) -> None:
    """Print the time of each way, and the ratios of the cluster to processes."""
    times: dict[str, list[float]] = {way: [] for way in _WAYS}
    for _ in range(rounds):
        for way, flags in _WAYS.items():
            times[way].append(command_seconds(folder, flags))
    median = {way: statistics.median(found) for way, found in times.items()}
    for way, seconds in median.items():
        print(f"{way:8} {seconds:7.2f} s  {count / seconds:6.1f} files/s")
    for number in (1, 2):
        ratios = [b / a for a, b in zip(times[f"-j {number}"], times[f"local:{number}"], strict=True)]
        print(f"local:{number} takes {statistics.median(ratios):.2f} times as long as -j {number}")


def _nothing(number: int) -> int:
    return number


def _sent(dask_worker: Any) -> int:
    return int(dask_worker.transfer_outgoing_bytes_total)


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def print_costs(client: Client, paths: list[Path], out: Path) -> None:
    """Print the rate of trivial tasks, the bytes of an epoch, and memory."""
    client.gather(client.map(_nothing, range(100), pure=False))
    trivial = seconds_of(lambda: client.gather(client.map(_nothing, range(_TRIVIAL), pure=False)))
    print(f"trivial tasks: {_TRIVIAL / trivial:.0f} a second, {1e3 * trivial / _TRIVIAL:.2f} ms each")
    sent: list[int] = []
    found = learn(
        paths[:40],
        "note",
        rank=_RANK,
        iterations=_EPOCHS,
        client=client,
        report=lambda _: sent.append(sum(client.run(_sent).values())),
    )
    epochs = [after - before for before, after in zip(sent, sent[1:], strict=False)]
    size = found.templates.size * 4
    measured = statistics.median(epochs)
    print(
        f"an epoch: workers send {measured:.0f} bytes, {measured / size:.1f} times K x F x 4 ({size} bytes)"
    )
    separate_files(paths[:20], out / "memory", SEPARATOR, client=client)
    limits = {name: one["memory_limit"] for name, one in client.scheduler_info()["workers"].items()}
    for name, peak in client.run(_peak_bytes).items():
        print(f"peak memory of {name}: {peak / 1e6:.0f} MB, its limit is {limits[name] / 1e6:.0f} MB")


def print_recovery(client: Client, cluster: LocalCluster, paths: list[Path], out: Path) -> None:
    """Print the time of a run beside that of the same run with a worker that is killed."""
    whole = seconds_of(lambda: separate_files(paths, out / "whole", SEPARATOR, client=client))
    victim = next(iter(cluster.workers.values())).pid
    threading.Timer(whole / 3, os.kill, [victim, signal.SIGKILL]).start()
    killed = seconds_of(lambda: separate_files(paths, out / "killed", SEPARATOR, client=client))
    print(
        f"{len(paths)} files: {whole:.2f} s, and {killed:.2f} s when a worker is killed after a third of it"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "in"
        folder.mkdir()
        paths = make_files(folder, arguments.files, arguments.seconds)
        print_throughput(folder, len(paths), arguments.rounds)
        with (
            LocalCluster(
                n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None
            ) as cluster,
            Client(cluster) as client,
        ):
            print_costs(client, paths, Path(name))
            print_recovery(client, cluster, paths, Path(name))


if __name__ == "__main__":
    main()
