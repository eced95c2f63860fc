"""The contenders of ``benchmark_engine.py``, each of which works in a process of its own.

``python engine_contenders.py TASK CONTENDER THREADS`` reads a request from standard input, as JSON, and
answers on standard output, as JSON. Needs no more than NumPy and the contender itself: torchnmf may live in
another environment. Every contender takes the same float32 V, (frames, bins), and the same start.
"""

from __future__ import annotations

import json
import re
import sys
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]
Factors = tuple[Matrix, Matrix]  # W (bins, components), H (frames, components)
# Makes so many more iterations from factors, at which it starts, and returns the new ones.
Run = Callable[[Matrix, Factors, int], Factors]

PIECE = 4096
SKLEARN = {"kl": "kullback-leibler", "is": "itakura-saito"}
STEPS = (5, 10, 20, 50, 100, 200)  # iterations after which the curves of plain updates are drawn


def objective(V: Matrix, factors: Factors, loss: str) -> float:
    """Return the divergence in float64: the one function that judges all."""
    W, H = (factor.astype(np.float64) for factor in factors)
    total = 0.0
    for start in range(0, len(V), PIECE):
        v = V[start : start + PIECE].astype(np.float64)
        p = np.maximum(H[start : start + PIECE] @ W.T, 1e-30)
        ratio = v / p
        total += float(np.sum(v * np.log(ratio) - v + p if loss == "kl" else ratio - np.log(ratio) - 1))
    return total


def start(V: Matrix, rank: int, seed: int) -> Factors:
    """Return noise under the mean spectrum and the level of each frame."""
    rng = np.random.default_rng(seed)
    W = V.mean(axis=0)[:, None] * (0.1 + rng.random((V.shape[1], rank), np.float32))
    W /= W.sum(axis=0)
    return W, V.sum(axis=1)[:, None] / rank * (0.1 + rng.random((len(V), rank), np.float32))


def nmfaudio_run(loss: str, threads: int, solver: str = "mu") -> Run:
    """Return nmfaudio's updates."""
    from nmfaudio import factorize

    def run(V: Matrix, factors: Factors, count: int) -> Factors:
        W, H = factors
        options: dict[str, Any] = {"tolerance": 0, "threads": threads, "solver": solver}
        found = factorize(V.T, W.shape[1], divergence=loss, init=(W, H.T), iterations=count, **options)
        return found.W, found.H.T

    return run


def sklearn_run(loss: str, threads: int) -> Run:
    """Return scikit-learn's multiplicative updates; its samples are the frames."""
    from sklearn.decomposition import non_negative_factorization

    def run(V: Matrix, factors: Factors, count: int) -> Factors:
        W, H = factors
        found = non_negative_factorization(
            V, H.copy(), np.ascontiguousarray(W.T), n_components=W.shape[1], init="custom", solver="mu",
            beta_loss=SKLEARN[loss], max_iter=count, tol=0,
        )  # fmt: skip
        return found[1].T, found[0]

    return run


def numpy_run(loss: str, threads: int) -> Run:
    """Return the updates as they stand in the papers, with the exponent 1 that scikit-learn takes too."""

    def ratio(v: Matrix, h: Matrix, T: Matrix) -> Matrix:
        q = 1 / (h @ T + np.float32(1e-12))
        if loss == "kl":
            return np.asarray((v * q) @ T.T / T.sum(axis=1))
        return np.asarray(np.sqrt((v * q * q) @ T.T / (q @ T.T)))

    def run(V: Matrix, factors: Factors, count: int) -> Factors:
        T, H = np.ascontiguousarray(factors[0].T), factors[1].copy()
        for _ in range(count):
            H *= ratio(V, H, T)
            T *= ratio(V.T, T.T, H.T).T
        return T.T, H

    return run


def blocks_run(loss: str, threads: int) -> Run:
    """Return the plain way to be quick: blocks of frames that stay in the cache, a BLAS, a compiled loop."""
    import numba
    from threadpoolctl import threadpool_limits

    threadpool_limits(1, user_api="blas")
    itakura_saito, few = loss == "is", np.float32(1e-12)

    @numba.njit(nogil=True, error_model="numpy", fastmath={"contract"})
    def quotients(v: Matrix, p: Matrix, q: Matrix) -> None:
        for n in range(len(v)):
            for f in range(v.shape[1]):
                q[n, f] = 1 / (p[n, f] + few)
                p[n, f] = v[n, f] * q[n, f] * (q[n, f] if itakura_saito else np.float32(1))

    @numba.njit(nogil=True, error_model="numpy", fastmath={"contract"})
    def step(V: Matrix, H: Matrix, T: Matrix, W: Matrix, above: Matrix, below: Matrix, sums: Matrix) -> None:
        size = 96
        rooms = np.empty((2, size, V.shape[1]), np.float32)
        gains = np.empty((2, size, len(T)), np.float32)
        share = np.empty_like(T)
        for first in range(0, len(V), size):
            v, h = V[first : first + size], H[first : first + size]
            p, q = rooms[0, : len(v)], rooms[1, : len(v)]
            gain, weight = gains[0, : len(v)], gains[1, : len(v)]
            np.dot(h, T, p)
            quotients(v, p, q)
            np.dot(p, W, gain)
            if itakura_saito:
                np.dot(q, W, weight)
            else:
                weight[:] = sums
            for n in range(len(h)):
                for k in range(h.shape[1]):
                    ratio = gain[n, k] / weight[n, k]
                    h[n, k] *= np.sqrt(ratio) if itakura_saito else ratio
            np.dot(h, T, p)
            quotients(v, p, q)
            across = np.ascontiguousarray(h.T)
            np.dot(across, p, share)
            above += share
            if itakura_saito:
                np.dot(across, q, share)
                below += share

    def run(V: Matrix, factors: Factors, count: int) -> Factors:
        T, H = np.ascontiguousarray(factors[0].T), factors[1].copy()
        for _ in range(count):
            above, below = np.zeros_like(T), np.zeros_like(T)
            step(V, H, T, np.ascontiguousarray(T.T), above, below, T.sum(axis=1)[None])
            T *= np.sqrt(above / below) if itakura_saito else above / H.sum(axis=0)[:, None]
        return T.T, H

    return run


