"""Room for a spectrogram: in memory within a budget, else in a temporary file."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
import weakref
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmfaudio.errors import OptionError, OutputError

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_PART_OF_MEMORY = 4
_FALLBACK = 8 << 30  # bytes of memory that are assumed where the system does not tell
_CONTROL_GROUPS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def parse_size(text: str) -> int:
    """Return the bytes that a text such as `2G` or `500M` stands for.

    Raises
    ------
    OptionError
        When it is no size.

    Examples
    --------
    >>> parse_size("1.5G")
    1610612736
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    size = int(float(found[1]) * _UNITS[found[2].upper()]) if found else 0
    if size < 1:
        raise OptionError(f"memory={text!r} is no size: write it like 500M or 2G")
    return size


def default_budget() -> int:
    """Return a quarter of the memory that this process may use, in bytes."""
    limits = [_physical(), *_control_groups(), *_address_space()]
    return min(limits) // _PART_OF_MEMORY


def allocate_array(shape: tuple[int, ...], budget: int, dtype: Any = np.float32) -> NDArray[Any]:
    """Return an array to fill: in memory where it fits into the budget, else in a temporary file.

    The file has no name, so that nothing is left of it however the process ends, and its place on the disk is
    taken at once.

    Parameters
    ----------
    shape : tuple of int
    budget : int
        Bytes.
    dtype : data-type
        Of the array; float32 by default.

    Raises
    ------
    OutputError
        When the disk has no room for it.

    Examples
    --------
    >>> type(allocate_array((2, 3), budget=100)).__name__, type(allocate_array((2, 3), budget=10)).__name__
    ('ndarray', 'memmap')
    """
    size = np.dtype(dtype).itemsize * int(np.prod(shape))
    if size <= budget:
        return np.empty(shape, dtype)
    folder = tempfile.gettempdir()
    way_out = "set TMPDIR to a folder on a larger disk, or allow more memory (--memory)"
    free = shutil.disk_usage(folder).free
    if size > free:
        raise OutputError(
            f"{folder}: the spectrogram needs {size / 1e9:.2f} GB, and {free / 1e9:.2f} GB are free: "
            f"{way_out}"
        )
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            if hasattr(os, "posix_fallocate"):  # else a full disk would be told by a signal, much later
                os.posix_fallocate(file.fileno(), 0, size)
            return np.memmap(file, dtype, "w+", shape=shape)
    except OSError as error:
        raise OutputError(
            f"{folder}: no room for the spectrogram of {size / 1e9:.2f} GB ({error.strerror}): {way_out}"
        ) from None


class MemoryBudget:
    """The large arrays of one run, which together take no more memory than the budget.

    Examples
    --------
    >>> budget = MemoryBudget()
    >>> kept = [budget.allocate((2, 3), budget=40) for _ in range(2)]
    >>> [type(array).__name__ for array in kept]
    ['ndarray', 'memmap']
    """

    def __init__(self) -> None:
        self._standing: list[weakref.ref[NDArray[Any]]] = []

    def allocate(self, shape: tuple[int, ...], budget: int, dtype: Any = np.float32) -> NDArray[Any]:
        """Return an array as `allocate_array` does; arrays that are still in use count against the budget."""
        standing = [array for array in (known() for known in self._standing) if array is not None]
        found = allocate_array(shape, budget - sum(array.nbytes for array in standing), dtype)
        if not isinstance(found, np.memmap):
            standing.append(found)
        self._standing = [weakref.ref(array) for array in standing]
        return found


def _physical() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return _FALLBACK


def _control_groups() -> list[int]:
    """Return what the system's groups of processes, such as containers, may use."""
    limits = []
    for path in (*_CONTROL_GROUPS, *_own_groups()):
        with contextlib.suppress(OSError, ValueError):
            limits.append(int(Path(path).read_text()))  # "max" is no number
    return [limit for limit in limits if limit > 0]


def _own_groups() -> list[str]:
    with contextlib.suppress(OSError):
        lines = Path("/proc/self/cgroup").read_text().splitlines()
        groups = [line.split(":", 2)[2] for line in lines if line.startswith("0::")]
        return [f"/sys/fs/cgroup{group}/memory.max" for group in groups]
    return []


def _address_space() -> list[int]:
    try:
        import resource
    except ImportError:
        return []
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return [limit] if limit not in (resource.RLIM_INFINITY, -1) else []
