"""Walk from recordings of drums to a loop without its snare, through ffmpeg, and draw both spectrograms.

    python scripts/live_walk.py -o walk

Needs ffmpeg with its LADSPA filter. Leaves `before.wav`, `after.wav` and `walk.png` in the folder.
"""

from __future__ import annotations

import argparse
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import soundfile
from matplotlib.figure import Figure

ROOT = Path(__file__).resolve().parent.parent
LOOP = ROOT / "audio_samples" / "drum_loop"
SOURCES = ("snare", "kick", "hihat")


def run(folder: Path, *words: object) -> None:
    """Run a command in a folder and show it; stop where it fails."""
    command = [str(word) for word in words]
    print("$", shlex.join(command), flush=True)
    known = [sys.executable, "-m", *command] if command[0] == "nmfaudio" else command
    if subprocess.run(known, cwd=folder, check=False).returncode:
        sys.exit(f"this command failed: {shlex.join(command)}")


def walk(folder: Path) -> None:
    """Learn, join, export, and let ffmpeg take the snare out."""
    for source in SOURCES:
        run(folder, "nmfaudio", "learn", LOOP / f"{source}.flac", "--label", source, "--overwrite")
    dictionaries = [f"{source}.safetensors" for source in SOURCES]
    run(folder, "nmfaudio", "join", *dictionaries, "-o", "kit.safetensors", "--overwrite")
    run(folder, "nmfaudio", "export", "kit.safetensors", "--plugin", "ladspa", "-o", "plugins", "--overwrite")
    run(folder, "ffmpeg", "-v", "error", "-y", "-i", LOOP.with_suffix(".flac"), "-ac", "2", "before.wav")
    plugin = "ladspa=f=./plugins/ladspa/kit.so:p=kit_stereo:c=c0=-60:l=1"  # l=1: without the delay
    run(folder, "ffmpeg", "-v", "error", "-y", "-i", "before.wav", "-af", plugin, "after.wav")


def draw(folder: Path) -> None:
    """Draw the spectrograms before and after."""
    figure = Figure(figsize=(9, 5), layout="constrained")
    for axes, name in zip(figure.subplots(2, 1, sharex=True), ("before", "after"), strict=True):
        samples, rate = soundfile.read(folder / f"{name}.wav", always_2d=True)
        part = samples[: 4 * rate, 0]
        hiss = 1e-6 * np.random.default_rng(0).standard_normal(
            len(part)
        )  # the logarithm of zero has no colour
        axes.specgram(part + hiss, NFFT=1024, Fs=rate)
        axes.set(title=f"{name}.wav", ylabel="frequency (Hz)", ylim=(0, 12000))
        axes.images[0].set_clim(-120, -40)
    axes.set_xlabel("time (s)")
    figure.savefig(folder / "walk.png", dpi=120)
    print(folder / "walk.png")


def main() -> None:
    """Walk and draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-o", "--output", type=Path, default=Path("walk"), help="folder; default: walk")
    folder = parser.parse_args().output
    if not shutil.which("ffmpeg"):
        sys.exit("ffmpeg is not installed: on Debian run `sudo apt install ffmpeg`")
    folder.mkdir(parents=True, exist_ok=True)
    walk(folder)
    draw(folder)


if __name__ == "__main__":
    main()