def torchnmf_run(loss: str, threads: int) -> Run:
    """Return torchnmf's updates."""
    import torch
    from torchnmf.nmf import NMF

    torch.set_num_threads(threads)

    def run(V: Matrix, factors: Factors, count: int) -> Factors:
        W, H = (torch.from_numpy(np.array(factor)) for factor in factors)
        model = NMF(W=W, H=H)
        model.fit(torch.from_numpy(np.asarray(V)), beta=1 if loss == "kl" else 0, tol=0, max_iter=count)
        return model.W.detach().numpy(), model.H.detach().numpy()

    return run


RUNS: dict[str, Callable[[str, int], Run]] = {
    "nmfaudio": nmfaudio_run,
    "scikit-learn": sklearn_run,
    "numpy": numpy_run,
    "blocks": blocks_run,
    "torchnmf": torchnmf_run,
}


def activations_alone(name: str, loss: str, threads: int) -> Run:
    """Return the updates of the activations, templates fixed."""
    if name == "nmfaudio":
        from nmfaudio import activate

        def ours(V: Matrix, factors: Factors, count: int) -> Factors:
            options: dict[str, Any] = {"tolerance": 0, "threads": threads, "divergence": loss}
            return factors[0], activate(V.T, factors[0], iterations=count, **options).H.T

        return ours
    from sklearn.decomposition import non_negative_factorization

    def theirs(V: Matrix, factors: Factors, count: int) -> Factors:
        components = np.ascontiguousarray(factors[0].T)
        found = non_negative_factorization(
            V, H=components, n_components=len(components), init="custom", update_H=False, solver="mu",
            beta_loss=SKLEARN[loss], max_iter=count, tol=0,
        )  # fmt: skip
        return factors[0], found[0]

    return theirs


def iteration(name: str, threads: int, ask: dict[str, Any]) -> dict[str, float]:
    """Return the milliseconds of a plain iteration, that of setting up taken off; and those of a sgemm."""
    V, found = np.load(ask["V"], mmap_mode="c" if ask["mapped"] else None), {}
    for loss, rank in ask["cases"]:
        run = activations_alone(name, loss, threads) if ask.get("fixed") else RUNS[name](loss, threads)
        factors, times = start(V[:PIECE], rank, 0), []
        factors = factors[0], np.full((len(V), rank), V[:PIECE].mean(), np.float32)
        run(V[:128], (factors[0], factors[1][:128]), 1)
        for count in (1, 1 + ask["iterations"]):
            # The quicker of two runs: a difference of times is easily spoilt by what else the machine does.
            taken = []
            for _ in range(ask.get("runs", 1)):
                began = time.perf_counter()
                run(V, factors, count)
                taken.append(time.perf_counter() - began)
            times.append(min(taken))
        found[f"{loss}, K = {rank}"] = 1e3 * (times[1] - times[0]) / ask["iterations"]
    return found


def sgemm(ask: dict[str, Any]) -> dict[str, float]:
    """Return the rate of a BLAS at the shapes of a model, in operations a second, for each rank."""
    V, found = np.load(ask["V"], mmap_mode="r"), {}
    for rank in sorted({rank for _, rank in ask["cases"]}):
        H, T = np.ones((len(V), rank), np.float32), np.ones((rank, V.shape[1]), np.float32)
        room, times = np.empty(V.shape, np.float32), []
        for _ in range(8):
            began = time.perf_counter()
            np.dot(H, T, out=room)
            times.append(time.perf_counter() - began)
        found[f"K = {rank}"] = 2.0 * V.size * rank / min(times[1:])
    return found


