"""Measure what Dask costs: ``python scripts/benchmark_cluster.py [--only throughput] [--files 200]``.

The script makes short files. Its parts, of which ``--only`` runs one:

- ``throughput``: the files are separated with ``-j 1``, ``-j 2``, ``--cluster local:1`` and ``--cluster
  local:2``, in turns, each as one command with its starting time. Medians of rounds are printed, and the
  ratios of the cluster to ``-j``, of wall time and of processor time, which other programs on the machine
  disturb less.
- ``costs``: the tasks a second of a scheduler with trivial tasks, the bytes that workers send each other in
  an epoch of learning, and the peak memory of the workers beside their limit.
- ``recovery``: the time that the death of a worker costs.
- ``minibatch``: what passes over batches lose against 50 epochs over the whole corpus, and the
  processor time of both, for each ``--corpus FOLDER`` of recordings of one source (default:
  ``audio_samples/drum_loop``).
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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from distributed import Client, LocalCluster

from nmfaudio import Dictionary, learn, read, separate_files
from nmfaudio.dictionaries import corpus
from nmfaudio.dictionaries.training_frames import Spectra
from nmfaudio.nmf import Divergence
from nmfaudio.nmf.shard_sums import ShardSums

RATE = 16000
SEPARATOR = "harmonic-percussive"
_TRIVIAL = 3000  # tasks
_RANK, _EPOCHS = 8, 4
_TEMPLATES, _WHOLE_EPOCHS, _PASSES = 20, 50, (1, 2, 5)
_PARTS = ("throughput", "costs", "recovery", "minibatch")
_MEASURES = ("wall", "processor")
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


@dataclass(frozen=True)
class Cost:
    """Wall time of a command, and the processor time of all its processes, in seconds."""

    wall: float
    processor: float


def cost_of_command(folder: Path, flags: tuple[str, ...]) -> Cost:
    """Return the cost of one command that separates the folder."""
    out = folder.parent / "out"
    command = [sys.executable, "-m", "nmfaudio", "separate", str(folder), "-o", str(out), "-q"]
    before = _processor_seconds()
    try:
        wall = seconds_of(lambda: subprocess.run([*command, "--separator", SEPARATOR, *flags], check=True))
        return Cost(wall, _processor_seconds() - before)
    finally:
        shutil.rmtree(out, ignore_errors=True)


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)  # of processes that have ended
    return used.ru_utime + used.ru_stime


def print_throughput(folder: Path, count: int, rounds: int) -> None:
    """Print the cost of each way, and the ratios of the cluster to processes."""
    costs: dict[str, list[Cost]] = {way: [] for way in _WAYS}
    for _ in range(rounds):
        for way, flags in _WAYS.items():
            costs[way].append(cost_of_command(folder, flags))
            print(f"{way:8} {costs[way][-1]}", flush=True)
    for way, found in costs.items():
        wall, processor = (statistics.median(getattr(one, name) for one in found) for name in _MEASURES)
        print(f"{way:8} {wall:7.2f} s  {count / wall:6.1f} files/s  {processor:7.2f} s of processor time")
    for number in (1, 2):
        for measure in _MEASURES:
            ratios = [
                getattr(b, measure) / getattr(a, measure)
                for a, b in zip(costs[f"-j {number}"], costs[f"local:{number}"], strict=True)
            ]
            ratio = statistics.median(ratios)
            print(f"local:{number} takes {ratio:.2f} times the {measure} time of -j {number}")


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


def print_minibatch(folder: Path, frames_of_shard: int) -> None:
    """Print the divergence and the processor time of passes over batches, as ratios to those of epochs."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix in {".flac", ".wav"})
    corpus.FRAMES_OF_SHARD = frames_of_shard
    start = time.process_time()
    whole = learn(paths, "one", rank=_TEMPLATES, iterations=_WHOLE_EPOCHS, whole_corpus=True)
    whole_seconds = time.process_time() - start
    frames = _frames(paths, whole)
    best = _divergence(frames, whole)
    shards = sum(-(-len(one) // frames_of_shard) for one in frames)
    print(
        f"{folder}: {len(paths)} recordings, {sum(map(len, frames))} frames, {shards} shards of at most "
        f"{frames_of_shard} frames; {_WHOLE_EPOCHS} epochs: {whole_seconds:.1f} s of processor time",
        flush=True,
    )
    for passes in _PASSES:
        start = time.process_time()
        found = learn(paths, "one", rank=_TEMPLATES, minibatch=True, passes=passes)
        seconds = time.process_time() - start
        ratio = _divergence(frames, found) / best
        print(
            f"  {passes} pass{'es' if passes > 1 else ''}: {ratio:.3f} times the divergence, "
            f"{seconds / whole_seconds:.2f} times the processor time",
            flush=True,
        )


def _frames(paths: list[Path], dictionary: Dictionary) -> list[Any]:
    """Return the frames of all recordings, each of shape (frames, bins)."""
    rate, power = dictionary.sample_rate, dictionary.magnitude_power
    spectra = (Spectra(read(path), dictionary.stft, rate, power, None) for path in paths)
    return [np.concatenate(list(one.blocks())) for one in spectra]


def _divergence(frames: list[Any], dictionary: Dictionary) -> float:
    level = float(np.mean([one.mean() for one in frames]))
    return sum(
        ShardSums.of(one, dictionary.templates, Divergence.of("kl"), level).objective for one in frames
    )


def print_cluster_parts(parts: tuple[str, ...], paths: list[Path], out: Path) -> None:
    """Print the parts that need a cluster."""
    flags: dict[str, Any] = {"threads_per_worker": 1, "host": "127.0.0.1", "dashboard_address": None}
    with LocalCluster(n_workers=2, **flags) as cluster, Client(cluster) as client:
        if "costs" in parts:
            print_costs(client, paths, out)
        if "recovery" in parts:
            print_recovery(client, cluster, paths, out)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", choices=_PARTS)
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--corpus", type=Path, nargs="+", default=[Path("audio_samples/drum_loop")])
    parser.add_argument("--frames-of-shard", type=int, default=corpus.FRAMES_OF_SHARD)
    arguments = parser.parse_args()
    parts = (arguments.only,) if arguments.only else _PARTS
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "in"
        folder.mkdir()
        paths = [] if parts == ("minibatch",) else make_files(folder, arguments.files, arguments.seconds)
        if "throughput" in parts:
            print_throughput(folder, len(paths), arguments.rounds)
        if {"costs", "recovery"} & set(parts):
            print_cluster_parts(parts, paths, Path(name))
    if "minibatch" in parts:
        for corpus_folder in arguments.corpus:
            print_minibatch(corpus_folder, arguments.frames_of_shard)


if __name__ == "__main__":
    main()
