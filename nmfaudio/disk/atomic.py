"""Small files that appear complete or not at all, and checks of the folders that will hold them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from nmfaudio.disk.partial_file import PartialFile, already_exists_error, convert_write_errors, flush_folder
from nmfaudio.disk.signals import DeferredSignals
from nmfaudio.errors import OutputError


def check_absent(paths: Iterable[Path]) -> None:
    """Raise OutputError when one of the paths exists."""
    for path in paths:
        if os.path.lexists(path):
            raise already_exists_error(path)


def make_folder(folder: Path) -> list[Path]:
    """Create a folder and its parents; return the folders that did not exist before, outermost first."""
    missing = [f for f in (folder, *folder.parents) if not f.exists()]
    with convert_write_errors(folder):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except FileExistsError:
            raise NotADirectoryError(0, "a file of that name exists") from None
    return missing[::-1]


def check_folder(path: Path) -> None:
    """Raise OutputError when the folder for a new file does not exist or is not writable."""
    if not path.parent.is_dir():
        raise OutputError(f"{path}: the folder {path.parent} does not exist: create it first")
    if not os.access(path.parent, os.W_OK):
        raise OutputError(f"{path}: the folder {path.parent} is not writable: choose another folder")


def write_atomically(path: Path, content: bytes) -> None:
    """Write a small file that appears under its name complete or not at all.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    with convert_write_errors(path), DeferredSignals():
        partial_file = PartialFile(path)
        try:
            partial_file.write(content)
            partial_file.flush()
            partial_file.rename_to_target(overwrite=True)
        finally:
            partial_file.discard()
    flush_folder(path.parent)
