"""Places of files: folders of this machine, or URLs that fsspec reads and writes, such as `s3://bucket/folder`."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from nmfaudio.errors import InputError, OutputError

Place = Path | str  # a text is a URL
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


def place_of(name: str) -> Place:
    """Return a folder or file as a path, or as a URL where it is one. `file://` stands for a path.

    Examples
    --------
    >>> place_of("stems"), place_of("s3://archive/stems/")
    (PosixPath('stems'), 's3://archive/stems')
    """
    if not is_url(name):
        return Path(name)
    if name.startswith("file://"):
        return Path(unquote(name.removeprefix("file://")))
    return name.rstrip("/")


def is_url(name: Place) -> bool:
    """Return whether a name is a URL and not a path."""
    return isinstance(name, str) and _URL.match(name) is not None


def joined(place: Place, *names: str) -> Place:
    """Return a place inside another."""
    if isinstance(place, Path):
        return place.joinpath(*names)
    return "/".join([place, *(name.replace(os.sep, "/") for name in names if name not in ("", "."))])


def file_system(url: str) -> tuple[Any, str]:
    """Return the file system of a URL, and the path of the URL in it.

    Raises
    ------
    InputError
        When a package is missing, or the kind of URL is unknown.
    """
    try:
        import fsspec
    except ImportError:
        raise InputError(f"{url}: URLs need the package fsspec: pip install 'nmfaudio[cluster]'") from None
    try:
        found: tuple[Any, str] = fsspec.core.url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise InputError(f"{url}: this kind of URL cannot be used ({error})") from None
    return found


def read_bytes(place: Place) -> bytes | None:
    """Return the content of a file; None where there is no such file.

    Raises
    ------
    InputError
        When the file exists and cannot be read.
    """
    try:
        if isinstance(place, Path):
            return place.read_bytes()
        system, path = file_system(place)
        system.invalidate_cache()
        return bytes(system.cat_file(path))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"{place}: cannot be read ({error.strerror or error})") from None


def write_bytes(place: Place, content: bytes) -> None:
    """Write a small file that appears complete or not at all; its folder is made where it is missing.

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    if isinstance(place, Path):
        from nmfaudio.disk.atomic import make_folder, write_atomically

        make_folder(place.parent)
        write_atomically(place, content)
        return
    system, path = file_system(place)
    try:
        system.pipe_file(path, content)
    except OSError as error:
        raise OutputError(f"{place}: cannot be written ({error.strerror or error})") from None


def remove(place: Place) -> None:
    """Remove a file, if it exists."""
    with contextlib.suppress(OSError):
        if isinstance(place, Path):
            place.unlink()
        else:
            system, path = file_system(place)
            system.rm_file(path)


def size(place: Place) -> int | None:
    """Return the size of a file in bytes; None where there is no such file."""
    with contextlib.suppress(OSError):
        if isinstance(place, Path):
            return place.stat().st_size
        system, path = file_system(place)
        system.invalidate_cache()
        return int(system.size(path))
    return None


def files_below(place: Place) -> list[str]:
    """Return the names of all files below a folder, relative to it, sorted; none where there is no folder."""
    if isinstance(place, Path):
        return sorted(
            os.path.relpath(os.path.join(folder, name), place)
            for folder, _, names in os.walk(place)
            for name in names
        )
    system, path = file_system(place)
    system.invalidate_cache()
    with contextlib.suppress(FileNotFoundError):
        return sorted(name[len(path) :].lstrip("/") for name in system.find(path))
    return []
