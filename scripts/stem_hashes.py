"""Print a hash of each stem that each separator makes of each case, to compare two commits.

``python scripts/stem_hashes.py CASES > before.txt`` on one commit, the same on another, then ``diff``. Bits
depend on the processor and on library versions, so both runs must be on one machine.
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import nmfaudio

CHOICES = ("auto", "blind", "drums", "noise", "harmonic-percussive", "repeating", "voice", "stereo")


def main() -> None:
    """Separate every case in every way and print one line for each stem."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", type=Path, help="folder with one folder for each case")
    parser.add_argument("--only", nargs="*", help="names of cases, or their beginnings")
    arguments = parser.parse_args()
    for case in sorted(path.parent for path in arguments.cases.glob("*/mixture.*")):
        if not arguments.only or case.name.startswith(tuple(arguments.only)):
            for line in hash_lines(case):
                print(line, flush=True)


def hash_lines(case: Path) -> Iterator[str]:
    """Yield a line for each stem of a case: case, way, stem and hash; or the error of a way that fails."""
    mixture = nmfaudio.read(next(case.glob("mixture.*")))
    with tempfile.TemporaryDirectory() as folder:
        for way, name, options in ways(case, mixture.channels, Path(folder)):
            try:
                separation = nmfaudio.separate(mixture, name, **options)
            except nmfaudio.NmfaudioError as error:
                yield f"{case.name} {way} {type(error).__name__} {error}".replace(folder, "")
                continue
            for stem, audio in separation.stems.items():
                yield f"{case.name} {way} {stem} {digest(audio)}"


def ways(case: Path, channels: int, folder: Path) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield a label, a separator and its options for each way that fits the case."""
    number = len(list((case / "stems").iterdir()))
    for name in CHOICES:
        if name == "stereo" and channels < 2:
            continue
        counted = name in ("auto", "blind", "stereo")
        yield name, name, {"sources": number} if counted else {}
    clips = sorted((case / "train").glob("*")) if (case / "train").is_dir() else []
    if clips:
        yield from dictionary_ways(clips, folder)
    if (case / "score.mid").exists():
        yield "score", "score", {"midi": str(case / "score.mid")}


def dictionary_ways(clips: list[Path], folder: Path) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield separation by the dictionary of all training clips, and by that of the first clip alone."""
    dictionaries = [nmfaudio.learn([clip], clip.stem) for clip in clips]
    for label, chosen in (("all", dictionaries), ("one", dictionaries[:1])):
        path = folder / f"{label}.safetensors"
        nmfaudio.Dictionary.join(chosen).save(path)
        free = 16 if label == "one" or len(clips) == 1 else 0
        yield f"dictionary-{label}", "dictionary", {"dictionary": str(path), "free": free}


def digest(audio: nmfaudio.Audio) -> str:
    """Return the hash of the samples, as 64-bit floats."""
    return hashlib.sha256(np.ascontiguousarray(audio.samples, np.float64).tobytes()).hexdigest()[:16]


if __name__ == "__main__":
    main()
