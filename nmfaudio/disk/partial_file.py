"""Files that are not whole yet: written under a name of their own, placed at the end, swept when orphaned."""

from __future__ import annotations

import contextlib
import importlib
import os
import secrets
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from typing import Any

from nmfaudio.errors import OutputError

try:
    _fcntl: Any = importlib.import_module("fcntl")
except ImportError:  # Windows, where a file that is open cannot be deleted, so that no lock is needed
    _fcntl = None

PREFIX, SUFFIX = ".nmfaudio-", ".part"
_ATTEMPTS = 9  # names that are tried: more than one only where another process sweeps at that moment


class PartialFile:
    """A file that is being written beside the place where it will stand.

    It looks like a file to libsndfile. A failure within a call of `write` is kept and told by `check`, since
    nothing may be raised there. While it is open it is locked, so that a process that sweeps knows it is
    alive: the lock goes with the process, however that ends.

    Parameters
    ----------
    target : Path
        Where it will stand.

    Raises
    ------
    OSError
        When it cannot be made.
    """

    def __init__(self, target: Path) -> None:
        self.target = target
        self.path, self._file = _create(target.parent)
        self._error: OSError | None = None
        self._open = True

    def write(self, content: bytes) -> int:
        """Write all of it; return the number of bytes, or 0 after a failure."""
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
        """Read, as libsndfile does to change a header."""
        return self._file.read(size) or b""

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the place."""
        return self._file.tell()

    @property
    def size(self) -> int:
        """Bytes written."""
        return os.fstat(self._file.fileno()).st_size

    def check(self) -> None:
        """Raise the first failure of writing, if there was one."""
        if self._error:
            raise self._error

    def flush(self) -> None:
        """Wait until all is on the disk."""
        self.check()
        os.fsync(self._file.fileno())

    def place(self, *, overwrite: bool) -> None:
        """Give it its name.

        Raises
        ------
        FileExistsError
            When there is such a file and it may not be replaced.
        OSError
            When the folder is gone, or does not let itself be changed.
        """
        if overwrite:
            os.replace(self.path, self.target)
        else:
            _rename_to_new(self.path, self.target)
        self.close()

    def discard(self) -> None:
        """Remove it."""
        if self._open:
            if os.name == "nt":  # where only closed files can be removed
                self.close()
            with contextlib.suppress(OSError):
                self.path.unlink()
            self.close()

    def close(self) -> None:
        """Close it; its lock ends."""
        self._open = False
        with contextlib.suppress(OSError):
            self._file.close()


def sweep(folder: Path) -> list[Path]:
    """Remove the unfinished files of dead processes from a folder; return those that were removed."""
    swept = []
    with contextlib.suppress(OSError):
        for entry in os.scandir(folder):
            if entry.name.startswith(PREFIX) and entry.name.endswith(SUFFIX) and _removed(Path(entry.path)):
                swept.append(Path(entry.path))
    return swept


def flush_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk, where the system can tell."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def writing(path: Path, what: str = "") -> Iterator[None]:
    """Turn the failures of writing to `path` into OutputError."""
    try:
        yield
    except FileExistsError:
        raise exists(path) from None
    except (OSError, RuntimeError, ValueError, AssertionError) as error:  # libsndfile's are RuntimeErrors
        reason = getattr(error, "strerror", None) or getattr(error, "error_string", None) or str(error)
        raise OutputError(f"{path}: cannot be written{what and f' with {what}'} ({reason})") from None


def exists(path: Path) -> OutputError:
    """Return the error that says that a file is there already."""
    return OutputError(f"{path} exists: pass --overwrite (overwrite=True), or choose another folder")


def _open_new(path: Path) -> FileIO:
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    return FileIO(os.open(path, flags, 0o666), "r+")


def _create(folder: Path) -> tuple[Path, FileIO]:
    """Make a new file with a name that nobody else uses, and lock it."""
    for _ in range(_ATTEMPTS):
        path = folder / f"{PREFIX}{secrets.token_hex(8)}{SUFFIX}"
        file = _open_new(path)
        if _locked(file) and path.exists():  # else another process swept it before it was locked
            return path, file
        file.close()
    raise OSError(f"files vanish from {folder} as soon as they are made")


def _locked(file: FileIO) -> bool:
    """Lock a file unless another process has; where nothing can be locked, all is taken to be locked."""
    if _fcntl is None:
        return True
    try:
        _fcntl.flock(file.fileno(), _fcntl.LOCK_EX | _fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _removed(path: Path) -> bool:
    """Remove an unfinished file if its process is dead."""
    if _fcntl is None:
        with contextlib.suppress(OSError):
            path.unlink()
            return True
        return False
    try:
        with FileIO(os.open(path, os.O_RDWR | os.O_NOFOLLOW), "r+") as file:
            _fcntl.flock(file.fileno(), _fcntl.LOCK_EX | _fcntl.LOCK_NB)
            path.unlink()
    except OSError:  # alive, gone, not ours, or on a disk without locks: leave it
        return False
    return True


def _rename_to_new(path: Path, target: Path) -> None:
    """Rename without replacing, also where another process makes the target at this moment."""
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
