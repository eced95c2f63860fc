"""Time sparse factorization beside scikit-learn's multiplicative updates, and measure memory.

    python scripts/benchmark_sparse.py [--rounds 5] [--rank 10] [--iterations 20] [--cores N] [--loss LOSS]
    python scripts/benchmark_sparse.py --topics

Each contender runs in a process of its own, in turn, several times. Whole calls of `fit` and `transform` are
timed, after one that compiles or loads the loops. What is printed are medians over the rounds of wall time,
and ratios of two contenders in the same round, of wall and of CPU time. `--cores` lets both use so many.

The matrices are 10,000 x 10,000 with 0.1 %, 0.5 % and 2 % of the entries stored, and a corpus of the size of
20 newsgroups: 11,314 texts over 40,000 words, whose frequencies follow Zipf's law, made of 20 topics.
`--topics` fits the corpus alone, and shows the time of the whole and how well its topics are found.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

TEXTS, WORDS, TOPICS = 11_314, 40_000, 20
SIDE, DENSITIES = 10_000, (0.001, 0.005, 0.02)
REPEATS = 3  # calls in each process, of which the median counts
NAMES = ("nmfaudio", "scikit-learn")
LOSSES = ("kullback-leibler", "frobenius")
STEPS = ("fit", "transform")
_ROW = "{:>12} {:>16} {:>10} {:>8} {:>12} {:>13} {:>13}"


def corpus() -> tuple[Any, Any]:
    """Return counts of words, (texts, words), and the words' probabilities in each topic."""
    import numpy as np
    import scipy.sparse

    generator = np.random.default_rng(0)
    zipf = 1 / np.arange(1, WORDS + 1) ** 1.07
    own = zipf * generator.gamma(0.05, 20, (TOPICS, WORDS))  # few words are frequent in a topic
    topics = 0.5 * zipf / zipf.sum() + 0.5 * own / own.sum(axis=1, keepdims=True)
    shares = generator.dirichlet(np.full(TOPICS, 0.1), TEXTS)
    lengths = np.maximum(5, generator.lognormal(np.log(90), 0.9, TEXTS)).astype(int)
    rows, columns = [], []
    for topic, words in enumerate(topics):
        counts = generator.binomial(lengths, shares[:, topic])
        drawn = np.searchsorted(np.cumsum(words / words.sum()), generator.random(counts.sum()))
        rows.append(np.repeat(np.arange(TEXTS), counts))
        columns.append(np.minimum(drawn, WORDS - 1))
    places = np.concatenate(rows), np.concatenate(columns)
    X = scipy.sparse.csr_matrix((np.ones(len(places[0]), np.float32), places), (TEXTS, WORDS))
    X.sum_duplicates()
    return X, topics


def matrix(density: float | None) -> Any:
    """Return random entries at random places, or the corpus where no density is given."""
    import numpy as np
    import scipy.sparse

    if density is None:
        return corpus()[0]
    return scipy.sparse.random(SIDE, SIDE, density, format="csr", dtype=np.float32, random_state=0)


def model_of(name: str, rank: int, loss: str, iterations: int) -> Any:
    """Return an estimator that makes so many plain multiplicative updates from noise."""
    import sklearn.decomposition

    import nmfaudio

    kind = nmfaudio.NMF if name == "nmfaudio" else sklearn.decomposition.NMF
    return kind(rank, solver="mu", beta_loss=loss, init="random", random_state=0, max_iter=iterations, tol=0)


def timed(name: str, path: str, loss: str, rank: int, iterations: int) -> dict[str, float]:
    """Return seconds of fit and of transform in wall and CPU time, the error, and the growth of memory in MB.

    The matrix is read from a file: making it would take more memory than factoring it.
    """
    import scipy.sparse

    X: Any = scipy.sparse.load_npz(path)
    model_of(name, rank, loss, 1).fit(X[:100]).transform(X[:100])  # compiles or loads the loops
    before = _peak()
    seconds: dict[str, list[float]] = {}
    for _ in range(REPEATS):
        model = model_of(name, rank, loss, iterations)
        for step in STEPS:
            began = time.perf_counter(), time.process_time()
            getattr(model, step)(X)
            ended = time.perf_counter(), time.process_time()
            for kind, start, stop in zip(("wall", "CPU"), began, ended, strict=True):
                seconds.setdefault(f"{step} {kind}", []).append(stop - start)
    medians = {kind: statistics.median(spent) for kind, spent in seconds.items()}
    return {**medians, "error": float(model.reconstruction_err_), "memory": _peak() - before}


