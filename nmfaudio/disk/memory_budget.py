"""Large arrays: in memory within a budget, beyond it in temporary files."""

from __future__ import annotations

import contextlib
import math
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
_DEFAULT_FRACTION = 4  # the default budget is the available memory divided by this number
_FALLBACK = 8 << 30  # bytes of memory that are assumed where the system does not report any
_CONTROL_GROUPS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def parse_size(text: str) -> int:
    """Return the number of bytes of a size such as `2G` or `500M`.

    Raises
    ------
    OptionError
        If the text is not a size.

    Examples
    --------
    >>> parse_size("1.5G")
    1610612736
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    size = int(float(match[1]) * _UNITS[match[2].upper()]) if match else 0
    if size < 1:
        raise OptionError(f"memory={text!r} is not a size: write it like 500M or 2G", option="memory")
    return size


def default_budget() -> int:
    """Return a quarter of the memory that this process may use, in bytes."""
    limits = [_physical(), *_control_groups(), *_address_space()]
    return min(limits) // _DEFAULT_FRACTION


def allocate_array(shape: tuple[int, ...], budget: int, dtype: Any = np.float32) -> NDArray[Any]:
    """Return an uninitialized array: in memory if it fits into the budget, else in a temporary file.

    The file has no name, so nothing remains of it however the process ends. Its disk space is reserved at
    once.

    Parameters
    ----------
    shape : tuple of int
        Shape of the array.
    budget : int
        Number of bytes that the array may use in memory.
    dtype : data-type
        Data type of the array; float32 by default.

    Raises
    ------
    OutputError
        If the disk is too full.

    Examples
    --------
    >>> type(allocate_array((2, 3), budget=100)).__name__, type(allocate_array((2, 3), budget=10)).__name__
    ('ndarray', 'memmap')
    """
    size = np.dtype(dtype).itemsize * math.prod(shape)
    if size <= budget:
        return np.empty(shape, dtype)
    folder = tempfile.gettempdir()
    remedy = "set TMPDIR to a folder on a larger disk, or pass a larger memory=..."
    free = shutil.disk_usage(folder).free
    if size > free:
        raise OutputError(
            f"{folder}: the spectrogram needs {size / 1e9:.2f} GB, and {free / 1e9:.2f} GB are free: {remedy}"
        )
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            if hasattr(os, "posix_fallocate"):  # else a full disk would end the process later, by SIGBUS
                os.posix_fallocate(file.fileno(), 0, size)
            return np.memmap(file, dtype, "w+", shape=shape)
    except OSError as error:
        raise OutputError(
            f"{folder}: the spectrogram of {size / 1e9:.2f} GB does not fit ({error.strerror}): {remedy}"
        ) from None


class MemoryBudget:
    """Allocates the large arrays of one run, which together use no more memory than the budget.

    Examples
    --------
    >>> budget = MemoryBudget()
    >>> arrays = [budget.allocate((2, 3), budget=40) for _ in range(2)]
    >>> [type(array).__name__ for array in arrays]
    ['ndarray', 'memmap']
    """

    def __init__(self) -> None:
        self._in_memory: list[weakref.ref[NDArray[Any]]] = []

    def allocate(self, shape: tuple[int, ...], budget: int, dtype: Any = np.float32) -> NDArray[Any]:
        """Return an array as `allocate_array` does; arrays still referenced count against the budget."""
        in_use = [array for array in (reference() for reference in self._in_memory) if array is not None]
        allocated = allocate_array(shape, budget - sum(array.nbytes for array in in_use), dtype)
        if not isinstance(allocated, np.memmap):
            in_use.append(allocated)
        self._in_memory = [weakref.ref(array) for array in in_use]
        return allocated


def _physical() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return _FALLBACK


def _control_groups() -> list[int]:
    """Return the memory limits of the control groups (containers) that this process belongs to."""
    limits = []
    for path in (*_CONTROL_GROUPS, *_own_groups()):
        with contextlib.suppress(OSError, ValueError):
            limits.append(int(Path(path).read_text()))  # "max" stands for no limit and is not a number
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
