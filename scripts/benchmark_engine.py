"""Time the engine beside its rivals: ``python3 scripts/benchmark_engine.py [FILE or FOLDER...]``.

Contenders are nmfaudio, scikit-learn's multiplicative updates, the updates in plain NumPy, and torchnmf where
``--torch`` names a Python that has it. In every round each works in a process of its own, one after another,
in an order that turns, so that all see the same state of the machine; figures are medians over rounds. Data
are spectrograms of the audio given (default: the audio samples), repeated up to 30 s, 1025 bins, hop 512.

- *iteration*: one full update of both factors, and one of the activations alone. nmfaudio makes plain ones
  here, one in ten measured. What a second thread gains stands beside what it gains a loop that does nothing
  but multiply and add: where cores are shared, the second is not always there. "blocks" is the plain way to
  be quick, some forty lines of numba around a BLAS, on one thread: what this processor gives for little.
- *goal*: seconds until the objective is as low as after 200 iterations of scikit-learn. nmfaudio runs as it
  does by default, its own start included; "same start" is from that of the others. Compiling is not counted;
  "with loading" adds what a first call takes when the compiler's cache is filled. The objectives compared are
  one float64 function's.
- *converged*: the objective after 1000 iterations of both from the same start, of 10 s.
- *memory*: peak of private memory above input and imports; nmfaudio as by default, its own start included.
  *length*: time against the number of frames; the hour is nmfaudio's alone, mapped from disk: the others
  would take several copies of it.

scikit-learn's time hangs on how the C library hands out its large temporaries: where it returns them to the
system at each step, the system clears them again page by page. "memory kept" is its best case.
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
    """Return V, (frames, bins) of mean 1 and above zero, of 30 s of all channels' mean."""
    from nmfaudio import STFT, Audio, Blocks, read

    audio = read(path)
    mono = audio.samples.mean(axis=0, keepdims=True)
    repeated = np.tile(mono, int(np.ceil(SECONDS * audio.sample_rate / mono.shape[1])))
    cut = Audio(repeated[:, : int(SECONDS * audio.sample_rate)], audio.sample_rate)
    settings = STFT(n_fft=2 * (BINS - 1), hop_length=HOP)
    V = Blocks(cut, settings).whole().magnitude[0].T ** power
    return np.ascontiguousarray(V / V.mean() + 1e-6, dtype=np.float32)


class Bench:
    """Asks contenders, each in a process of its own, and keeps what they answer."""

    def __init__(self, folder: Path, torch: str | None) -> None:
        self.folder, self._torch = folder, torch
        self.names = [n for n in CONTENDERS[:-1] if n != "torchnmf" or torch]

    def ask(self, task: str, name: str, threads: int, request: dict[str, Any]) -> Any:
        """Return a contender's answer."""
        counts = {f"{n}_NUM_THREADS": str(threads) for n in ("OMP", "OPENBLAS", "MKL")}
        kept = MEMORY_KEPT if name.endswith("kept") else {}
        python = self._torch if name == "torchnmf" and self._torch else sys.executable
        script = Path(__file__).resolve().with_name("engine_contenders.py")
        command = [python, str(script), task, name.split(",")[0], str(threads)]
        ran = subprocess.run(
            command, env=os.environ | counts | kept, input=json.dumps(request), capture_output=True, text=True
        )
        if ran.returncode:
            raise SystemExit(f"{name} failed at {task}:\n{ran.stderr}")
        return json.loads(ran.stdout)

    def save(self, name: str, V: Matrix) -> str:
        """Write a matrix for the contenders to read; return where."""
        path = self.folder / f"{name}.npy"
        np.save(path, V)
        return str(path)


def iterations(bench: Bench, V: Matrix, rounds: int, threads: Iterable[int]) -> Results:
    """Return milliseconds an iteration: by threads, contender and case, one for each round."""
    ask = {"V": bench.save("V", V), "cases": CASES, "iterations": 10, "mapped": False}
    fixed = ask | {"cases": [("kl", 32), ("is", 32)], "fixed": True}
    found: Results = {}
    for number in range(rounds):
        for count in threads:
            names = [*bench.names, "blocks"] if count == 1 else bench.names
            tasks = [("iteration", name) for name in names] + [("sgemm", "sgemm")]
            for task, name in tasks[:: 1 if number % 2 == 0 else -1]:
                answer = bench.ask(task, name, count, ask)
                if name in ("nmfaudio", "scikit-learn"):
                    alone = bench.ask(task, name, count, fixed)
                    answer |= {f"{case}, H alone": value for case, value in alone.items()}
                    answer |= bench.ask("control", name, count, ask)
                for case, value in answer.items():
                    found.setdefault(str(count), {}).setdefault(name, {}).setdefault(case, []).append(value)
        _tell(f"iterations: round {number + 1} of {rounds}")
    return found


