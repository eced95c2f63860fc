"""Compare the speed of the engine with other libraries: ``python3 scripts/benchmark_engine.py [FILE ...]``.

The contenders are nmfaudio, the multiplicative updates of scikit-learn, the same updates in plain NumPy, and
torchnmf if ``--torch`` names a Python that has it. In every round each contender runs in a process of its
own, one after the other. The order is reversed in every second round, so that all contenders meet the same
state of the machine. Figures are medians over rounds. The data are spectrograms of the given audio (default:
the audio samples), repeated up to 30 s, with 1025 bins and hop 512.

- *iteration*: one update of both factors, and one of the activations only. nmfaudio runs its plain updates
  here and not its accelerated ones. The gain from a second thread is printed beside the gain of a loop that
  only multiplies and adds, because on shared cores a second thread is not always available. "blocks" is a
  simple fast implementation for comparison: about forty lines of numba around a BLAS, on one thread.
- *goal*: seconds until the objective is as low as after 200 iterations of scikit-learn. nmfaudio runs with
  its default settings, and its own start is included; "same start" uses the start of the others. Compilation
  is not counted; "with loading" adds the time of a first call with a filled compilation cache. One float64
  function computes the objectives of all contenders.
- *converged*: the objective after 1000 iterations of both from the same start, on 10 s of audio.
- *memory*: peak of private memory without the input and the imports; nmfaudio runs with its default settings,
  and its own start is included. *length*: time against the number of frames. Only nmfaudio runs on an hour of
  audio, which it maps from disk; the others would need several copies of it.

The time of scikit-learn depends on how the C library allocates its large temporary arrays: if the C library
returns them to the system after each step, the system clears them again page by page. "memory kept" is the
best case of scikit-learn.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from engine_contenders import objective, start
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent
BINS, HOP, RATE, SECONDS = 1025, 512, 44100, 30.0
CASES = [(loss, rank) for loss in ("kl", "is") for rank in (8, 32, 64, 128)]
MEMORY_KEPT = {"MALLOC_MMAP_THRESHOLD_": f"{2**30}", "MALLOC_TRIM_THRESHOLD_": f"{2**34}"}
CONTENDERS = ("nmfaudio", "scikit-learn", "scikit-learn, memory kept", "numpy", "torchnmf", "blocks")
PARTS = ("iteration", "goal", "converged", "length")
LENGTHS = {"30 s": 1, "5 min": 10, "60 min": 120}
COLOURS = dict(zip(CONTENDERS, ("C0", "C1", "C1", "C2", "C3", "C4"), strict=True))

Matrix = NDArray[np.float32]
Results = dict[str, Any]


def spectrogram(path: Path, power: int) -> Matrix:
    """Return V, (frames, bins), with mean 1 and entries above zero, of 30 s of the mean of all channels."""
    from nmfaudio import STFT, Audio, Blocks, read

    audio = read(path)
    mono = audio.samples.mean(axis=0, keepdims=True)
    repeated = np.tile(mono, int(np.ceil(SECONDS * audio.sample_rate / mono.shape[1])))
    cut = Audio(repeated[:, : int(SECONDS * audio.sample_rate)], audio.sample_rate)
    settings = STFT(n_fft=2 * (BINS - 1), hop_length=HOP)
    V = Blocks(cut, settings).whole().magnitude[0].T ** power
    return np.ascontiguousarray(V / V.mean() + 1e-6, dtype=np.float32)


class Bench:
    """Runs contenders, each in a process of its own, and returns their answers."""

    def __init__(self, folder: Path, torch: str | None) -> None:
        self.folder, self._torch = folder, torch
        self.names = [n for n in CONTENDERS[:-1] if n != "torchnmf" or torch]

    def ask(self, task: str, name: str, threads: int, request: dict[str, Any]) -> Any:
        """Return the answer of a contender to a request."""
        counts = {f"{n}_NUM_THREADS": str(threads) for n in ("OMP", "OPENBLAS", "MKL")}
        allocation = MEMORY_KEPT if name.endswith("kept") else {}
        python = self._torch if name == "torchnmf" and self._torch else sys.executable
        script = Path(__file__).resolve().with_name("engine_contenders.py")
        command = [python, str(script), task, name.split(",")[0], str(threads)]
        completed = subprocess.run(
            command,
            env=os.environ | counts | allocation,
            input=json.dumps(request),
            capture_output=True,
            text=True,
        )
        if completed.returncode:
            raise SystemExit(f"{name} failed in the task {task}:\n{completed.stderr}")
        return json.loads(completed.stdout)

    def save(self, name: str, V: Matrix) -> str:
        """Write a matrix that the contenders read; return its path."""
        path = self.folder / f"{name}.npy"
        np.save(path, V)
        return str(path)


def iterations(bench: Bench, V: Matrix, rounds: int, threads: Iterable[int]) -> Results:
    """Return milliseconds per iteration by threads, contender and case, with one value for each round."""
    request = {"V": bench.save("V", V), "cases": CASES, "iterations": 10, "mapped": False}
    fixed = request | {"cases": [("kl", 32), ("is", 32)], "fixed": True}
    results: Results = {}
    for number in range(rounds):
        for count in threads:
            names = [*bench.names, "blocks"] if count == 1 else bench.names
            tasks = [("iteration", name) for name in names] + [("sgemm", "sgemm")]
            for task, name in tasks[:: 1 if number % 2 == 0 else -1]:
                answer = bench.ask(task, name, count, request)
                if name in ("nmfaudio", "scikit-learn"):
                    activations_only = bench.ask(task, name, count, fixed)
                    answer |= {f"{case}, H alone": value for case, value in activations_only.items()}
                    answer |= bench.ask("control", name, count, request)
                for case, value in answer.items():
                    by_case = results.setdefault(str(count), {}).setdefault(name, {})
                    by_case.setdefault(case, []).append(value)
        _report(f"iterations: round {number + 1} of {rounds}")
    return results


def goals(bench: Bench, files: list[Path], seeds: int, threads: Iterable[int]) -> list[Results]:
    """Return the way of each contender to the goal, for each loss, file, seed and number of threads."""
    results = []
    for loss, power in (("kl", 1), ("is", 2)):
        for path in files:
            V = spectrogram(path, power)
            saved = bench.save("V", V)
            for seed in range(seeds):
                for count in threads:
                    request = {"V": saved, "loss": loss, "rank": 32, "seed": seed, "curve": seed == 0}
                    answers = {
                        n: bench.ask("goal", n, count, request) for n in bench.names if n != "nmfaudio"
                    }
                    request["goal"] = answers["scikit-learn"]["points"][-1][1]
                    answers["nmfaudio"] = bench.ask("goal", "nmfaudio", count, request)
                    case = {"loss": loss, "file": path.stem, "seed": seed, "threads": count}
                    at_start = objective(V, start(V, 32, seed), loss) if seed == 0 else None
                    results.append(case | {"start": at_start, "answers": answers})
            _report(f"goal: {loss}, {path.stem}")
    return results


def convergence(bench: Bench, path: Path, seeds: int) -> list[Results]:
    """Return the objectives of nmfaudio and of scikit-learn after many iterations, for each loss and seed."""
    results = []
    for loss, power in (("kl", 1), ("is", 2)):
        V = spectrogram(path, power)
        saved = bench.save("short", V[: len(V) // 3])
        for seed in range(seeds):
            request = {"V": saved, "loss": loss, "rank": 32, "seed": seed, "iterations": 1000}
            names = ("nmfaudio", "scikit-learn, memory kept")
            values = [bench.ask("converged", name, 1, request)["objective"] for name in names]
            results.append({"loss": loss, "seed": seed, "nmfaudio": values[0], "scikit-learn": values[1]})
        _report(f"converged: {loss}")
    return results


def memory_and_length(bench: Bench, V: Matrix, longest: str) -> Results:
    """Return peaks of private memory and milliseconds per iteration, by contender and length."""
    results: Results = {}
    for label, times in LENGTHS.items():
        mapped = times > 10
        repeated = _repeated(bench.folder / "long.npy", V, times)
        request = {
            "V": repeated,
            "cases": [("kl", 32)],
            "iterations": 10 if times == 1 else 3,
            "mapped": mapped,
        }
        request["runs"] = 1 if mapped else 2
        for name in ["nmfaudio"] if mapped else bench.names:
            ms = bench.ask("iteration", name, 1, request)["kl, K = 32"]
            peak = bench.ask("memory", name, 1, request)["peak MB"]
            results.setdefault(name, {})[label] = {"frames": times * len(V), "ms": ms, "peak MB": peak}
        _report(f"length: {label}")
        if label == longest:
            break
    return results


def _repeated(path: Path, V: Matrix, times: int) -> str:
    repeated = np.lib.format.open_memmap(path, "w+", np.float32, (times * len(V), V.shape[1]))
    for n in range(times):
        repeated[n * len(V) : (n + 1) * len(V)] = V
    repeated.flush()
    return str(path)


def _report(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def tables(results: Results) -> str:
    """Return the report in Markdown."""
    lines: list[str] = []
    for count, by_name in results.get("iteration", {}).items():
        names = [n for n in CONTENDERS if n in by_name]
        head = f"ms per iteration (ratio to nmfaudio), {count} thread{'s' * (count != '1')}"
        lines += [
            "",
            f"| {head} | {' | '.join(names)} | nmfaudio, part of sgemm |",
            "|---" * (len(names) + 2) + "|",
        ]
        for loss, rank in CASES:
            values = {n: median(by_name[n][f"{loss}, K = {rank}"]) for n in names}
            cells = [f"{v:.2f} ({v / values['nmfaudio']:.1f})" for v in values.values()]
            operations = (8 if loss == "kl" else 12) * results["entries"] * rank
            share = operations / values["nmfaudio"] * 1e3 / median(by_name["sgemm"][f"K = {rank}"])
            lines.append(f"| {loss}, K = {rank} | {' | '.join(cells)} | {100 * share:.0f} % |")
        lines += _activation_lines(by_name)
    lines += _thread_lines(results.get("iteration", {})) + _goal_lines(results.get("goal", []))
    lines += _converged_lines(results.get("converged", []))
    return "\n".join(lines + _memory_lines(results.get("length", {})))


def _activation_lines(by_name: Results) -> list[str]:
    lines = []
    for case in ("kl, K = 32, H alone", "is, K = 32, H alone"):
        ours, theirs = (median(by_name[name][case]) for name in ("nmfaudio", "scikit-learn"))
        lines.append(f"| {case} | {ours:.2f} (1.0) | {theirs:.2f} ({theirs / ours:.1f}) |")
    return lines


def _thread_lines(by_threads: Results) -> list[str]:
    """Return the gain of a second thread for nmfaudio and, at the same time, for the control loop."""
    if not {"1", "2"} <= set(by_threads):
        return []
    one, two = (by_threads[count]["nmfaudio"] for count in ("1", "2"))
    rounds = list(zip(one["control"], two["control"], strict=True))
    lines = ["", "| time with 1 thread over time with 2 | nmfaudio | control | ratio |", "|---|---|---|---|"]
    for loss, rank in CASES:
        case = f"{loss}, K = {rank}"
        gains = [a / b for a, b in zip(one[case], two[case], strict=True)]
        shares = [gain / (b / a) for gain, (a, b) in zip(gains, rounds, strict=True)]
        control = median(b / a for a, b in rounds)
        lines.append(f"| {case} | {median(gains):.2f} | {control:.2f} | {100 * median(shares):.0f} % |")
    return lines


def _converged_lines(rows: list[Results]) -> list[str]:
    lines = []
    for loss in ("kl", "is"):
        excess = [100 * (r["nmfaudio"] / r["scikit-learn"] - 1) for r in rows if r["loss"] == loss]
        if excess:
            excess_text = f"median {median(excess):+.2f} %, worst {max(excess):+.2f} %"
            lines.append(f"{loss}: objective minus that of scikit-learn, {len(excess)} seeds: {excess_text}")
    return ["", *lines] if lines else []


def _goal_lines(rows: list[Results]) -> list[str]:
    if not rows:
        return []
    names = [n for n in CONTENDERS if n in rows[0]["answers"] and n != "nmfaudio"]
    head = "speed ratio to the goal | iterations | with loading | same start | iterations"
    lines = [
        "",
        f"| | {head} | {' | '.join(names)}, seconds for 200 iterations |",
        "|---" * (6 + len(names)) + "|",
    ]
    for loss, count in sorted({(row["loss"], row["threads"]) for row in rows}, reverse=True):
        chosen = [r["answers"] for r in rows if (r["loss"], r["threads"]) == (loss, count)]
        theirs = [a["scikit-learn"]["points"][-1][0] for a in chosen]
        ours = [a["nmfaudio"] for a in chosen]
        same = [o["same start"] for o in ours]
        ratios, same_ratios = (
            [t / o["seconds"] for t, o in zip(theirs, x, strict=True)] for x in (ours, same)
        )
        loaded = [t / (o["seconds"] + o["warming"]) for t, o in zip(theirs, ours, strict=True)]
        seconds = [f"{median(a[n]['points'][-1][0] for a in chosen):.2f}" for n in names]
        lines.append(
            f"| {loss}, {count} thread{'s' * (count > 1)}, {len(chosen)} runs | {median(ratios):.1f} "
            f"({min(ratios):.1f} to {max(ratios):.1f}) | {median(o['iterations'] for o in ours):.0f} | "
            f"{median(loaded):.1f} | {median(same_ratios):.1f} ({min(same_ratios):.1f} to "
            f"{max(same_ratios):.1f}) | {median(o['iterations'] for o in same):.0f} | {' | '.join(seconds)} |"
        )
    return lines


def _memory_lines(lengths: Results) -> list[str]:
    labels = list(lengths.get("nmfaudio", {}))
    lines = [
        "",
        f"| K = 32: us per frame and iteration; peak MB | {' | '.join(labels)} |",
        "|---" * (1 + len(labels)) + "|",
    ]
    for name, by_length in lengths.items():
        cells = [f"{1e3 * v['ms'] / v['frames']:.2f}; {v['peak MB']:.0f}" for v in by_length.values()]
        lines.append(f"| {name} | {' | '.join(cells + ['-'] * (len(labels) - len(cells)))} |")
    return lines if lengths else []


def plot(results: Results, path: Path) -> None:
    """Draw the time against the length, and the objectives of the first file against seconds."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(15, 4.5), layout="constrained")
    for name, by_length in results["length"].items():
        points = [(v["frames"], v["ms"] / 1e3) for v in by_length.values()]
        axes[0].plot(*zip(*points, strict=True), **_style(name))
    axes[0].set(xscale="log", yscale="log", xlabel="length", ylabel="seconds per iteration")
    measured = results["length"]["nmfaudio"]
    axes[0].set_xticks([v["frames"] for v in measured.values()], list(measured))
    axes[0].minorticks_off()
    axes[0].set_title("one iteration, Kullback-Leibler, K = 32, 1 thread")
    for axis, loss in zip(axes[1:], ("kl", "is"), strict=True):
        row = next(r for r in results["goal"] if r["loss"] == loss and r["seed"] == 0)
        lowest = min(p[1] for a in row["answers"].values() for p in a["points"])
        for name, answer in row["answers"].items():
            points = sorted(answer["points"])
            excess = [100 * (value / lowest - 1) + 0.01 for _, value in points]
            axis.plot([seconds for seconds, _ in points], excess, **_style(name))
        axis.set(xscale="log", yscale="log", xlabel="seconds", ylabel="objective above the lowest, %")
        axis.set_title(f"{loss}, {row['file']}, {row['threads']} thread{'s' * (row['threads'] > 1)}")
    axes[0].legend()
    figure.savefig(path, dpi=110)


