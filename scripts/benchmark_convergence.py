"""Time the engine to scikit-learn's divergence: ``python3 scripts/benchmark_convergence.py [FILE...]``.

For each file (default: the audio samples) and seed, both start from the same factors. scikit-learn makes 200
multiplicative updates; the engine runs until its divergence is as low. Both run on one thread, in turn, in
one process; compiling does not count. The table gives medians over files and seeds of the ratio of times and
of the number of updates, and how the divergences compare after 200 updates of each: above 0 the engine's is
higher.
"""

from __future__ import annotations

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

import argparse
import json
import time
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import non_negative_factorization
from sklearn.exceptions import ConvergenceWarning

from nmfaudio import STFT, Blocks, Divergence, factorize, read
from nmfaudio.nmf.initialize import random

RANK, UPDATES = 32, 200
SAMPLES = Path(__file__).resolve().parent.parent / "audio_samples"
LOSSES = {
    "kl": ("kullback-leibler", 1),
    "is": ("itakura-saito", 2),
}  # scikit-learn's name, power of the magnitude

Matrix = NDArray[np.float32]


def spectrogram(path: Path, power: int) -> Matrix:
    """Return V, (frames, bins) of mean 1 and above zero, of all channels one after another."""
    audio = read(path)
    magnitude = Blocks(audio, STFT.lasting(0.046, audio.sample_rate)).whole().magnitude
    V = np.concatenate(list(magnitude**power), axis=1).T
    return np.ascontiguousarray(V / V.mean() + 1e-6, dtype=np.float32)


def compare(V: Matrix, loss: str, seed: int) -> dict[str, float]:
    """Run both from one start and return times, updates and divergences."""
    W, H = (np.ascontiguousarray(m) for m in random(V, RANK, np.random.default_rng(seed)))
    began = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        theirs = non_negative_factorization(
            V, H.copy(), W.T.copy(), n_components=RANK, init="custom", solver="mu", beta_loss=LOSSES[loss][0],
            max_iter=UPDATES, tol=0,
        )  # fmt: skip
    seconds = time.perf_counter() - began
    divergence = Divergence.of(loss)
    goal = float(divergence.between(V, np.maximum(theirs[0] @ theirs[1], np.finfo(np.float32).tiny)))
    settings: dict[str, Any] = {"divergence": loss, "init": (W, H.T), "tolerance": 0, "threads": 1}
    began = time.perf_counter()
    reached = factorize(V.T, RANK, iterations=10 * UPDATES, callback=lambda _, now: now <= goal, **settings)
    ours = time.perf_counter() - began
    same = factorize(V.T, RANK, iterations=UPDATES, **settings)
    return {
        "scikit-learn s": seconds,
        "nmfaudio s": ours,
        "times faster": seconds / ours,
        "times fewer updates": UPDATES / reached.iterations,
        "divergence after 200, %": 100 * (float(same.objective[-1]) / goal - 1),
    }


def table(rows: Iterable[tuple[str, dict[str, list[float]]]]) -> str:
    """Return a Markdown table of medians with the least and the greatest."""
    lines: list[str] = []
    for loss, columns in rows:
        if not lines:
            lines = ["| | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
        cells = [f"{np.median(c):.2f} ({min(c):.2f} to {max(c):.2f})" for c in columns.values()]
        lines.append(f"| {loss} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Compare over files and seeds, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("files", nargs="*", type=Path, default=sorted(SAMPLES.glob("*.flac")))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="where to keep all figures")
    options = parser.parse_args()
    results: dict[str, dict[str, list[float]]] = {}
    for loss, (_, power) in LOSSES.items():
        warm = np.random.default_rng(0).random((40, 30), dtype=np.float32)
        factorize(warm.T, 2, divergence=loss, iterations=3)
        for path in options.files:
            V = spectrogram(path, power)
            for seed in range(options.seeds):
                for name, value in compare(V, loss, seed).items():
                    results.setdefault(loss, {}).setdefault(name, []).append(value)
            print(f"{loss} {path.name} done", flush=True)
    print(table(results.items()))
    if options.json:
        options.json.write_text(json.dumps(results, indent=1), "utf-8")


if __name__ == "__main__":
    main()