def goals(bench: Bench, files: list[Path], seeds: int, threads: Iterable[int]) -> list[Results]:
    """Return how each reached the goal, for each loss, file, seed and number of threads."""
    found = []
    for loss, power in (("kl", 1), ("is", 2)):
        for path in files:
            V = spectrogram(path, power)
            where = bench.save("V", V)
            for seed in range(seeds):
                for count in threads:
                    ask = {"V": where, "loss": loss, "rank": 32, "seed": seed, "curve": seed == 0}
                    answers = {n: bench.ask("goal", n, count, ask) for n in bench.names if n != "nmfaudio"}
                    ask["goal"] = answers["scikit-learn"]["points"][-1][1]
                    answers["nmfaudio"] = bench.ask("goal", "nmfaudio", count, ask)
                    about = {"loss": loss, "file": path.stem, "seed": seed, "threads": count}
                    started = objective(V, start(V, 32, seed), loss) if seed == 0 else None
                    found.append(about | {"start": started, "answers": answers})
            _tell(f"goal: {loss}, {path.stem}")
    return found


def convergence(bench: Bench, path: Path, seeds: int) -> list[Results]:
    """Return the objectives of nmfaudio and of scikit-learn after many iterations, for each loss and seed."""
    found = []
    for loss, power in (("kl", 1), ("is", 2)):
        V = spectrogram(path, power)
        where = bench.save("short", V[: len(V) // 3])
        for seed in range(seeds):
            ask = {"V": where, "loss": loss, "rank": 32, "seed": seed, "iterations": 1000}
            names = ("nmfaudio", "scikit-learn, memory kept")
            values = [bench.ask("converged", name, 1, ask)["objective"] for name in names]
            found.append({"loss": loss, "seed": seed, "nmfaudio": values[0], "scikit-learn": values[1]})
        _tell(f"converged: {loss}")
    return found


def memory_and_length(bench: Bench, V: Matrix, most: str) -> Results:
    """Return peaks of private memory, and milliseconds an iteration against length."""
    found: Results = {}
    for label, times in LENGTHS.items():
        mapped = times > 10
        where = _repeated(bench.folder / "long.npy", V, times)
        ask = {"V": where, "cases": [("kl", 32)], "iterations": 10 if times == 1 else 3, "mapped": mapped}
        ask["runs"] = 1 if mapped else 2
        for name in ["nmfaudio"] if mapped else bench.names:
            ms = bench.ask("iteration", name, 1, ask)["kl, K = 32"]
            peak = bench.ask("memory", name, 1, ask)["peak MB"]
            found.setdefault(name, {})[label] = {"frames": times * len(V), "ms": ms, "peak MB": peak}
        _tell(f"length: {label}")
        if label == most:
            break
    return found


def _repeated(path: Path, V: Matrix, times: int) -> str:
    room = np.lib.format.open_memmap(path, "w+", np.float32, (times * len(V), V.shape[1]))
    for n in range(times):
        room[n * len(V) : (n + 1) * len(V)] = V
    room.flush()
    return str(path)


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def tables(results: Results) -> str:
    """Return the report in Markdown."""
    lines: list[str] = []
    for count, by_name in results.get("iteration", {}).items():
        names = [n for n in CONTENDERS if n in by_name]
        head = f"ms an iteration (times nmfaudio's), {count} thread{'s' * (count != '1')}"
        lines += [
            "",
            f"| {head} | {' | '.join(names)} | nmfaudio's share of sgemm |",
            "|---" * (len(names) + 2) + "|",
        ]
        for loss, rank in CASES:
            values = {n: median(by_name[n][f"{loss}, K = {rank}"]) for n in names}
            cells = [f"{v:.2f} ({v / values['nmfaudio']:.1f})" for v in values.values()]
            operations = (8 if loss == "kl" else 12) * results["entries"] * rank
            share = operations / values["nmfaudio"] * 1e3 / median(by_name["sgemm"][f"K = {rank}"])
            lines.append(f"| {loss}, K = {rank} | {' | '.join(cells)} | {100 * share:.0f} % |")
        lines += _alone_lines(by_name)
    lines += _thread_lines(results.get("iteration", {})) + _goal_lines(results.get("goal", []))
    lines += _converged_lines(results.get("converged", []))
    return "\n".join(lines + _memory_lines(results.get("length", {})))


def _alone_lines(by_name: Results) -> list[str]:
    lines = []
    for case in ("kl, K = 32, H alone", "is, K = 32, H alone"):
        ours, theirs = (median(by_name[name][case]) for name in ("nmfaudio", "scikit-learn"))
        lines.append(f"| {case} | {ours:.2f} (1.0) | {theirs:.2f} ({theirs / ours:.1f}) |")
    return lines


def _thread_lines(by_threads: Results) -> list[str]:
    """Return what the second thread gains, beside what it gains the control at the same moment."""
    if not {"1", "2"} <= set(by_threads):
        return []
    one, two = (by_threads[count]["nmfaudio"] for count in ("1", "2"))
    rounds = list(zip(one["control"], two["control"], strict=True))
    lines = ["", "| times less with 2 threads | nmfaudio | control | share |", "|---|---|---|---|"]
    for loss, rank in CASES:
        case = f"{loss}, K = {rank}"
        gains = [a / b for a, b in zip(one[case], two[case], strict=True)]
        shares = [gain / (b / a) for gain, (a, b) in zip(gains, rounds, strict=True)]
        gained = median(b / a for a, b in rounds)
        lines.append(f"| {case} | {median(gains):.2f} | {gained:.2f} | {100 * median(shares):.0f} % |")
    return lines


def _converged_lines(rows: list[Results]) -> list[str]:
    lines = []
    for loss in ("kl", "is"):
        excess = [100 * (r["nmfaudio"] / r["scikit-learn"] - 1) for r in rows if r["loss"] == loss]
        if excess:
            said = f"median {median(excess):+.2f} %, worst {max(excess):+.2f} %"
            lines.append(f"{loss}: converged objective above scikit-learn's, {len(excess)} seeds: {said}")
    return ["", *lines] if lines else []


def _goal_lines(rows: list[Results]) -> list[str]:
    if not rows:
        return []
    names = [n for n in CONTENDERS if n in rows[0]["answers"] and n != "nmfaudio"]
    head = "times less to scikit-learn's 200th | iterations | with loading | same start | iterations"
    lines = ["", f"| | {head} | {' | '.join(names)}, s of 200 iterations |", "|---" * (6 + len(names)) + "|"]
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
        f"| K = 32: us a frame and iteration; peak MB | {' | '.join(labels)} |",
        "|---" * (1 + len(labels)) + "|",
    ]
    for name, by_length in lengths.items():
        cells = [f"{1e3 * v['ms'] / v['frames']:.2f}; {v['peak MB']:.0f}" for v in by_length.values()]
        lines.append(f"| {name} | {' | '.join(cells + ['-'] * (len(labels) - len(cells)))} |")
    return lines if lengths else []


def plot(results: Results, path: Path) -> None:
    """Draw time against length, and the first file's objectives against seconds."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(15, 4.5), layout="constrained")
    for name, by_length in results["length"].items():
        points = [(v["frames"], v["ms"] / 1e3) for v in by_length.values()]
        axes[0].plot(*zip(*points, strict=True), **_style(name))
    axes[0].set(xscale="log", yscale="log", xlabel="length", ylabel="seconds an iteration")
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


def sounds(given: list[Path]) -> list[Path]:
    """Return the audio files in what was given, folders searched."""
    kinds = {".flac", ".wav", ".ogg", ".mp3", ".aiff"}
    found = [f for p in given for f in (sorted(p.rglob("*")) if p.is_dir() else [p]) if f.suffix in kinds]
    if not found:
        raise SystemExit("no audio file (.flac, .wav, .ogg, .mp3, .aiff) in what was given")
    return found


def main() -> None:
    """Measure, print, and write what was asked for."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("audio", nargs="*", type=Path, help="files or folders (default: the audio samples)")
    parser.add_argument("--rounds", type=int, default=7, help="of the iterations (default: 7)")
    parser.add_argument("--seeds", type=int, default=10, help="of the way to the goal (default: 10)")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="default: 1 2")
    parser.add_argument("--longest", choices=LENGTHS, default="60 min", help="an hour takes 1.3 GB of disk")
    parser.add_argument("--only", choices=PARTS, nargs="+")
    parser.add_argument("--torch", metavar="PYTHON", help="an interpreter that has torchnmf")
    parser.add_argument("--json", type=Path, help="where to write every figure")
    parser.add_argument("--plot", type=Path, help="where to draw, as PNG")
    options = parser.parse_args()
    files = sounds(options.audio or sorted((ROOT / "audio_samples").glob("*.flac")))
    wanted = options.only or PARTS
    with tempfile.TemporaryDirectory() as folder:
        bench, V = Bench(Path(folder), options.torch), spectrogram(files[0], 1)
        results: Results = {"entries": V.size, "files": [f.name for f in files]}
        if "iteration" in wanted:
            results["iteration"] = iterations(bench, V, options.rounds, options.threads)
        if "goal" in wanted:
            results["goal"] = goals(bench, files, options.seeds, options.threads)
        if "converged" in wanted:
            results["converged"] = convergence(bench, files[0], options.seeds)
        if "length" in wanted:
            results["length"] = memory_and_length(bench, V, options.longest)
    print(tables(results))
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    if options.plot and {"goal", "length"} <= set(wanted):
        plot(results, options.plot)


if __name__ == "__main__":
    main()
