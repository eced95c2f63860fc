"""Which files are meant: files, folders, patterns, lists."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from nmfaudio.cli.console import WRONG_USAGE, stop

STANDARD_STREAM = "-"
# In a folder, files of other names are not meant; a file that is named itself is read whatever its name.
_ENDINGS = frozenset(
    """
    wav wave bwf rf64 w64 aif aiff aifc flac ogg oga opus mp3 mp2 mp1 au snd caf m4a m4b mp4 m4v mov aac mkv
    mka webm wma wmv avi ac3 wv ape tta mpc mpg 3gp amr nist sph voc avr paf svx 8svx iff
    """.split()  # noqa: SIM905 - easier to read than a list
)


@dataclass(frozen=True)
class Task:
    """A file, and the folder for its stems."""

    file: str
    output: Path


def collect(names: Iterable[str], listed_in: Path | None, output: Path) -> list[Task]:
    """Return what is meant by names of files and folders, patterns, and a list of names in a file.

    A folder stands for the audio files in it, and its own folders are kept in the output. What does not exist
    is kept too: its turn will come, and it will be told.
    """
    tasks = []
    for name in [*names, *(_lines(listed_in) if listed_in else [])]:
        if name == STANDARD_STREAM or os.path.isfile(name):
            tasks.append(Task(name, output))
        elif os.path.isdir(name):
            tasks += _in_folder(Path(name), output)
        elif (
            not os.path.lexists(name) and glob.has_magic(name) and (found := glob.glob(name, recursive=True))
        ):
            tasks += collect(sorted(found), None, output)
        else:
            tasks.append(Task(name, output))
    return tasks


def _in_folder(folder: Path, output: Path) -> Iterator[Task]:
    """Give the audio files below a folder, but for hidden ones and for stems that are put there."""
    own = os.path.realpath(output)
    found = False
    for place, folders, files in os.walk(folder):
        kept = (
            f for f in folders if not f.startswith(".") and os.path.realpath(os.path.join(place, f)) != own
        )
        folders[:] = sorted(kept)
        for name in sorted(files):
            if not name.startswith(".") and name.rpartition(".")[2].lower() in _ENDINGS:
                found = True
                yield Task(os.path.join(place, name), output / os.path.relpath(place, folder))
    if not found:
        yield Task(str(folder), output)  # is told as a folder that is no audio file


def _lines(path: Path) -> list[str]:
    """Return the names in a file, one a line, or with zero bytes between them."""
    try:
        content = sys.stdin.buffer.read() if str(path) == STANDARD_STREAM else path.read_bytes()
    except OSError as error:
        stop(f"--from-file {path}: cannot be read ({error.strerror})", WRONG_USAGE)
    names = content.split(b"\0") if b"\0" in content else content.splitlines()
    return [os.fsdecode(name) for name in names if name.strip()]
