"""The folder that keeps compiled code between runs, and a numba cache that survives a damaged or full one.

Numba itself notices a change of the file of a function, but not of the files of the functions that it calls,
nor of the constants and intrinsics that it uses. Here the folder's name holds a hash of all kernel sources
and of the compiler's versions. Within the folder, numba tells processors and their features apart.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite
import numba
from numba.core import caching

_HERE = Path(__file__).resolve().parent
_CONFIG: Any = numba.core.config
_Base: Any = caching.FunctionCache  # untyped
_BaseImplementation: Any = caching.CompileResultCacheImpl
_ADVICE = (
    "the next run compiles its engine again, which takes some ten seconds: set NUMBA_CACHE_DIR to a folder "
    "that can be written"
)


def kernel_sources() -> list[Path]:
    """Return the files whose contents decide what is compiled."""
    return sorted(
        [
            *_HERE.glob("*kernels.py"),
            *_HERE.glob("*intrinsics.py"),
            *(_HERE / name for name in ("layout.py", "compilation.py")),
        ]
    )


def folder_name() -> str:
    """Return the name of the folder for this installation, these sources and this compiler."""
    installation = hashlib.sha256(repr((str(_HERE), sys.prefix, sys.version)).encode())
    contents = hashlib.sha256(repr((numba.__version__, llvmlite.__version__)).encode())
    for source in kernel_sources():
        contents.update(hashlib.sha256(source.read_bytes()).digest())
    return f"engine-{installation.hexdigest()[:8]}-{contents.hexdigest()[:16]}"


@cache
def folder() -> Path | None:
    """Return the first folder that can be written, made where it is missing; None where there is none.

    Folders with the code of other sources or of another compiler are removed.
    """
    name = folder_name()
    for parent in _parents():
        chosen = parent / name
        try:
            if not chosen.is_dir():
                chosen.mkdir(parents=True, exist_ok=True)
                _remove_outdated(chosen)
            tempfile.TemporaryFile(dir=chosen).close()
        except OSError:
            continue
        return chosen
    return None


def _parents() -> Iterator[Path]:
    """Return where to look for a writable folder, the best place first."""
    if _CONFIG.CACHE_DIR:
        yield Path(_CONFIG.CACHE_DIR)
    yield _HERE / "__pycache__"
    home = Path(os.path.expanduser("~"))
    if home.is_absolute():
        yield _user_cache(home) / "nmfaudio"
    temporary = _private_temporary()
    if temporary is not None:
        yield temporary


def _user_cache(home: Path) -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    if sys.platform == "darwin":
        return home / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")


def _private_temporary() -> Path | None:
    """Return a folder among the temporary ones that nobody else can write to: its code will be run."""
    if not hasattr(os, "getuid"):
        return Path(tempfile.gettempdir()) / "nmfaudio"  # of this user alone on Windows
    try:
        private = Path(tempfile.gettempdir()) / f"nmfaudio-{os.getuid()}"
        private.mkdir(mode=0o700, exist_ok=True)
        status = private.lstat()
    except OSError:
        return None
    # A link, or a folder of somebody else, has another owner or lets others in.
    safe = status.st_uid == os.getuid() and status.st_mode == 0o40700
    return private if safe else None


def _remove_outdated(chosen: Path) -> None:
    installation = chosen.name.rpartition("-")[0]
    for other in chosen.parent.glob(f"{installation}-*"):
        if other != chosen:
            shutil.rmtree(other, ignore_errors=True)


class _Locator:
    """Tells numba where the code of a function is kept."""

    def __init__(self, function: Any, path: Path) -> None:
        code = function.__code__
        self._py_file, self._path, self._line = code.co_filename, path, code.co_firstlineno

    @classmethod
    def from_function(cls, function: Any, _: str) -> _Locator | None:
        """Return the locator of a function, or None where no folder can be written."""
        path = folder()
        return None if path is None else cls(function, path)

    def get_cache_path(self) -> str:
        """Return the folder."""
        return str(self._path)

    def ensure_cache_path(self) -> None:
        """Make the folder anew where somebody removed it."""
        self._path.mkdir(parents=True, exist_ok=True)

    def get_source_stamp(self) -> str:
        """Return what must be the same for code to be used again."""
        return self._path.name

    def get_disambiguator(self) -> str:
        """Return what tells functions of one name apart."""
        return str(self._line)


class _Implementation(_BaseImplementation):  # type: ignore[misc]
    _locator_classes = [_Locator]


class CompiledCode(_Base):  # type: ignore[misc]
    """The cache of one function, whose failures to read or write are not errors: it compiles again."""

    _impl_class = _Implementation

    def load_overload(self, signature: Any, context: Any) -> Any:
        """Return compiled code, or None where there is none that can be read."""
        try:
            return super().load_overload(signature, context)
        except Exception:  # a damaged file raises almost anything
            try:
                self.flush()
            except OSError:
                self.disable()
            return None

    def save_overload(self, signature: Any, data: Any) -> None:
        """Keep compiled code, or say once that it cannot be kept."""
        try:
            super().save_overload(signature, data)
        except OSError as error:
            self.disable()
            reason = error.strerror or error
            _say_once(f"compiled code cannot be kept in {self.cache_path} ({reason}): {_ADVICE}")


def keep(dispatcher: Any) -> None:
    """Let a numba function keep its compiled code between runs, where some folder can be written."""
    if folder() is not None:
        dispatcher._cache = CompiledCode(dispatcher.py_func)


def say_what_is_lost() -> None:
    """Say once, when the first function is compiled, where compiled code cannot be kept."""
    if folder() is None:
        _say_once(f"compiled code cannot be kept, because no folder can be written: {_ADVICE}")


@cache
def _say_once(message: str) -> None:
    warnings.warn(message, RuntimeWarning, stacklevel=2)
