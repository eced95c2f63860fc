"""Peak memory and time of separating long files: ``python scripts/benchmark_long.py``.

Makes files of some minutes and of hours, separates each in a process of its own, and prints its peak memory
(of the whole process, libraries and all) and its time. ``--streaming`` compares a spectrogram in memory with
one in a temporary file, in turns.
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
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

RATE, CHANNELS = 44100, 2
_PIECE = 1 << 19  # samples made at a time
_TONES = ((110.0, 0.7), (277.2, 1.3), (523.3, 2.1), (1568.0, 3.7))  # Hz, and how often a second it comes


@dataclass(frozen=True)
class Run:
    """What one separation took."""

    name: str
    minutes: float
    peak_mb: float
    seconds: float


def make_long(path: Path, minutes: float) -> None:
    """Write notes that come and go, with some noise, in 16-bit stereo; little memory is used."""
    generator = np.random.default_rng(0)
    length = int(minutes * 60 * RATE)
    with soundfile.SoundFile(path, "w", RATE, CHANNELS, subtype="PCM_16") as file:
        for start in range(0, length, _PIECE):
            clock = np.arange(start, min(start + _PIECE, length)) / RATE
            sound = 0.003 * generator.standard_normal((len(clock), CHANNELS))
            for number, (frequency, pace) in enumerate(_TONES):
                swell = 0.5 + 0.5 * np.sin(2 * np.pi * 0.01 * (number + 1) * clock)
                strike = np.exp(-6 * ((pace * clock) % 1.0))
                tone = 0.15 * swell * strike * np.sin(2 * np.pi * frequency * clock)
                side = number / (len(_TONES) - 1)
                sound += tone[:, None] * np.array([1 - 0.7 * side, 0.3 + 0.7 * side])
            file.write(sound)


def separate(name: str, path: Path, minutes: float, arguments: list[str]) -> Run:
    """Separate a file in a process of its own; end the script where that fails."""
    with tempfile.TemporaryDirectory(dir=path.parent) as output:
        command = [sys.executable, "-m", "nmfaudio", "separate", str(path), "-o", output, "-q", *arguments]
        began = time.perf_counter()
        process = subprocess.Popen(command)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)} ended with {process.returncode}")
    return Run(name, minutes, usage.ru_maxrss / 1000, seconds)


def ways(folder: Path) -> dict[str, list[str]]:
    """Return the arguments of each way of separating that is measured."""
    models = []
    for label, (frequency, pace) in zip(("low", "middle"), _TONES, strict=False):
        clock = np.arange(8 * RATE) / RATE
        clip, model = folder / f"{label}.wav", folder / f"{label}.safetensors"
        soundfile.write(clip, np.exp(-6 * ((pace * clock) % 1)) * np.sin(2 * np.pi * frequency * clock), RATE)
        command = [sys.executable, "-m", "nmfaudio", "learn", str(clip), "--label", label, "-o", str(model)]
        subprocess.run([*command, "--overwrite"], check=True, stdout=subprocess.DEVNULL)
        models.append(str(model))
    return {
        "dictionary": ["--separator", "dictionary", "--set", f"dictionary={','.join(models)}"],
        "blind": ["--sources", "2"],
    }


def report(runs: list[Run]) -> None:
    """Print a table, and how much more the longest file took than the shortest."""
    print(f"{'separator':<12}{'minutes':>9}{'peak MB':>10}{'seconds':>10}{'x real time':>13}")
    for run in runs:
        pace = run.minutes * 60 / run.seconds
        print(f"{run.name:<12}{run.minutes:>9g}{run.peak_mb:>10.0f}{run.seconds:>10.1f}{pace:>13.1f}")
    for name in dict.fromkeys(run.name for run in runs):
        of_it = [run for run in runs if run.name == name]
        ratio = of_it[-1].peak_mb / of_it[0].peak_mb
        print(f"{name}: {ratio:.2f} times the peak of {of_it[0].minutes:g} minutes")


def compare_streaming(path: Path, minutes: float, rounds: int) -> None:
    """Time a spectrogram in memory against one in a temporary file, in turns."""
    times: dict[str, list[float]] = {"8G": [], "1M": []}
    for _ in range(rounds):
        for memory, found in times.items():
            arguments = ["--sources", "3", "--memory", memory]
            found.append(separate("blind", path, minutes, arguments).seconds)
    kept, streamed = (statistics.median(found) for found in times.values())
    times_as_long = f"{streamed / kept:.3f} times"
    print(f"{minutes:g} minutes, in memory {kept:.1f} s, in a file {streamed:.1f} s: {times_as_long}")


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, nargs="+", default=[2, 120])
    parser.add_argument("--only", choices=["dictionary", "blind"], help="measure one separator")
    parser.add_argument("--streaming", type=float, metavar="MINUTES", help="compare memory with a file")
    parser.add_argument("--rounds", type=int, default=3, help="of --streaming")
    parser.add_argument("--json", type=Path, help="write the figures there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.streaming:
            make_long(folder / "long.wav", options.streaming)
            compare_streaming(folder / "long.wav", options.streaming, options.rounds)
            return
        runs = []
        measured = {k: v for k, v in ways(folder).items() if options.only in (None, k)}
        for minutes in options.minutes:
            make_long(folder / "long.wav", minutes)
            runs += [separate(k, folder / "long.wav", minutes, v) for k, v in measured.items()]
        report(sorted(runs, key=lambda run: run.name))
        if options.json:
            options.json.write_text(json.dumps([vars(run) for run in runs], indent=1))


if __name__ == "__main__":
    main()
