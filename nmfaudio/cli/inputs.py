"""Which files are meant: files, folders, patterns, lists."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from nmfaudio.cli.console import FAILED, WRONG_USAGE, stop
from nmfaudio.cluster.places import Place, files_below, is_url, joined, place_of
from nmfaudio.cluster.task import Task

STANDARD_STREAM = "-"
# Files of these endings are separated when a folder is named; a file that is named itself may have any name.
_ENDINGS = frozenset(
    """
    wav wave bwf rf64 w64 aif aiff aifc flac ogg oga opus mp3 mp2 mp1 au snd caf m4a m4b mp4 m4v mov aac mkv
    mka webm wma wmv avi ac3 wv ape tta mpc mpg 3gp amr nist sph voc avr paf svx 8svx iff
    """.split()  # noqa: SIM905 - easier to read than a list
)


# Flags whose files have these endings, and what such a file is.
_FLAGS_OF_ENDINGS = {
    ".safetensors": ("--dictionary", "a dictionary"),
    ".mid": ("--midi", "a score"),
    ".midi": ("--midi", "a score"),
    ".csv": ("--midi", "a table of notes"),
    ".toml": ("--hints", "a file of hints"),
}
_TRUTH_VALUES = ("true", "false", "yes", "no", "on", "off")


def check_names(names: Iterable[str]) -> None:
    """End the command at a name that is probably the second value of a flag, and say the right form."""
    for name in names:
        kind = _FLAGS_OF_ENDINGS.get(Path(name).suffix.lower())
        if kind:
            flag, meaning = kind
            form = f"repeat the flag for each file, as in {flag} one {flag} two"
            stop(f"{name} is {meaning}, not audio: write {flag} {name}; for several, {form}", WRONG_USAGE)
        if name.lower() in _TRUTH_VALUES and not os.path.lexists(name):
            form = "write --drums, and not --drums true"
            stop(f"{name!r} is taken for a file: a switch such as --drums has no value: {form}", WRONG_USAGE)


def collect_tasks(names: Iterable[str], listed_in: Path | None, output: Place) -> list[Task]:
    """Return a task for each file that is meant by names, folders, patterns, and a list in a file.

    A folder stands for the audio files in it; its subfolders are repeated in the output. A name that does not
    exist becomes a task too, so that the error is reported when its turn comes.
    """
    tasks = []
    for given in [*names, *(_listed_names(listed_in) if listed_in else [])]:
        name = os.fspath(place_of(given)) if is_url(given) else given
        if is_url(name):
            tasks += _tasks_at(name, output)
        elif name == STANDARD_STREAM or os.path.isfile(name):
            tasks.append(Task(name, output))
        elif os.path.isdir(name):
            tasks += _tasks_in_folder(Path(name), output)
        elif (
            not os.path.lexists(name) and glob.has_magic(name) and (paths := glob.glob(name, recursive=True))
        ):
            tasks += collect_tasks(sorted(paths), None, output)
        else:
            tasks.append(Task(name, output))
    return tasks


def _tasks_at(url: str, output: Place) -> list[Task]:
    """Return the audio files below a URL, or the file itself; end the command where it cannot be listed."""
    from nmfaudio.errors import NmfaudioError

    try:
        names = [name for name in files_below(url) if name]
    except (NmfaudioError, OSError) as error:
        stop(str(error), FAILED)
    except Exception as error:  # stores have errors of their own, such as those of access
        stop(f"{url}: cannot be listed ({type(error).__name__}: {error})", FAILED)
    found = [
        Task(f"{url}/{name}", joined(output, os.path.dirname(name)))
        for name in names
        if _is_audio(os.path.basename(name))
    ]
    return found or [Task(url, output)]


def _is_audio(name: str) -> bool:
    return not name.startswith(".") and name.rpartition(".")[2].lower() in _ENDINGS


def _tasks_in_folder(folder: Path, output: Place) -> Iterator[Task]:
    """Yield the audio files below a folder, without hidden files and without the folder of the stems."""
    output_path = os.path.realpath(output)
    is_empty = True
    for place, folders, files in os.walk(folder):
        visible = (
            name
            for name in folders
            if not name.startswith(".") and os.path.realpath(os.path.join(place, name)) != output_path
        )
        folders[:] = sorted(visible)
        for name in sorted(files):
            if _is_audio(name):
                is_empty = False
                yield Task(os.path.join(place, name), joined(output, os.path.relpath(place, folder)))
    if is_empty:
        yield Task(str(folder), output)  # fails with a message about the folder


def _listed_names(path: Path) -> list[str]:
    """Return the names in a file, one a line, or separated by zero bytes."""
    try:
        content = sys.stdin.buffer.read() if str(path) == STANDARD_STREAM else path.read_bytes()
    except OSError as error:
        stop(f"--from-file {path}: cannot be read ({error.strerror})", WRONG_USAGE)
    names = content.split(b"\0") if b"\0" in content else content.splitlines()
    return [os.fsdecode(name) for name in names if name.strip()]
