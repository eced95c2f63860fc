"""Open whatever a caller passes as an audio file: a path, an open file, or the standard input."""

from __future__ import annotations

import os
import shutil
import stat
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

from nmfaudio.errors import AudioFileError

STANDARD_INPUT = "-"
_COPY_BYTES = 1 << 20  # bytes that are copied at a time


class BinaryFile(Protocol):
    """An object with a method `read` that returns bytes, such as an open file or an `io.BytesIO`."""

    def read(self, size: int = -1, /) -> bytes:
        """Return up to `size` bytes."""


Source = str | bytes | os.PathLike[str] | os.PathLike[bytes] | BinaryFile


@dataclass(frozen=True)
class Opened:
    """An opened input.

    Attributes
    ----------
    stream : binary file
        File with a descriptor, at its start.
    path : Path or None
        Path of the file; None for file objects without a name.
    name : str
        Name of the recording: the file name without its extension.
    label : str
        How messages refer to the input.
    """

    stream: IO[bytes]
    path: Path | None
    name: str
    label: str


def open_source(source: Source) -> Opened:
    """Open an input for reading.

    Parameters
    ----------
    source : path-like or binary file
        A path as str, bytes or path-like object; `"-"` for the standard input; or an object with a method
        `read`. The standard input and file objects are copied to a temporary file, from their current
        position to their end.

    Raises
    ------
    AudioFileError
        If the file does not exist or cannot be read, or the argument is of another type.
    """
    if hasattr(source, "read"):
        return _open_file_object(source)
    if not isinstance(source, (str, bytes, os.PathLike)):
        raise AudioFileError(
            f"{type(source).__name__}: expected a path or a file opened in binary mode; for samples in an "
            "array, pass nmfaudio.Audio(samples, sample_rate)"
        )
    text = os.fsdecode(source)
    if text == STANDARD_INPUT:
        return Opened(_copy_standard_input(), Path(text), "stdin", text)
    path = Path(text)
    return Opened(_open_path(path), path, path.stem, text)


def _open_path(path: Path) -> IO[bytes]:
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            kind = "a folder" if path.is_dir() else "not an ordinary file"
            raise AudioFileError(f"{path}: it is {kind}: choose an audio file")
        return open(path, "rb", buffering=0)
    except OSError as error:
        raise AudioFileError(f"{path}: cannot be opened ({error.strerror or error})") from None
    except ValueError as error:
        if isinstance(error, AudioFileError):
            raise
        raise AudioFileError(f"{path}: cannot be opened ({error})") from None


def _open_file_object(file: Any) -> Opened:
    path = getattr(file, "name", None)
    path = Path(os.fsdecode(path)) if isinstance(path, (str, bytes)) and path else None
    label = str(path) if path else f"the {type(file).__name__} object"
    stream = _copy(file, label, "cannot be read")
    return Opened(stream, path, path.stem if path else "audio", label)


def _copy_standard_input() -> IO[bytes]:
    try:
        stdin = sys.stdin.buffer
    except AttributeError as error:
        raise AudioFileError(f"-: there is no standard input ({error})") from None
    return _copy(stdin, STANDARD_INPUT, f"the standard input cannot be stored in {tempfile.gettempdir()}")


def _copy(file: Any, label: str, failure: str) -> IO[bytes]:
    """Copy a file to a temporary file without a name, which the system removes at the end."""
    copy = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - the caller closes it
    try:
        shutil.copyfileobj(file, copy, _COPY_BYTES)
        copy.seek(0)
    except TypeError:
        copy.close()
        raise AudioFileError(
            f"{label}: it returns text instead of bytes: open it in binary mode ('rb')"
        ) from None
    except (OSError, ValueError) as error:
        copy.close()
        reason = getattr(error, "strerror", None) or error
        raise AudioFileError(f"{label}: {failure} ({reason}): check the file, or set TMPDIR") from None
    return copy