def control(threads: int) -> dict[str, float]:
    """Return the rate of so many threads that do nothing but multiply and add in their registers."""
    import numba

    @numba.njit(nogil=True, fastmath={"contract"})
    def multiply_and_add(x: Matrix, rounds: int) -> None:
        for _ in range(rounds):
            for i in range(x.size):
                y = x[i]
                for _ in range(32):
                    y = y * np.float32(0.5) + np.float32(0.25)
                x[i] = y

    def work() -> None:
        multiply_and_add(np.ones(1024, np.float32), 20000)

    multiply_and_add(np.ones(1024, np.float32), 1)
    best = 0.0
    for _ in range(5):
        workers = [threading.Thread(target=work) for _ in range(threads)]
        began = time.perf_counter()
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        best = max(best, threads * 2.0 * 32 * 1024 * 20000 / (time.perf_counter() - began))
    return {"control": best}


def converged(name: str, threads: int, ask: dict[str, Any]) -> dict[str, float]:
    """Return the objective after many iterations from the start of a seed."""
    V, loss = np.load(ask["V"]), ask["loss"]
    run = nmfaudio_run(loss, threads, "accelerated") if name == "nmfaudio" else RUNS[name](loss, threads)
    return {"objective": objective(V, run(V, start(V, ask["rank"], ask["seed"]), ask["iterations"]), loss)}


def memory(name: str, threads: int, ask: dict[str, Any]) -> dict[str, float]:
    """Return the peak of private memory above the input and the imports, in MB, over some iterations."""
    V = np.load(ask["V"], mmap_mode="c" if ask["mapped"] else None)
    run, factors = RUNS[name]("kl", threads), start(V[:PIECE], 32, 0)
    if name == "nmfaudio":
        run = default_run
    factors = factors[0], np.full((len(V), 32), V[:PIECE].mean(), np.float32)
    run(V[:256], (factors[0], factors[1][:256]), 3)
    before = _private()
    peak, done = [before], threading.Event()

    def watch() -> None:
        while not done.wait(0.001):
            peak[0] = max(peak[0], _private())

    watcher = threading.Thread(target=watch)
    watcher.start()
    run(V, factors, ask["iterations"])
    done.set()
    watcher.join()
    return {"peak MB": (peak[0] - before) / 1e6}


def default_run(V: Matrix, factors: Factors, count: int) -> Factors:
    """Return what nmfaudio finds by default, from its own start."""
    from nmfaudio import factorize

    found = factorize(V.T, factors[0].shape[1], iterations=count, tolerance=0, threads=1)
    return found.W, found.H.T


def _private() -> int:
    """Return the bytes of memory that belong to this process alone, as Linux tells it."""
    found = re.search(r"^RssAnon:\s+(\d+) kB", Path("/proc/self/status").read_text("ascii"), re.MULTILINE)
    return 1024 * int(found[1]) if found else 0


def goal(name: str, threads: int, ask: dict[str, Any]) -> dict[str, Any]:
    """Return seconds and objectives: of plain updates after some steps of iterations, from the same start.

    nmfaudio runs as it does by default until it is below the objective that is asked for, from its own start,
    which is counted, and then from the same start as the others; the first run of all is timed too, with all
    that it loads, compiled before.
    """
    V, loss = np.load(ask["V"]), ask["loss"]
    factors, points = start(V, ask["rank"], ask["seed"]), []
    if name != "nmfaudio":
        run = RUNS[name](loss, threads)
        run(V[:256], (factors[0], factors[1][:256]), 2)
        for count in STEPS if ask["curve"] else STEPS[-1:]:
            began = time.perf_counter()
            reached = run(V, factors, count)
            points.append((time.perf_counter() - began, objective(V, reached, loss)))
        return {"points": points}
    began = time.perf_counter()
    from nmfaudio import factorize

    options: dict[str, Any] = {"divergence": loss, "tolerance": 0, "threads": threads}
    factorize(V[:256].T, ask["rank"], iterations=3, **options)
    warming = time.perf_counter() - began
    own = reaching(V, ask, options | {"seed": ask["seed"]})
    same = reaching(V, ask, options | {"init": (factors[0], factors[1].T)})
    return own | {"warming": warming, "same start": same}


def reaching(V: Matrix, ask: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """Return how nmfaudio reaches the goal."""
    from nmfaudio import factorize

    seen: list[tuple[float, float]] = []

    def told(_: int, now: float) -> bool:
        seen.append((time.perf_counter() - began, now))
        return bool(now <= ask["goal"])

    began = time.perf_counter()
    found = factorize(V.T, ask["rank"], iterations=4000, callback=told, **options)
    seconds = time.perf_counter() - began
    judged = objective(V, (found.W, found.H.T), ask["loss"])
    if abs(judged - seen[-1][1]) > 1e-4 * judged:
        raise SystemExit(f"nmfaudio says {seen[-1][1]}, and the independent objective is {judged}")
    return {"points": seen, "seconds": seconds, "iterations": found.iterations}


def main() -> None:
    """Do as the request says."""
    warnings.simplefilter("ignore")
    task, name, threads, ask = sys.argv[1], sys.argv[2], int(sys.argv[3]), json.load(sys.stdin)
    tasks = {"iteration": iteration, "memory": memory, "goal": goal, "converged": converged}
    machine = {"sgemm": lambda: sgemm(ask), "control": lambda: control(threads)}
    answer = machine[task]() if task in machine else tasks[task](name, threads, ask)
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
