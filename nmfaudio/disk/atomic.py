"""Small files that appear whole or not at all, and checks of the folders they go to."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from nmfaudio.disk.partial_file import PartialFile, exists, flush_folder, writing
from nmfaudio.disk.signals import DeferredSignals
from nmfaudio.errors import OutputError


def check_absent(paths: Iterable[Path]) -> None:
    """Raise OutputError when one of the paths exists."""
    for path in paths:
        if os.path.lexists(path):
            raise exists(path)


def make_folder(folder: Path) -> list[Path]:
    """Make a folder and its parents; return those that were not there before, outermost first."""
    missing = [f for f in (folder, *folder.parents) if not f.exists()]
    with writing(folder):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except FileExistsError:
            raise NotADirectoryError(0, "there is a file of that name") from None
    return missing[::-1]


def check_folder(path: Path) -> None:
    """Raise OutputError when the folder of a file that is to be written is missing or is not writable."""
    if not path.parent.is_dir():
        raise OutputError(f"{path}: the folder {path.parent} does not exist: make it first")
    if not os.access(path.parent, os.W_OK):
        raise OutputError(f"{path}: the folder {path.parent} is not writable: choose another")


def write_atomically(path: Path, content: bytes) -> None:
    """Write a small file that appears under its name whole or not at all.

    Raises
    ------
    OutputError
        When it cannot be written.
    """
    with writing(path), DeferredSignals():
        written = PartialFile(path)
        try:
            written.write(content)
            written.flush()
            written.place(overwrite=True)
        finally:
            written.discard()
    flush_folder(path.parent)
