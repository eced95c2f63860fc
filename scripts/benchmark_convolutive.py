"""Compare convolutive factorization with torchnmf's NMFD: time of an update, and time to the same divergence.

    python scripts/benchmark_convolutive.py [--torch PYTHON] [--threads 1] [--rounds 5]

PYTHON is an interpreter with torch, torchnmf and numpy; without it, only nmfaudio is timed. Each contender
runs in a process of its own, in turns, for several rounds; the result is the median. The data are decaying
random sounds with 1025 bins and 2600 frames. There are 10 components of 10 frames; the divergence is
Kullback-Leibler.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from typing import Any

BINS, FRAMES, RANK, LAGS = 1025, 2600, 10, 10
FEW, MANY = 5, 45  # iterations of two runs: the difference of their times excludes the set-up
GOAL = 100  # number of iterations of torchnmf after which its objective is the goal


def data() -> Any:
    """Return sounds of ten frames at random times, with noise, shape (bins, frames)."""
    import numpy as np

    generator = np.random.default_rng(0)
    V = 0.01 * generator.random((BINS, FRAMES))
    decay = np.exp(-np.arange(LAGS) / 3)
    for _ in range(RANK):
        sound = generator.random((BINS, 1)) ** 6 * decay * generator.random((BINS, LAGS))
        for frame in generator.integers(0, FRAMES - LAGS, 100):
            V[:, frame : frame + LAGS] += sound * generator.random()
    return V.astype(np.float32)


def ours(threads: int) -> dict[str, Any]:
    """Time nmfaudio: seconds per iteration, plain and accelerated, and the objective over time."""
    import numpy as np

    from nmfaudio import convolve

    V = np.asfortranarray(data())
    results: dict[str, Any] = {}
    for solver in ("mu", "accelerated"):
        seconds = []
        for iterations in (FEW, MANY):
            began = time.perf_counter()
            convolve(V, RANK, LAGS, solver=solver, iterations=iterations, tolerance=0, threads=threads)
            seconds.append(time.perf_counter() - began)
        results[solver] = (seconds[1] - seconds[0]) / (MANY - FEW)
    began, curve = time.perf_counter(), []
    convolve(
        V,
        RANK,
        LAGS,
        iterations=2 * GOAL,
        tolerance=0,
        threads=threads,
        callback=lambda _, objective: curve.append((time.perf_counter() - began, objective)),
    )
    return {**results, "curve": curve}


def theirs(threads: int) -> dict[str, Any]:
    """Time torchnmf: seconds per iteration, and time and divergence after `GOAL` iterations."""
    import torch
    from torchnmf.nmf import NMFD

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    V = torch.tensor(data())[None]
    seconds = []
    for iterations in (FEW, MANY, GOAL):
        model = NMFD(V.shape, rank=RANK, T=LAGS)
        began = time.perf_counter()
        model.fit(V, beta=1, tol=float("-inf"), max_iter=iterations)
        seconds.append(time.perf_counter() - began)
    with torch.no_grad():
        P, v = model().double(), V.double()
        divergence = float((torch.xlogy(v, v / P) - v + P).sum())
    return {"mu": (seconds[1] - seconds[0]) / (MANY - FEW), "goal": [seconds[2], divergence]}


def run(python: str, contender: str, threads: int) -> Any:
    """Run one contender in a process of its own."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
    environment = {**os.environ, **{name: str(threads) for name in names}}
    command = [python, __file__, "--contender", contender, "--threads", str(threads)]
    completed = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return json.loads(completed.stdout.splitlines()[-1])


def main() -> None:
    """Run the contenders in turns and print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--torch", help="a Python interpreter with torch and torchnmf")
    parser.add_argument("--threads", type=int, default=1, help="number of threads (default: 1)")
    parser.add_argument("--rounds", type=int, default=5, help="number of rounds (default: 5)")
    parser.add_argument("--contender", choices=("ours", "theirs"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.contender:
        print(json.dumps({"ours": ours, "theirs": theirs}[options.contender](options.threads)))
        return
    our_results, their_results = [], []
    for _ in range(options.rounds):
        our_results.append(run(sys.executable, "ours", options.threads))
        if options.torch:
            their_results.append(run(options.torch, "theirs", options.threads))
    for solver in ("mu", "accelerated"):
        seconds = statistics.median(result[solver] for result in our_results)
        print(f"nmfaudio {solver:12} {1e3 * seconds:7.1f} ms per iteration")
    if their_results:
        seconds = statistics.median(o["mu"] for o in their_results)
        print(f"torchnmf NMFD         {1e3 * seconds:7.1f} ms per iteration")
        ratios = [o["mu"] / m["mu"] for o, m in zip(their_results, our_results, strict=True)]
        print(f"torchnmf / nmfaudio mu, median of {len(ratios)} rounds: {statistics.median(ratios):.2f}")
        print_time_to_goal(our_results, their_results)


def print_time_to_goal(our_results: list[Any], their_results: list[Any]) -> None:
    """Print the time that each needs to reach the divergence of torchnmf."""
    goal = max(o["goal"][1] for o in their_results)
    our_times = [next((t for t, objective in m["curve"] if objective <= goal), None) for m in our_results]
    their_time = statistics.median(o["goal"][0] for o in their_results)
    print(
        f"to a divergence of {goal:.5g}: torchnmf {their_time:.2f} s ({GOAL} iterations), nmfaudio ", end=""
    )
    reached = [t for t in our_times if t is not None]
    print(f"{statistics.median(reached):.2f} s" if reached else f"does not reach it in {2 * GOAL}")


if __name__ == "__main__":
    main()
