"""Versions that decide the bits of stems, compared between a client and its workers."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from typing import Any

from nmfaudio.errors import ClusterError

_PACKAGES = ("nmfaudio", "numba", "numpy")
Versions = dict[str, str]


def own_versions() -> Versions:
    """Return the versions of this process that decide the bits of its results."""
    return dict(_installed())


@cache
def _installed() -> Versions:
    """Return the versions; reading them takes some milliseconds, and every task asks for them."""
    return {name: version(name) for name in _PACKAGES}


def difference(expected: Versions, present: Versions) -> str:
    """Return what differs, in words; empty where nothing does.

    Examples
    --------
    >>> difference({"numpy": "2.1.0"}, {"numpy": "2.0.2"})
    'numpy 2.0.2 instead of 2.1.0'
    """
    return ", ".join(
        f"{name} {present.get(name, 'missing')} instead of {wanted}"
        for name, wanted in expected.items()
        if present.get(name) != wanted
    )


def check_workers(client: Any) -> None:
    """Compare the versions of all present workers with those of this process.

    Raises
    ------
    ClusterError
        When they differ; the message names the workers.
    """
    try:
        found: Mapping[str, Versions] = client.run(own_versions)
    except Exception as error:
        raise ClusterError(
            f"a worker cannot run nmfaudio ({type(error).__name__}: {error}): install nmfaudio there"
        ) from None
    expected = own_versions()
    faults = [
        f"the worker {address} has {fault}"
        for address, present in found.items()
        if (fault := difference(expected, present))
    ]
    if faults:
        raise ClusterError(f"{'; '.join(faults)}: install the same versions, or pass any_version=True")
