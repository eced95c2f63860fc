"""Peak memory and time of separating long files: ``python scripts/benchmark_long.py``.

Makes files of some minutes and of hours, separates each in a process of its own, by ``dictionary`` and
``blind`` or by the separators that are named, and prints its time and two peaks of memory, libraries and all:
what is private to the process, which is what a budget (``--memory``) bounds, and all, with those pages of a
temporary file that the system keeps in memory while there is room. ``--streaming`` compares a spectrogram in
memory with one in a temporary file, in turns.
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
_PIECE = 1 << 19  # samples made at a time
_LOOK = 0.02  # seconds between looks at a process's memory
_TONES = ((110.0, 0.7), (277.2, 1.3), (523.3, 2.1), (1568.0, 3.7))  # Hz, and how often a second it comes


@dataclass(frozen=True)
class Run:
    """What one separation took."""

    name: str
    minutes: float
    private_mb: float
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
        with watched(process.pid) as private:
            _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)} ended with {process.returncode}")
    return Run(name, minutes, max(private) * 1.024e-3, usage.ru_maxrss * 1.024e-3, seconds)


@contextlib.contextmanager
def watched(process: int) -> Iterator[list[int]]:
    """Give a list that fills with the private memory of a process in kB, as far as the system tells it."""
    seen, ended = [0], threading.Event()

    def look() -> None:
        with contextlib.suppress(OSError):
            while not ended.wait(_LOOK):
                found = re.search(r"RssAnon:\s*(\d+)", Path(f"/proc/{process}/status").read_text())
                seen.append(int(found[1]) if found else 0)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield seen
    finally:
        ended.set()
        watcher.join()


def arguments_of(name: str, folder: Path, minutes: float) -> list[str]:
    """Return the arguments by which a separator is asked for."""
    if name == "dictionary":
        return ["--separator", name, "--set", f"dictionary={','.join(learned(folder))}"]
    if name == "blind":
        return ["--sources", "2"]
    if name == "score":
        return ["--separator", name, "--set", f"midi={write_score(folder / 'score.csv', minutes)}"]
    return ["--separator", name]


def write_score(path: Path, minutes: float) -> Path:
    """Write the notes that are played, and as many as a pianist plays with both hands."""
    generator, lines = np.random.default_rng(0), ["onset,end,pitch,track"]
    for frequency, pace in _TONES:
        pitch = round(69 + 12 * np.log2(frequency / 440))
        for start in np.arange(0, minutes * 60, 1 / pace):
            lines.append(f"{start},{start + 0.5 / pace},{pitch},{pitch}")
    for start in np.arange(0, minutes * 60, 0.2):
        pitch = int(generator.integers(33, 93))
        lines.append(f"{start},{start + 0.4},{pitch},{'left' if pitch < 63 else 'right'}")
    path.write_text("\n".join(lines))
    return path


def learned(folder: Path) -> list[str]:
    """Learn dictionaries of two of the notes."""
    models = []
    for label, (frequency, pace) in zip(("low", "middle"), _TONES, strict=False):
        clock = np.arange(8 * RATE) / RATE
        clip, model = folder / f"{label}.wav", folder / f"{label}.safetensors"
        soundfile.write(clip, np.exp(-6 * ((pace * clock) % 1)) * np.sin(2 * np.pi * frequency * clock), RATE)
        command = [sys.executable, "-m", "nmfaudio", "learn", str(clip), "--label", label, "-o", str(model)]
        subprocess.run([*command, "--overwrite"], check=True, stdout=subprocess.DEVNULL)
        models.append(str(model))
    return models


def report(runs: list[Run]) -> None:
    """Print a table, and how much more the longest file took than the shortest."""
    print(f"{'separator':<21}{'minutes':>8}{'private MB':>12}{'all MB':>9}{'seconds':>9}{'x real time':>13}")
    for run in runs:
        pace = run.minutes * 60 / run.seconds
        memory = f"{run.private_mb:>12.0f}{run.peak_mb:>9.0f}"
        print(f"{run.name:<21}{run.minutes:>8g}{memory}{run.seconds:>9.1f}{pace:>13.1f}")
    for name in dict.fromkeys(run.name for run in runs):
        of_it = [run for run in runs if run.name == name]
        if len(of_it) > 1 and of_it[0].private_mb:
            ratio = of_it[-1].private_mb / of_it[0].private_mb
            print(f"{name}: {ratio:.2f} times the private memory of {of_it[0].minutes:g} minutes")


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
    parser.add_argument("--only", nargs="+", metavar="SEPARATOR", default=["dictionary", "blind"])
    parser.add_argument("--memory", default="300M", help="budget of each")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="option of theirs")
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
        given = ["--memory", options.memory, *(word for pair in options.set for word in ("--set", pair))]
        for minutes in options.minutes:
            make_long(folder / "long.wav", minutes)
            for name in options.only:
                arguments = [*arguments_of(name, folder, minutes), *given]
                runs.append(separate(name, folder / "long.wav", minutes, arguments))
        report(sorted(runs, key=lambda run: run.name))
        if options.json:
            options.json.write_text(json.dumps([vars(run) for run in runs], indent=1))


if __name__ == "__main__":
    main()
