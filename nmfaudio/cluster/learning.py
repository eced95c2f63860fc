"""Learn a dictionary from a corpus on a Dask cluster."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from typing import Any

from nmfaudio.cluster.connection import connected
from nmfaudio.cluster.remote import recording_at
from nmfaudio.dictionaries.corpus import FRAMES_OF_SHARD
from nmfaudio.dictionaries.dictionary import Dictionary
from nmfaudio.dictionaries.learning import learn
from nmfaudio.errors import ClusterError


def learn_on_cluster(
    address: str,
    recordings: Sequence[str | os.PathLike[str]],
    label: str,
    *,
    any_version: bool = False,
    prepare: Callable[[Any], object] | None = None,
    **options: Any,
) -> Dictionary:
    """Learn a dictionary on the workers of a cluster.

    Parameters
    ----------
    address : str
        The cluster, as for `connected`.
    recordings : sequence of path-like
        Recordings of the source alone, or their URLs; workers must see them.
    label : str
        Name of the source.
    any_version : bool
        Whether workers with other versions of nmfaudio, numba or numpy may be used.
    prepare : callable, optional
        Function that takes the client before the work begins.
    **options
        Other keyword arguments of `learn`.

    Raises
    ------
    ClusterError
        When the cluster cannot be used or is lost.
    """
    with connected(address, any_version=any_version, silent=True) as client:
        from distributed import KilledWorker

        if prepare:
            prepare(client)
        try:
            return learn([recording_at(one) for one in recordings], label, client=client, **options)
        except KilledWorker as error:
            raise ClusterError(
                f"{error.allowed_failures + 1} workers died in the same work: perhaps there was "
                f"too little memory for a shard of {FRAMES_OF_SHARD} frames: give workers more memory, or "
                "one thread each"
            ) from None
        except CancelledError:
            raise ClusterError(
                "the scheduler was lost: start it again, and run the same command: it continues"
            ) from None