def _style(name: str) -> dict[str, Any]:
    line = "--" if name.endswith("kept") else "-"
    return {"label": name, "color": COLOURS[name], "linestyle": line, "marker": "o", "markersize": 3}


def audio_files(paths: list[Path]) -> list[Path]:
    """Return the given audio files and those in the given folders."""
    suffixes = {".flac", ".wav", ".ogg", ".mp3", ".aiff"}
    candidates = [f for p in paths for f in (sorted(p.rglob("*")) if p.is_dir() else [p])]
    files = [file for file in candidates if file.suffix in suffixes]
    if not files:
        raise SystemExit("no audio file (.flac, .wav, .ogg, .mp3, .aiff) among the given paths")
    return files


def main() -> None:
    """Run the requested measurements, print the tables and write the files."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("audio", nargs="*", type=Path, help="files or folders (default: the audio samples)")
    parser.add_argument(
        "--rounds", type=int, default=7, help="rounds of the timing of iterations (default: 7)"
    )
    parser.add_argument(
        "--seeds", type=int, default=10, help="random starts for the time to the goal (default: 10)"
    )
    parser.add_argument(
        "--threads", type=int, nargs="+", default=[1, 2], help="numbers of threads (default: 1 2)"
    )
    parser.add_argument(
        "--longest",
        choices=LENGTHS,
        default="60 min",
        help="longest audio for the measurement of length; an hour needs 1.3 GB of disk",
    )
    parser.add_argument("--only", choices=PARTS, nargs="+", help="measurements to run (default: all)")
    parser.add_argument("--torch", metavar="PYTHON", help="a Python interpreter with torchnmf")
    parser.add_argument("--json", type=Path, help="file for all figures")
    parser.add_argument("--plot", type=Path, help="PNG file for the picture")
    options = parser.parse_args()
    files = audio_files(options.audio or sorted((ROOT / "audio_samples").glob("*.flac")))
    selected = options.only or PARTS
    with tempfile.TemporaryDirectory() as folder:
        bench, V = Bench(Path(folder), options.torch), spectrogram(files[0], 1)
        results: Results = {"entries": V.size, "files": [f.name for f in files]}
        if "iteration" in selected:
            results["iteration"] = iterations(bench, V, options.rounds, options.threads)
        if "goal" in selected:
            results["goal"] = goals(bench, files, options.seeds, options.threads)
        if "converged" in selected:
            results["converged"] = convergence(bench, files[0], options.seeds)
        if "length" in selected:
            results["length"] = memory_and_length(bench, V, options.longest)
    print(tables(results))
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    if options.plot and {"goal", "length"} <= set(selected):
        plot(results, options.plot)


if __name__ == "__main__":
    main()
