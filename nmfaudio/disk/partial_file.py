"""Unfinished files: written under a temporary name, renamed when complete, removed when orphaned."""

from __future__ import annotations

import contextlib
import importlib
import os
import secrets
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from typing import Any

from nmfaudio.errors import ExistingFileError, OutputError

try:
    _fcntl: Any = importlib.import_module("fcntl")
except ImportError:  # Windows: an open file cannot be deleted there, so no lock is needed
    _fcntl = None

PREFIX, SUFFIX = ".nmfaudio-", ".part"
_ATTEMPTS = 9  # attempts to create a file; one suffices unless another process removes it before it is locked


class PartialFile:
    """A file that is written under a temporary name in the folder of its target.

    libsndfile can write to it as to a file. `write` is called from C, where no exception may be raised, so an
    error is stored there and raised by `check`. The file is locked while it is open: other processes see that
    its process is alive and leave it alone. The operating system releases the lock when the process ends.

    Parameters
    ----------
    target : Path
        Path that the complete file will have.

    Raises
    ------
    OSError
        If the file cannot be created.
    """

    def __init__(self, target: Path) -> None:
        self.target = target
        self.path, self._file = _create(target.parent)
        self._error: OSError | None = None
        self._open = True

    def write(self, content: bytes) -> int:
        """Write all bytes and return their number; return 0 after an error."""
        if self._error:
            return 0
        done = 0
        try:
            while done < len(content):
                done += self._file.write(memoryview(content)[done:]) or 0
        except OSError as error:
            self._error = error
            return 0
        return done

    def read(self, size: int) -> bytes:
        """Read bytes; libsndfile does so to update a header."""
        return self._file.read(size) or b""

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Change the position in the file and return the new one."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the position in the file."""
        return self._file.tell()

    @property
    def size(self) -> int:
        """Size of the file in bytes."""
        return os.fstat(self._file.fileno()).st_size

    def check(self) -> None:
        """Raise the first error of writing, if one occurred."""
        if self._error:
            raise self._error

    def flush(self) -> None:
        """Wait until the operating system has written the file to the disk."""
        self.check()
        os.fsync(self._file.fileno())

    def rename_to_target(self, *, overwrite: bool) -> None:
        """Rename the file to its target and close it.

        Raises
        ------
        FileExistsError
            If the target exists and `overwrite` is false.
        OSError
            If the folder no longer exists or cannot be changed.
        """
        if overwrite:
            os.replace(self.path, self.target)
        else:
            _rename_to_new(self.path, self.target)
        self.close()

    def discard(self) -> None:
        """Close and remove the file, unless it has been renamed to its target."""
        if self._open:
            if os.name == "nt":  # Windows removes closed files only
                self.close()
            with contextlib.suppress(OSError):
                self.path.unlink()
            self.close()

    def close(self) -> None:
        """Close the file, which releases its lock."""
        self._open = False
        with contextlib.suppress(OSError):
            self._file.close()


def remove_orphaned_files(folder: Path) -> list[Path]:
    """Remove the unfinished files of ended processes from a folder; return the removed paths."""
    removed = []
    with contextlib.suppress(OSError):
        for entry in os.scandir(folder):
            if (
                entry.name.startswith(PREFIX)
                and entry.name.endswith(SUFFIX)
                and _remove_orphan(Path(entry.path))
            ):
                removed.append(Path(entry.path))
    return removed


def flush_folder(folder: Path) -> None:
    """Wait until the entries of a folder are on the disk, on systems that support it."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def convert_write_errors(path: Path, what: str = "") -> Iterator[None]:
    """Convert errors of writing to `path` into OutputError; `what` describes the content in the message."""
    try:
        yield
    except FileExistsError:
        raise already_exists_error(path) from None
    except (OSError, RuntimeError, ValueError, AssertionError) as error:  # libsndfile raises RuntimeError
        reason = getattr(error, "strerror", None) or getattr(error, "error_string", None) or str(error)
        raise OutputError(f"{path}: cannot be written{what and f' with {what}'} ({reason})") from None


def already_exists_error(path: Path) -> OutputError:
    """Return the error for a file that exists already."""
    return ExistingFileError(f"{path} exists: pass overwrite=True to replace it, or choose another folder")


def _open_new(path: Path) -> FileIO:
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    return FileIO(os.open(path, flags, 0o666), "r+")


def _create(folder: Path) -> tuple[Path, FileIO]:
    """Create a new file with a random name, and lock it."""
    for _ in range(_ATTEMPTS):
        path = folder / f"{PREFIX}{secrets.token_hex(8)}{SUFFIX}"
        file = _open_new(path)
        if _locked(file) and path.exists():  # else another process removed it before it was locked
            return path, file
        file.close()
    raise OSError(f"new files in {folder} are removed by another process at once")


def _locked(file: FileIO) -> bool:
    """Lock a file; return whether this process may use it, which is true on systems without locks."""
    if _fcntl is None:
        return True
    try:
        _fcntl.flock(file.fileno(), _fcntl.LOCK_EX | _fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _remove_orphan(path: Path) -> bool:
    """Remove an unfinished file if its process has ended; return whether it was removed."""
    if _fcntl is None:
        with contextlib.suppress(OSError):
            path.unlink()
            return True
        return False
    try:
        with FileIO(os.open(path, os.O_RDWR | os.O_NOFOLLOW), "r+") as file:
            _fcntl.flock(file.fileno(), _fcntl.LOCK_EX | _fcntl.LOCK_NB)
            path.unlink()
    except OSError:  # locked, already removed, not permitted, or a disk without locks: leave it
        return False
    return True


def _rename_to_new(path: Path, target: Path) -> None:
    """Rename without replacing, even if another process creates the target at the same moment."""
    try:
        os.link(path, target)
    except FileExistsError:
        raise
    except (OSError, AttributeError, NotImplementedError):  # a disk without hard links
        if os.path.lexists(target):
            raise FileExistsError(target) from None
        os.rename(path, target)
        return
    path.unlink()
