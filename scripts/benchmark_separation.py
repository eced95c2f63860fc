"""Score all ways of separating on a folder of cases: ``benchmark_separation.py --cases FOLDER``.

A case is a folder with ``mixture.flac`` and ``stems/*.flac``. It may also have ``train/*.flac`` (a recording
of each stem alone, with the name of the stem) and ``score.mid`` (with a track for each stem). Without
``--cases``, the audio samples are used: ``NAME.flac`` beside ``NAME/*.flac``. Each way runs as a command of
its own, as a user would start it, with the same options for all cases. librosa with scikit-learn runs in the
same way for comparison, and the ideal ratio mask shows the best result of masks. The gain of a stem is its
score minus the score of the unprocessed mixture. In means, a case counts for at most 30 dB.

The results are written to the folder ``--out``: ``separation.md``, ``separation.json`` and
``separation.png``.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from separation_cases import WAYS, Signal, Task, find_cases, read

from nmfaudio.studies.evaluation import best_names, evaluate

MAXIMUM_GAIN = 30.0  # dB of gain for which a case counts at most
METRICS = ("sdr", "si_sdr", "sir", "sar")
HEADINGS = ("way", "runs", "SDR", "SI-SDR", "SIR", "SAR", "SDR gain", "SI-SDR gain", "worst SDR gain")
# A small process that starts the command: Linux counts the memory of the parent in the peak of a process.
LAUNCHER = """
import os, subprocess, sys
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
process.returncode = os.waitstatus_to_exitcode(status)
print(process.returncode, usage.ru_maxrss)
"""


@dataclass(frozen=True)
class Outcome:
    """Result of a task: mean scores over its stems, gains over the mixture, time and memory."""

    way: str
    case: str
    known: str
    seconds: float
    times_real_time: float
    peak_mb: float
    scores: dict[str, float]
    gains: dict[str, float]
    error: str = ""


def run(task: Task) -> Outcome:
    """Run a task and score the stems that it wrote."""
    with tempfile.TemporaryDirectory() as folder:
        for step in task.before:
            subprocess.run(step, check=True, stdout=subprocess.DEVNULL)
        error, seconds, memory = timed([word.replace("{out}", folder) for word in task.command])
        stems = {p.stem: read(p)[0][:, task.skip :] for p in sorted(Path(folder).glob("*.wav"))}
    samples, rate = task.case.sound
    length = samples.shape[1] / rate
    scores, gains = ({}, {}) if error else scored(task, stems)
    return Outcome(
        task.way, task.case.name, task.known, seconds, length / seconds, memory, scores, gains, error
    )


def timed(command: list[str]) -> tuple[str, float, float]:
    """Run a command; return its last error message if it failed, seconds and peak memory in MB."""
    began = time.perf_counter()
    completed = subprocess.run(
        [sys.executable, "-S", "-c", LAUNCHER, *command], capture_output=True, text=True
    )
    seconds = time.perf_counter() - began
    code, peak = map(int, completed.stdout.split())
    per_mb = (
        1e6 if sys.platform == "darwin" else 1e3
    )  # ru_maxrss is in bytes on macOS, in kilobytes elsewhere
    lines = completed.stderr.strip().splitlines()
    error = (lines[-1] if lines else f"exit code {code}") if code else ""
    return error, seconds, peak / per_mb


def scored(task: Task, stems: dict[str, Signal]) -> tuple[dict[str, float], dict[str, float]]:
    """Return mean scores over the stems, and their gains over the unprocessed mixture."""
    references = task.references
    if task.labelled:
        estimates = {name: stems[name] for name in references if name in stems}
        if task.known:
            estimates["residual"] = task.case.sound[0] - estimates[task.known]
    else:
        estimates = {name: stems[match] for name, match in best_names(references, stems).items()}
    mixture = dict.fromkeys(references, task.case.sound[0])
    achieved, unprocessed = (
        {m: float(np.mean([getattr(s, m) for s in evaluate(references, e).values()])) for m in METRICS}
        for e in (estimates, mixture)
    )
    return achieved, {m: achieved[m] - unprocessed[m] for m in METRICS}


def summary(outcomes: Sequence[Outcome]) -> str:
    """Return two tables as Markdown: gains for every case, and means of every metric."""
    ways = list(dict.fromkeys(o.way for o in outcomes))
    cases = list(dict.fromkeys(o.case for o in outcomes))
    lines = ["SDR gain over the mixture, dB (a case counts for at most 30)", ""]
    lines += ["| case | " + " | ".join(ways) + " |", "|---" * (len(ways) + 1) + "|"]
    for case in cases:
        lines.append(f"| {case} | " + " | ".join(cell(outcomes, way, case) for way in ways) + " |")
    means = [f"{np.mean(v):.1f}" if (v := counted(outcomes, way)) else "" for way in ways]
    lines += ["| mean | " + " | ".join(means) + " |", ""]
    lines += ["Means over runs, dB; medians of speed, peak memory of the whole process", ""]
    lines += ["| " + " | ".join([*HEADINGS, "x real time", "MB"]) + " |", "|---" * (len(HEADINGS) + 2) + "|"]
    lines += [row(way, [o for o in outcomes if o.way == way]) for way in ways]
    failed = [f"- {o.way}, {o.case} {o.known}: {o.error}" for o in outcomes if o.error]
    return "\n".join([*lines, *(["", "Failed:", *failed] if failed else [])]) + "\n"


def counted(outcomes: Sequence[Outcome], way: str, case: str | None = None) -> list[float]:
    """Return the limited gains of a way, for all cases or for one; failed runs do not count."""
    chosen = [o for o in outcomes if o.way == way and case in (None, o.case) and not o.error]
    return [min(o.gains["sdr"], MAXIMUM_GAIN) for o in chosen]


def cell(outcomes: Sequence[Outcome], way: str, case: str) -> str:
    """Return the gains of a way on a case as text, one for each run."""
    return ", ".join(f"{gain:.1f}" for gain in counted(outcomes, way, case))


def row(way: str, outcomes: Sequence[Outcome]) -> str:
    """Return the line of a way in the table of means."""
    succeeded = [o for o in outcomes if not o.error]
    if not succeeded:
        return f"| {way} | 0 |" + " |" * 9
    scores = [f"{np.mean([o.scores[m] for o in succeeded]):.1f}" for m in METRICS]
    gains = [np.array([min(o.gains[m], MAXIMUM_GAIN) for o in succeeded]) for m in ("sdr", "si_sdr")]
    speed = np.median([o.times_real_time for o in succeeded])
    cells = [
        str(len(succeeded)),
        *scores,
        *(f"{g.mean():.1f}" for g in gains),
        f"{gains[0].min():.1f}",
        f"{speed:.1f}",
        f"{max(o.peak_mb for o in succeeded):.0f}",
    ]
    return f"| {way} | " + " | ".join(cells) + " |"


def draw(outcomes: Sequence[Outcome], path: Path) -> None:
    """Draw the mean gain of each way as a bar and its runs as dots."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot

    ways = [w for w in dict.fromkeys(o.way for o in outcomes) if counted(outcomes, w)][::-1]
    figure, axes = pyplot.subplots(figsize=(9, 1.2 + 0.42 * len(ways)), layout="constrained")
    for height, way in enumerate(ways):
        gains = counted(outcomes, way)
        axes.barh(height, np.mean(gains), color="#c8d7e8" if "scikit" in way or "ideal" in way else "#4a7db5")
        axes.plot(gains, [height] * len(gains), "o", color="#222222", ms=4, alpha=0.6)
    axes.set_yticks(range(len(ways)), [f"{way}  {np.mean(counted(outcomes, way)):.1f}" for way in ways])
    axes.axvline(0, color="#222222", lw=0.8)
    axes.set_xlabel("SDR gain over the mixture, dB: mean (bar), each run (dot)")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)


