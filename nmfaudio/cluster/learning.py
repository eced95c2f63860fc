"""Learn a dictionary from a corpus on a Dask cluster."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from typing import Any

from nmfaudio.cluster.capacity import check_capacities, shard_bytes, words_of_death
from nmfaudio.cluster.connection import connected
from nmfaudio.cluster.remote import recording_at
from nmfaudio.cluster.sharing import check_sharing
from nmfaudio.cluster.watching import watched
from nmfaudio.dictionaries.corpus import FRAMES_OF_SHARD
from nmfaudio.dictionaries.dictionary import Dictionary
from nmfaudio.dictionaries.learning import WINDOW_SECONDS, learn
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
        When the cluster cannot be used or is lost, or a worker has too little memory or does not see the
        recordings.
    """
    with connected(address, any_version=any_version, silent=True) as client:
        from distributed import KilledWorker
        from distributed.comm import CommClosedError

        corpus = [recording_at(one) for one in recordings]
        needed = shard_bytes(
            next(iter(corpus), None), options.get("sample_rate"), options.get("window", WINDOW_SECONDS)
        )
        check_capacities(client, needed, f"a shard of {FRAMES_OF_SHARD} frames a thread")
        check_sharing(client, [os.fspath(one) for one in recordings])
        if prepare:
            prepare(client)
        try:
            with watched(client):
                return learn(corpus, label, client=client, **options)
        except KilledWorker as error:
            raise ClusterError(
                words_of_death(error, f"learned from a shard of {FRAMES_OF_SHARD} frames")
            ) from None
        except (CancelledError, CommClosedError):
            raise ClusterError(
                "the scheduler was lost: start it again, and run the same command: it continues"
            ) from None
