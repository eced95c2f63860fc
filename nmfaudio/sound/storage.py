"""Room for a spectrogram: in memory within a budget, else in a temporary file."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from pathlib import Path

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


def room(shape: tuple[int, ...], budget: int) -> NDArray[np.float32]:
    """Return an array of float32 to fill: in memory where it fits into the budget, else in a temporary file.

    The file has no name, so that nothing is left of it however the process ends, and its place on the disk is
    taken at once.

    Parameters
    ----------
    shape : tuple of int
    budget : int
        Bytes.

    Raises
    ------
    OutputError
        When the disk has no room for it.

    Examples
    --------
    >>> type(room((2, 3), budget=100)).__name__, type(room((2, 3), budget=10)).__name__
    ('ndarray', 'memmap')
    """
    size = 4 * int(np.prod(shape))
    if size <= budget:
        return np.empty(shape, np.float32)
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
            return np.memmap(file, np.float32, "w+", shape=shape)
    except OSError as error:
        raise OutputError(
            f"{folder}: no room for the spectrogram of {size / 1e9:.2f} GB ({error.strerror}): {way_out}"
        ) from None


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