def main() -> int:
    """Run the requested cases, print the tables and write them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cases", type=Path, help="folder of cases (default: the audio samples)")
    parser.add_argument("--only", nargs="+", default=[], help="names of cases (default: all)")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS), help="default: all")
    parser.add_argument("--out", type=Path, default=Path("benchmark"), help="folder for the results")
    options = parser.parse_args()
    cases = [c for c in find_cases(options.cases) if not options.only or c.name in options.only]
    if not cases:
        sys.exit(f"no case in {options.cases}: a case is a folder with mixture.flac and stems/*.flac")
    options.out.mkdir(parents=True, exist_ok=True)
    outcomes: list[Outcome] = []
    for case in cases:
        with tempfile.TemporaryDirectory() as folder:
            for task in (task for way in options.ways for task in WAYS[way](case, Path(folder))):
                outcomes.append(run(task))
                print_outcome(outcomes[-1])
        write_results(outcomes, options.out)
    print("\n" + summary(outcomes))
    return int(any(o.error for o in outcomes))


def print_outcome(outcome: Outcome) -> None:
    """Print one line about a finished run."""
    result = (
        "" if outcome.error else f"{outcome.gains['sdr']:.1f} dB, {outcome.times_real_time:.1f} x real time"
    )
    print(f"{outcome.case}, {outcome.way} {outcome.known}: {outcome.error or result}", flush=True)


def write_results(outcomes: Sequence[Outcome], folder: Path) -> None:
    """Write the tables, the figures and the picture of all runs so far."""
    (folder / "separation.md").write_text(summary(outcomes), "utf-8")
    content: Any = {"most_db": MAXIMUM_GAIN, "runs": [asdict(o) for o in outcomes]}
    (folder / "separation.json").write_text(json.dumps(content, indent=1), "utf-8")
    draw(outcomes, folder / "separation.png")


if __name__ == "__main__":
    sys.exit(main())