def _peak() -> float:
    """Return the most memory that this process has had, in MB; `resource` would count its parent's, too."""
    status = Path("/proc/self/status").read_text("ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def topics(loss: str) -> dict[str, float]:
    """Fit the corpus from the default start; return the seconds and how alike the topics are, from 0 to 1."""
    import numpy as np

    from nmfaudio.matching import best_pairs
    from nmfaudio.nmf import factorize

    X, truth = corpus()
    factorize(X[:100].T, 2, divergence=loss, iterations=3)
    began = time.perf_counter()
    found = factorize(X.T, TOPICS, divergence=loss)
    seconds = time.perf_counter() - began
    cosines = _unit(found.W.T) @ _unit(np.asarray(truth)).T
    _, matched = best_pairs(cosines)
    alike = float(np.mean(cosines[np.arange(TOPICS), matched]))
    return {"seconds": seconds, "iterations": found.iterations, "alike": alike}


def _unit(rows: Any) -> Any:
    import numpy as np

    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def measured(*arguments: str) -> Any:
    """Run this script in a process of its own and return what it printed."""
    command = [sys.executable, str(Path(__file__)), *arguments]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def compare(chosen: argparse.Namespace) -> None:
    """Print a table of medians and of ratios within rounds."""
    cores = len(os.sched_getaffinity(0))
    print(f"rank {chosen.rank}, {chosen.iterations} updates, {chosen.rounds} rounds, {cores} cores")
    print("ms of a call, and ratios = scikit-learn / nmfaudio (worst round)")
    print(_ROW.format("matrix", "loss", "step", *NAMES, "wall", "CPU"))
    with tempfile.TemporaryDirectory() as folder:
        for density in (*DENSITIES, None):
            _compare_on(density, Path(folder) / "matrix.npz", chosen)


def _compare_on(density: float | None, path: Path, chosen: argparse.Namespace) -> None:
    """Print the rows of one matrix, which is written to `path` for the contenders."""
    import scipy.sparse

    scipy.sparse.save_npz(path, matrix(density), compressed=False)
    title = "corpus" if density is None else f"{100 * density:g} % filled"
    options = ("--rank", str(chosen.rank), "--iterations", str(chosen.iterations), "--matrix", str(path))
    for loss in [chosen.loss] if chosen.loss else LOSSES:
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in NAMES}
        for _ in range(chosen.rounds):
            for name in NAMES:
                runs[name].append(measured("--run", name, "--loss", loss, *options))
        _print_rows(title, loss, runs)


def _print_rows(title: str, loss: str, runs: dict[str, list[dict[str, float]]]) -> None:
    ours, theirs = (runs[name] for name in NAMES)
    for step in STEPS:
        key = f"{step} wall"
        columns = [f"{1000 * statistics.median(run[key] for run in each):.1f}" for each in (ours, theirs)]
        for key in (f"{step} wall", f"{step} CPU"):
            ratios = [b[key] / a[key] for a, b in zip(ours, theirs, strict=True)]
            columns.append(f"{statistics.median(ratios):.2f} ({min(ratios):.2f})")
        print(_ROW.format(title, loss, step, *columns))
    for key, unit in (("error", ""), ("memory", ", MB")):
        a, b = (statistics.median(run[key] for run in each) for each in (ours, theirs))
        print(_ROW.format(title, loss, key + unit, f"{a:.1f}", f"{b:.1f}", "", ""), flush=True)


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="rounds of all contenders")
    parser.add_argument("--rank", type=int, default=10, help="number of components")
    parser.add_argument("--iterations", type=int, default=20, help="updates of a fit, and of a transform")
    parser.add_argument("--cores", type=int, help="number of cores to use (default: all)")
    parser.add_argument("--loss", choices=LOSSES, help="measure this loss alone")
    parser.add_argument("--topics", action="store_true", help="fit the corpus alone")
    parser.add_argument("--run", choices=NAMES, help=argparse.SUPPRESS)
    parser.add_argument("--matrix", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.cores:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: chosen.cores])
    if chosen.run:
        spent = timed(chosen.run, chosen.matrix, chosen.loss, chosen.rank, chosen.iterations)
        print(json.dumps(spent))
    elif chosen.topics:
        for loss in LOSSES:
            print(loss, json.dumps(topics(loss)))
    else:
        compare(chosen)


if __name__ == "__main__":
    main()
