"""The contenders of ``benchmark_engine.py``. Each runs in a process of its own.

``python engine_contenders.py TASK CONTENDER THREADS`` reads a request as JSON from standard input and writes
the answer as JSON to standard output. It needs only NumPy and the contender itself, so torchnmf may be
installed in another environment. Every contender gets the same float32 matrix V, (frames, bins), and the same
start.
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
# A function that starts at given factors, runs a number of iterations, and returns the new factors.
Run = Callable[[Matrix, Factors, int], Factors]

PIECE = 4096  # frames whose objective is computed at a time
SKLEARN = {"kl": "kullback-leibler", "is": "itakura-saito"}
STEPS = (5, 10, 20, 50, 100, 200)  # numbers of iterations at which the objective of plain updates is drawn


def objective(V: Matrix, factors: Factors, loss: str) -> float:
    """Return the divergence in float64; the results of all contenders are compared by this function."""
    W, H = (factor.astype(np.float64) for factor in factors)
    total = 0.0
    for start in range(0, len(V), PIECE):
        v = V[start : start + PIECE].astype(np.float64)
        p = np.maximum(H[start : start + PIECE] @ W.T, 1e-30)
        ratio = v / p
        total += float(np.sum(v * np.log(ratio) - v + p if loss == "kl" else ratio - np.log(ratio) - 1))
    return total


def start(V: Matrix, rank: int, seed: int) -> Factors:
    """Return random factors that follow the mean spectrum of V and the level of each frame."""
    rng = np.random.default_rng(seed)
    W = V.mean(axis=0)[:, None] * (0.1 + rng.random((V.shape[1], rank), np.float32))
    W /= W.sum(axis=0)
    return W, V.sum(axis=1)[:, None] / rank * (0.1 + rng.random((len(V), rank), np.float32))


def nmfaudio_run(loss: str, threads: int, solver: str = "mu") -> Run:
    """Return the updates of nmfaudio."""
    from nmfaudio import factorize

    def run(V: Matrix, factors: Factors, count: int) -> Factors:
        W, H = factors
        options: dict[str, Any] = {"tolerance": 0, "threads": threads, "solver": solver}
        result = factorize(V.T, W.shape[1], divergence=loss, init=(W, H.T), iterations=count, **options)
        return result.W, result.H.T

    return run


def sklearn_run(loss: str, threads: int) -> Run:
    """Return the multiplicative updates of scikit-learn; frames are its samples."""
    from sklearn.decomposition import non_negative_factorization

    def run(V: Matrix, factors: Factors, count: int) -> Factors:
        W, H = factors
        result = non_negative_factorization(
            V, H.copy(), np.ascontiguousarray(W.T), n_components=W.shape[1], init="custom", solver="mu",
            beta_loss=SKLEARN[loss], max_iter=count, tol=0,
        )  # fmt: skip
        return result[1].T, result[0]

    return run


def numpy_run(loss: str, threads: int) -> Run:
    """Return the updates in plain NumPy, as scikit-learn has them.

    The exponent of an update is 1 for Kullback-Leibler and 1/2 (a square root) for Itakura-Saito. With these
    exponents the divergence is proven never to increase (Fevotte & Idier 2011).
    """

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
    """Return a simple fast implementation: blocks of frames that fit into the cache, a BLAS and numba."""
    import numba
    from threadpoolctl import threadpool_limits

    threadpool_limits(1, user_api="blas")
    itakura_saito, epsilon = loss == "is", np.float32(1e-12)

    @numba.njit(nogil=True, error_model="numpy", fastmath={"contract"})
    def quotients(v: Matrix, p: Matrix, q: Matrix) -> None:
        for n in range(len(v)):
            for f in range(v.shape[1]):
                q[n, f] = 1 / (p[n, f] + epsilon)
                p[n, f] = v[n, f] * q[n, f] * (q[n, f] if itakura_saito else np.float32(1))

    @numba.njit(nogil=True, error_model="numpy", fastmath={"contract"})
    def step(
        V: Matrix, H: Matrix, T: Matrix, W: Matrix, numerator: Matrix, denominator: Matrix, sums: Matrix
    ) -> None:
        size = 96
        buffers = np.empty((2, size, V.shape[1]), np.float32)
        gains = np.empty((2, size, len(T)), np.float32)
        share = np.empty_like(T)
        for first in range(0, len(V), size):
            v, h = V[first : first + size], H[first : first + size]
            p, q = buffers[0, : len(v)], buffers[1, : len(v)]
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
            transposed = np.ascontiguousarray(h.T)
            np.dot(transposed, p, share)
            numerator += share
            if itakura_saito:
                np.dot(transposed, q, share)
                denominator += share

    def run(V: Matrix, factors: Factors, count: int) -> Factors:
        T, H = np.ascontiguousarray(factors[0].T), factors[1].copy()
        for _ in range(count):
            numerator, denominator = np.zeros_like(T), np.zeros_like(T)
            step(V, H, T, np.ascontiguousarray(T.T), numerator, denominator, T.sum(axis=1)[None])
            T *= np.sqrt(numerator / denominator) if itakura_saito else numerator / H.sum(axis=0)[:, None]
        return T.T, H

    return run


def torchnmf_run(loss: str, threads: int) -> Run:
    """Return the updates of torchnmf."""
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
    """Return updates of the activations only; the templates are fixed."""
    if name == "nmfaudio":
        from nmfaudio import activate

        def ours(V: Matrix, factors: Factors, count: int) -> Factors:
            options: dict[str, Any] = {"tolerance": 0, "threads": threads, "divergence": loss}
            return factors[0], activate(V.T, factors[0], iterations=count, **options).H.T

        return ours
    from sklearn.decomposition import non_negative_factorization

    def theirs(V: Matrix, factors: Factors, count: int) -> Factors:
        components = np.ascontiguousarray(factors[0].T)
        result = non_negative_factorization(
            V, H=components, n_components=len(components), init="custom", update_H=False, solver="mu",
            beta_loss=SKLEARN[loss], max_iter=count, tol=0,
        )  # fmt: skip
        return factors[0], result[0]

    return theirs


def iteration(name: str, threads: int, request: dict[str, Any]) -> dict[str, float]:
    """Return the milliseconds of a plain iteration without the set-up, for each case."""
    V, milliseconds = np.load(request["V"], mmap_mode="c" if request["mapped"] else None), {}
    for loss, rank in request["cases"]:
        run = activations_alone(name, loss, threads) if request.get("fixed") else RUNS[name](loss, threads)
        factors, times = start(V[:PIECE], rank, 0), []
        factors = factors[0], np.full((len(V), rank), V[:PIECE].mean(), np.float32)
        run(V[:128], (factors[0], factors[1][:128]), 1)
        for count in (1, 1 + request["iterations"]):
            # The faster of two runs counts, because other processes disturb a difference of two times.
            durations = []
            for _ in range(request.get("runs", 1)):
                began = time.perf_counter()
                run(V, factors, count)
                durations.append(time.perf_counter() - began)
            times.append(min(durations))
        milliseconds[f"{loss}, K = {rank}"] = 1e3 * (times[1] - times[0]) / request["iterations"]
    return milliseconds


def sgemm(request: dict[str, Any]) -> dict[str, float]:
    """Return the speed of a BLAS for matrices of these shapes, in operations per second, for each rank."""
    V, speeds = np.load(request["V"], mmap_mode="r"), {}
    for rank in sorted({rank for _, rank in request["cases"]}):
        H, T = np.ones((len(V), rank), np.float32), np.ones((rank, V.shape[1]), np.float32)
        product, times = np.empty(V.shape, np.float32), []
        for _ in range(8):
            began = time.perf_counter()
            np.dot(H, T, out=product)
            times.append(time.perf_counter() - began)
        speeds[f"K = {rank}"] = 2.0 * V.size * rank / min(times[1:])
    return speeds


def control(threads: int) -> dict[str, float]:
    """Return the operations per second of threads that only multiply and add in their registers."""
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


def converged(name: str, threads: int, request: dict[str, Any]) -> dict[str, float]:
    """Return the objective after many iterations, from the random start of a seed."""
    V, loss = np.load(request["V"]), request["loss"]
    run = nmfaudio_run(loss, threads, "accelerated") if name == "nmfaudio" else RUNS[name](loss, threads)
    return {
        "objective": objective(
            V, run(V, start(V, request["rank"], request["seed"]), request["iterations"]), loss
        )
    }


def memory(name: str, threads: int, request: dict[str, Any]) -> dict[str, float]:
    """Return the peak of private memory during some iterations, in MB, without the input and the imports."""
    V = np.load(request["V"], mmap_mode="c" if request["mapped"] else None)
    run, factors = RUNS[name]("kl", threads), start(V[:PIECE], 32, 0)
    if name == "nmfaudio":
        run = default_run
    factors = factors[0], np.full((len(V), 32), V[:PIECE].mean(), np.float32)
    run(V[:256], (factors[0], factors[1][:256]), 3)
    before = _private_bytes()
    peak, done = [before], threading.Event()

    def measure() -> None:
        while not done.wait(0.001):
            peak[0] = max(peak[0], _private_bytes())

    monitor = threading.Thread(target=measure)
    monitor.start()
    run(V, factors, request["iterations"])
    done.set()
    monitor.join()
    return {"peak MB": (peak[0] - before) / 1e6}


def default_run(V: Matrix, factors: Factors, count: int) -> Factors:
    """Return the factors that nmfaudio finds with its default settings, from its own start."""
    from nmfaudio import factorize

    result = factorize(V.T, factors[0].shape[1], iterations=count, tolerance=0, threads=1)
    return result.W, result.H.T


def _private_bytes() -> int:
    """Return the bytes of memory that only this process uses, as Linux reports them."""
    match = re.search(r"^RssAnon:\s+(\d+) kB", Path("/proc/self/status").read_text("ascii"), re.MULTILINE)
    return 1024 * int(match[1]) if match else 0


def goal(name: str, threads: int, request: dict[str, Any]) -> dict[str, Any]:
    """Return seconds and objectives after several numbers of iterations, from the same start.

    nmfaudio runs with its default settings until its objective is at most the goal of the request: once from
    its own start, whose time is counted, and once from the start of the others. Its first run is timed
    separately (`warming`); it loads the compiled loops.
    """
    V, loss = np.load(request["V"]), request["loss"]
    factors, points = start(V, request["rank"], request["seed"]), []
    if name != "nmfaudio":
        run = RUNS[name](loss, threads)
        run(V[:256], (factors[0], factors[1][:256]), 2)
        for count in STEPS if request["curve"] else STEPS[-1:]:
            began = time.perf_counter()
            result = run(V, factors, count)
            points.append((time.perf_counter() - began, objective(V, result, loss)))
        return {"points": points}
    began = time.perf_counter()
    from nmfaudio import factorize

    options: dict[str, Any] = {"divergence": loss, "tolerance": 0, "threads": threads}
    factorize(V[:256].T, request["rank"], iterations=3, **options)
    warming = time.perf_counter() - began
    own = run_to_goal(V, request, options | {"seed": request["seed"]})
    same = run_to_goal(V, request, options | {"init": (factors[0], factors[1].T)})
    return own | {"warming": warming, "same start": same}


def run_to_goal(V: Matrix, request: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """Return the time and the iterations that nmfaudio needs to reach the goal."""
    from nmfaudio import factorize

    points: list[tuple[float, float]] = []

    def reached(_: int, value: float) -> bool:
        points.append((time.perf_counter() - began, value))
        return bool(value <= request["goal"])

    began = time.perf_counter()
    result = factorize(V.T, request["rank"], iterations=4000, callback=reached, **options)
    seconds = time.perf_counter() - began
    independent = objective(V, (result.W, result.H.T), request["loss"])
    if abs(independent - points[-1][1]) > 1e-4 * independent:
        raise SystemExit(f"nmfaudio reports the objective {points[-1][1]}, but it is {independent}")
    return {"points": points, "seconds": seconds, "iterations": result.iterations}


def main() -> None:
    """Run the task of the request and print the answer."""
    warnings.simplefilter("ignore")
    task, name, threads, request = sys.argv[1], sys.argv[2], int(sys.argv[3]), json.load(sys.stdin)
    tasks = {"iteration": iteration, "memory": memory, "goal": goal, "converged": converged}
    machine = {"sgemm": lambda: sgemm(request), "control": lambda: control(threads)}
    answer = machine[task]() if task in machine else tasks[task](name, threads, request)
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
