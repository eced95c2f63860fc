"""Measure time and peak memory of separating long files: ``python scripts/benchmark_long.py``.

The script makes files of a few minutes and of hours, and separates each in a process of its own, with
``dictionary`` and ``blind`` or with the separators that ``--only`` names. It prints the time and two peaks of
memory, both including libraries: the private memory of the process, which a budget (``--memory``) limits, and
all memory, which includes pages of temporary files that the system keeps in memory while there is space.
``--streaming`` compares a spectrogram in memory with one in a temporary file, in turns.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

RATE, CHANNELS = 44100, 2
_CHUNK = 1 << 19  # samples that are computed at a time
_INTERVAL = 0.02  # seconds between two measurements of the memory of a process
_TONES = ((110.0, 0.7), (277.2, 1.3), (523.3, 2.1), (1568.0, 3.7))  # frequency in Hz, and notes per second


@dataclass(frozen=True)
class Run:
    """Time and memory of one separation."""

    name: str
    minutes: float
    private_mb: float
    peak_mb: float
    seconds: float


def make_long(path: Path, minutes: float) -> None:
    """Write repeated notes of changing loudness with some noise, in 16-bit stereo, using little memory."""
    generator = np.random.default_rng(0)
    length = int(minutes * 60 * RATE)
    with soundfile.SoundFile(path, "w", RATE, CHANNELS, subtype="PCM_16") as file:
        for start in range(0, length, _CHUNK):
            clock = np.arange(start, min(start + _CHUNK, length)) / RATE
            sound = 0.003 * generator.standard_normal((len(clock), CHANNELS))
            for number, (frequency, rate) in enumerate(_TONES):
                swell = 0.5 + 0.5 * np.sin(2 * np.pi * 0.01 * (number + 1) * clock)
                strike = np.exp(-6 * ((rate * clock) % 1.0))
                tone = 0.15 * swell * strike * np.sin(2 * np.pi * frequency * clock)
                position = number / (len(_TONES) - 1)
                sound += tone[:, None] * np.array([1 - 0.7 * position, 0.3 + 0.7 * position])
            file.write(sound)


def separate(name: str, path: Path, minutes: float, arguments: list[str]) -> Run:
    """Separate a file in a process of its own; end the script if that fails."""
    with tempfile.TemporaryDirectory(dir=path.parent) as output:
        command = [sys.executable, "-m", "nmfaudio", "separate", str(path), "-o", output, "-q", *arguments]
        began = time.perf_counter()
        process = subprocess.Popen(command)
        with private_memory(process.pid) as private:
            _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)} failed with exit code {process.returncode}")
    return Run(name, minutes, max(private) * 1.024e-3, usage.ru_maxrss * 1.024e-3, seconds)


@contextlib.contextmanager
def private_memory(process: int) -> Iterator[list[int]]:
    """Yield a list that receives the private memory of a process in kB, if the system reports it."""
    values, ended = [0], threading.Event()

    def measure() -> None:
        with contextlib.suppress(OSError):
            while not ended.wait(_INTERVAL):
                match = re.search(r"RssAnon:\s*(\d+)", Path(f"/proc/{process}/status").read_text())
                values.append(int(match[1]) if match else 0)

    monitor = threading.Thread(target=measure)
    monitor.start()
    try:
        yield values
    finally:
        ended.set()
        monitor.join()


def arguments_of(name: str, folder: Path, minutes: float) -> list[str]:
    """Return the arguments of the command line that choose a separator."""
    if name == "dictionary":
        return ["--separator", name, "--set", f"dictionary={','.join(learn_dictionaries(folder))}"]
    if name == "blind":
        return ["--sources", "2"]
    if name == "score":
        return ["--separator", name, "--set", f"midi={write_score(folder / 'score.csv', minutes)}"]
    return ["--separator", name]


def write_score(path: Path, minutes: float) -> Path:
    """Write a table of the notes of the file and of notes as dense as those of a pianist with two hands."""
    generator, lines = np.random.default_rng(0), ["onset,end,pitch,track"]
    for frequency, rate in _TONES:
        pitch = round(69 + 12 * np.log2(frequency / 440))
        for start in np.arange(0, minutes * 60, 1 / rate):
            lines.append(f"{start},{start + 0.5 / rate},{pitch},{pitch}")
    for start in np.arange(0, minutes * 60, 0.2):
        pitch = int(generator.integers(33, 93))
        lines.append(f"{start},{start + 0.4},{pitch},{'left' if pitch < 63 else 'right'}")
    path.write_text("\n".join(lines))
    return path


def learn_dictionaries(folder: Path) -> list[str]:
    """Learn dictionaries of two of the notes and return their paths."""
    paths = []
    for label, (frequency, rate) in zip(("low", "middle"), _TONES, strict=False):
        clock = np.arange(8 * RATE) / RATE
        clip, path = folder / f"{label}.wav", folder / f"{label}.safetensors"
        soundfile.write(clip, np.exp(-6 * ((rate * clock) % 1)) * np.sin(2 * np.pi * frequency * clock), RATE)
        command = [sys.executable, "-m", "nmfaudio", "learn", str(clip), "--label", label, "-o", str(path)]
        subprocess.run([*command, "--overwrite"], check=True, stdout=subprocess.DEVNULL)
        paths.append(str(path))
    return paths


def report(runs: list[Run]) -> None:
    """Print a table, and the ratio of memory between the longest and the shortest file."""
    print(f"{'separator':<21}{'minutes':>8}{'private MB':>12}{'all MB':>9}{'seconds':>9}{'x real time':>13}")
    for run in runs:
        speed = run.minutes * 60 / run.seconds
        memory = f"{run.private_mb:>12.0f}{run.peak_mb:>9.0f}"
        print(f"{run.name:<21}{run.minutes:>8g}{memory}{run.seconds:>9.1f}{speed:>13.1f}")
    for name in dict.fromkeys(run.name for run in runs):
        same_name = [run for run in runs if run.name == name]
        if len(same_name) > 1 and same_name[0].private_mb:
            ratio = same_name[-1].private_mb / same_name[0].private_mb
            print(f"{name}: {ratio:.2f} times as much private memory as for {same_name[0].minutes:g} minutes")


def compare_streaming(path: Path, minutes: float, rounds: int) -> None:
    """Compare the time with a spectrogram in memory and with one in a temporary file, in turns."""
    times: dict[str, list[float]] = {"8G": [], "1M": []}
    for _ in range(rounds):
        for memory, seconds in times.items():
            arguments = ["--sources", "3", "--memory", memory]
            seconds.append(separate("blind", path, minutes, arguments).seconds)
    in_memory, in_file = (statistics.median(seconds) for seconds in times.values())
    times_as_long = f"{in_file / in_memory:.3f} times"
    print(f"{minutes:g} minutes, in memory {in_memory:.1f} s, in a file {in_file:.1f} s: {times_as_long}")


def main() -> None:
    """Run the measurements."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, nargs="+", default=[2, 120], help="lengths (default: 2 120)")
    parser.add_argument(
        "--only", nargs="+", metavar="SEPARATOR", default=["dictionary", "blind"], help="separators"
    )
    parser.add_argument("--memory", default="300M", help="limit for each run")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="option of the separators"
    )
    parser.add_argument(
        "--streaming",
        type=float,
        metavar="MINUTES",
        help="compare a spectrogram in memory with one in a file",
    )
    parser.add_argument("--rounds", type=int, default=3, help="rounds of --streaming")
    parser.add_argument("--json", type=Path, help="file for the figures")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.streaming:
            make_long(folder / "long.wav", options.streaming)
            compare_streaming(folder / "long.wav", options.streaming, options.rounds)
            return
        runs = []
        common = ["--memory", options.memory, *(word for pair in options.set for word in ("--set", pair))]
        for minutes in options.minutes:
            make_long(folder / "long.wav", minutes)
            for name in options.only:
                arguments = [*arguments_of(name, folder, minutes), *common]
                runs.append(separate(name, folder / "long.wav", minutes, arguments))
        report(sorted(runs, key=lambda run: run.name))
        if options.json:
            options.json.write_text(json.dumps([vars(run) for run in runs], indent=1))


if __name__ == "__main__":
    main()
