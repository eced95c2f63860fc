"""Time an iteration of the engine against scikit-learn's: ``python3 scripts/benchmark_engine.py``.

Every number is the median over rounds. In a round each contender works in a process of its own, one after
the other, so that all see the same state of the machine and no contender's threads disturb the next. All get
the same float32 matrix, 1025 bins x 2584 frames (30 s at 44.1 kHz), and the same start. The time of an
iteration is that of a long run less that of a run of one iteration: setting up does not count. The engine's
looks at the objective, one in ten iterations, do count; scikit-learn makes none, since its tolerance is 0.
Both make plain updates: what extrapolation saves is told by ``benchmark_convergence.py``.

scikit-learn stands there three times, since its large temporary matrices make it hang on the memory's state.
Where the C library hands memory back to the system at each step, the system clears it again page by page, and
in small pages that takes longer than the arithmetic. "Memory kept" is its best case: glibc keeps what it has.
"Small pages" is its worst: what a system without huge pages does. Between them is what happens by default.

On two threads the engine is compared with itself on one, beside arithmetic on two threads and one in the same
process: that says what the second core was worth at the moment.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

import numba
import numpy as np
from numpy.typing import NDArray

BINS, FRAMES = 1025, 2584
RANKS = (8, 32, 64, 128)
CASES = [*((loss, rank) for loss in ("kl", "is") for rank in RANKS), ("kl, H alone", 32)]
SKLEARN = {  # settings of the environment that scikit-learn's time hangs on
    "scikit-learn": {},
    "scikit-learn, memory kept": {"MALLOC_MMAP_THRESHOLD_": f"{2**30}", "MALLOC_TRIM_THRESHOLD_": f"{2**34}"},
    "scikit-learn, small pages": {"MALLOC_MMAP_THRESHOLD_": f"{2**17}", "NUMPY_MADVISE_HUGEPAGE": "0"},
}
CONTENDERS = ("nmfaudio", *SKLEARN)
SCALED = (8, 32, 128)  # ranks at which two threads are compared with one

Matrix = NDArray[np.float32]
Run = Callable[[int], object]
Results = dict[str, dict[str, list[float]]]


def data(rank: int) -> tuple[Matrix, Matrix, Matrix]:
    """Return V, (bins, frames) and contiguous by frames, and a start (W, H)."""
    rng = np.random.default_rng(0)
    V = rng.standard_gamma(0.5, (FRAMES, BINS), dtype=np.float32) + np.float32(1e-6)
    W = rng.random((BINS, rank), dtype=np.float32) + np.float32(0.1)
    H = rng.random((rank, FRAMES), dtype=np.float32) + np.float32(0.1)
    return V.T, W, H


def nmfaudio_run(loss: str, rank: int, threads: int = 1) -> Run:
    """Return the engine's work of so many iterations."""
    from nmfaudio.nmf import activate, factorize

    V, W, H = data(rank)
    if loss.endswith("alone"):
        return lambda n: activate(V, W, divergence="kl", iterations=n, tolerance=0, threads=threads)
    return lambda n: factorize(
        V, rank, divergence=loss, init=(W, H), solver="mu", iterations=n, tolerance=0, threads=threads
    )


def sklearn_run(loss: str, rank: int) -> Run:
    """Return scikit-learn's work of so many iterations; its samples are the frames."""
    from sklearn.decomposition import non_negative_factorization

    V, W, H = data(rank)
    alone = loss.endswith("alone")
    activations = np.full((FRAMES, rank), V.mean(), np.float32) if alone else np.ascontiguousarray(H.T)
    options = {
        "solver": "mu",
        "beta_loss": "itakura-saito" if loss == "is" else "kullback-leibler",
        "init": None if alone else "custom",
        "update_H": not alone,
        "tol": 0,
        "n_components": rank,
    }
    templates = np.ascontiguousarray(W.T)
    return lambda n: non_negative_factorization(
        V.T, W=None if alone else activations.copy(), H=templates.copy(), max_iter=n, **options
    )


def iteration(run: Run) -> float:
    """Return the seconds of one iteration."""
    run(1)
    long = 31
    times = []
    for n in (1, long):
        start = time.perf_counter()
        run(n)
        times.append(time.perf_counter() - start)
    return (times[1] - times[0]) / (long - 1)


@numba.njit(nogil=True, fastmath={"contract"})
def arithmetic(steps: int) -> float:
    """Multiply and add in registers."""
    x = np.zeros(256, np.float32)
    for _ in range(steps):
        for i in range(x.size):
            x[i] = x[i] * np.float32(0.5) + np.float32(1)
    return float(x[0])


def control(threads: int) -> float:
    """Return the seconds for the same arithmetic in all, shared out between threads."""
    steps = 8_000_000
    arithmetic(1)
    with ThreadPoolExecutor(threads) as pool:
        start = time.perf_counter()
        list(pool.map(arithmetic, [steps // threads] * threads))
        return time.perf_counter() - start


def work(contender: str) -> dict[str, float]:
    """Return the contender's milliseconds in every case, on one thread."""
    run = nmfaudio_run if contender == "nmfaudio" else sklearn_run
    return {f"{loss}, K = {rank}": 1e3 * iteration(run(loss, rank)) for loss, rank in CASES}


def scaling() -> dict[str, float]:
    """Return by what two threads are faster than one, the control first."""
    found = {"arithmetic": control(1) / control(2)}
    for rank in SCALED:
        one, two = (iteration(nmfaudio_run("kl", rank, threads)) for threads in (1, 2))
        found[f"kl, K = {rank}"] = one / two
    return found


def in_a_process(task: str) -> dict[str, float]:
    """Run a task of this script in a process of its own, its BLAS on one thread."""
    single = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}
    command = [sys.executable, str(Path(__file__).resolve()), "--work", task]
    environment = {**os.environ, **single, **SKLEARN.get(task, {})}
    ran = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    answer: dict[str, float] = json.loads(ran.stdout)
    return answer


def measure(rounds: int) -> Results:
    """Return what every task answered, round by round; the order turns from round to round."""
    tasks = (*CONTENDERS, "threads")
    results: Results = {task: {} for task in tasks}
    for number in range(rounds):
        for task in tasks if number % 2 == 0 else tasks[::-1]:
            for case, value in in_a_process(task).items():
                results[task].setdefault(case, []).append(value)
        print(f"round {number + 1} of {rounds}", file=sys.stderr, flush=True)
    return results


def report(results: Results) -> str:
    """Return two Markdown tables: times on one thread, and what a second thread gives."""
    ours, *others = (results[contender] for contender in CONTENDERS)
    lines = [
        f"| 1 thread, ms an iteration (ratio) | {' | '.join(CONTENDERS)} |",
        "|---" * (1 + len(CONTENDERS)) + "|",
    ]
    for case in ours:
        best = median(ours[case])
        slower = [f"{median(other[case]):.2f} ({median(other[case]) / best:.1f})" for other in others]
        lines.append(f"| {case} | {best:.2f} | {' | '.join(slower)} |")
    lines += ["", "| 2 threads against 1 | times faster |", "|---|---|"]
    lines += [f"| {case} | {median(values):.2f} |" for case, values in results["threads"].items()]
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="how often to measure everything (default: 5)")
    parser.add_argument("--json", type=Path, help="write every single measurement to this file")
    parser.add_argument("--work", choices=(*CONTENDERS, "threads"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.work:
        print(json.dumps(scaling() if options.work == "threads" else work(options.work)))
        return
    results = measure(options.rounds)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    print(report(results))


if __name__ == "__main__":
    main()
