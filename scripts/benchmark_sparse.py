"""Time sparse factorization beside scikit-learn's multiplicative updates, and measure memory.

    python scripts/benchmark_sparse.py [--rounds 5] [--rank 10] [--topics]

Each contender runs in a process of its own, in turn, several times. What is printed are medians over these
rounds, and ratios of two contenders in the same round. Set-up does not count: the time of an update is the
difference of two fits of different lengths, divided by the number of updates between them.

The matrices are 10,000 x 10,000 with 0.1 %, 0.5 % and 2 % of the entries stored, and a corpus of the size of
20 newsgroups: 11,314 texts over 40,000 words, whose frequencies follow Zipf's law, made of 20 topics.
`--topics` fits the corpus alone, and shows the time of the whole and how well its topics are found.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

TEXTS, WORDS, TOPICS = 11_314, 40_000, 20
SIDE, DENSITIES = 10_000, (0.001, 0.005, 0.02)
FEW, MANY = 3, 13  # updates of the two fits
NAMES = ("nmfaudio", "scikit-learn")
LOSSES = ("kullback-leibler", "frobenius")


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


def timed(name: str, path: str, loss: str, rank: int) -> dict[str, float]:
    """Return the seconds of an update in fit and in transform, the error, and the growth of memory in MB.

    The matrix is read from a file: making it would take more memory than factoring it.
    """
    import scipy.sparse

    X: Any = scipy.sparse.load_npz(path)
    model_of(name, rank, loss, 1).fit(X[:100]).transform(X[:100])  # compiles or loads the loops
    before = _peak()
    seconds: dict[str, list[float]] = {"fit": [], "transform": []}
    for iterations in (FEW, MANY):
        model = model_of(name, rank, loss, iterations)
        for step, spent in seconds.items():
            began = time.perf_counter()
            getattr(model, step)(X)
            spent.append(time.perf_counter() - began)
    updates = {step: (long - short) / (MANY - FEW) for step, (short, long) in seconds.items()}
    return {**updates, "error": float(model.reconstruction_err_), "memory": _peak() - before}


def _peak() -> float:
    """Return the most memory that this process has had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


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


def compare(rounds: int, rank: int) -> None:
    """Print a table of medians and of ratios within rounds."""
    print(f"rank {rank}, {rounds} rounds; ms of an update, ratio = scikit-learn / nmfaudio (worst round)")
    print(f"{'matrix':>14} {'loss':>17} {'step':>10} {'nmfaudio':>9} {'scikit-learn':>12} {'ratio':>14}")
    with tempfile.TemporaryDirectory() as folder:
        for density in (*DENSITIES, None):
            _compare_on(density, str(Path(folder) / "matrix.npz"), rounds, rank)


def _compare_on(density: float | None, path: str, rounds: int, rank: int) -> None:
    """Print the rows of one matrix, which is written to `path` for the contenders."""
    import scipy.sparse

    scipy.sparse.save_npz(path, matrix(density), compressed=False)
    title = "corpus" if density is None else f"{100 * density:g} % filled"
    for loss in LOSSES:
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in NAMES}
        for _ in range(rounds):
            for name in NAMES:
                arguments = ("--run", name, "--loss", loss, "--rank", str(rank))
                runs[name].append(measured(*arguments, "--matrix", path))
        _print_rows(title, loss, runs)


def _print_rows(title: str, loss: str, runs: dict[str, list[dict[str, float]]]) -> None:
    ours, theirs = (runs[name] for name in NAMES)
    for step in ("fit", "transform"):
        ratios = [b[step] / a[step] for a, b in zip(ours, theirs, strict=True)]
        spent = [1000 * statistics.median(run[step] for run in each) for each in (ours, theirs)]
        ratio = f"{statistics.median(ratios):.1f} ({min(ratios):.1f})"
        print(f"{title:>14} {loss:>17} {step:>10} {spent[0]:>9.1f} {spent[1]:>12.1f} {ratio:>14}")
    for key, unit in (("error", ""), ("memory", " MB")):
        a, b = (statistics.median(run[key] for run in each) for each in (ours, theirs))
        print(f"{title:>14} {loss:>17} {key:>10} {a:>9.1f} {b:>12.1f}{unit}", flush=True)


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="rounds of all contenders")
    parser.add_argument("--rank", type=int, default=10, help="number of components")
    parser.add_argument("--topics", action="store_true", help="fit the corpus alone")
    parser.add_argument("--run", choices=NAMES, help=argparse.SUPPRESS)
    parser.add_argument("--loss", choices=LOSSES, default=LOSSES[0], help=argparse.SUPPRESS)
    parser.add_argument("--matrix", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.run:
        print(json.dumps(timed(chosen.run, chosen.matrix, chosen.loss, chosen.rank)))
    elif chosen.topics:
        for loss in LOSSES:
            print(loss, json.dumps(topics(loss)))
    else:
        compare(chosen.rounds, chosen.rank)


if __name__ == "__main__":
    main()
