"""Workers with too little memory are told before the work, and what is said when memory killed them."""

import pytest
import soundfile
from conftest import sound

distributed = pytest.importorskip("distributed", reason="the extra cluster is not installed")

import dask  # noqa: E402
from dask_processes import THREADS, DaskProcesses  # noqa: E402

from nmfaudio import separate_files  # noqa: E402
from nmfaudio.cluster import capacity, learning  # noqa: E402
from nmfaudio.cluster.capacity import PROCESS_BYTES, Capacity, check_capacities, check_memory  # noqa: E402
from nmfaudio.cluster.connection import connected  # noqa: E402
from nmfaudio.errors import ClusterError  # noqa: E402

# Workers that are threads of this process would wait because of the memory of the tests.
UNWATCHED = {f"distributed.worker.memory.{name}": False for name in ("target", "spill", "pause")}


# A task that needs 400 MB; workers know no function of the tests.
USE_MEMORY = "(lambda held: __import__('time').sleep(30))(b'x' * 400_000_000)"


class Workers:
    """Stands for a client: its workers have these memory limits, and two threads each."""

    def __init__(self, **limits):
        self.limits = limits

    def scheduler_info(self, n_workers):
        assert n_workers == -1, "all workers are meant"
        found = {name: {"memory_limit": limit, "nthreads": 2} for name, limit in self.limits.items()}
        return {"workers": found}


def test_workers_that_are_too_small_are_named_with_what_they_need():
    check_memory(Workers(), 0)
    check_memory(Workers(a=2 * PROCESS_BYTES, b=0, c=None), 0)
    with pytest.raises(
        ClusterError,
        match=r"2 of 3 workers have too little memory for a process of nmfaudio: the worker a with 2 threads "
        r"has a memory limit of 0\.10 GB, and needs about 0\.25 GB; the worker b .*larger --memory-limit",
    ):
        check_memory(Workers(a=100e6, b=200e6, c=2e9), 0)
    with pytest.raises(
        ClusterError, match=r"1 of 1 workers .* 1\.00 GB of large arrays a thread, .*--memory"
    ):
        check_memory(Workers(a=2e9), 1_000_000_000)
    with pytest.raises(ClusterError, match="5 of 5 workers .*; and 2 more"):
        check_capacities(Workers(**dict.fromkeys("abcde", 100e6)), 0, "this")


def test_the_part_of_the_limit_that_ends_a_worker_counts():
    worker = Capacity("a", int(1.05 * PROCESS_BYTES), 1)
    with dask.config.set({"distributed.worker.memory.terminate": 0.9}):
        assert worker.fault(0)
    with dask.config.set({"distributed.worker.memory.terminate": False}):
        assert not worker.fault(0)


def test_recordings_that_need_more_than_their_worker_has_are_not_begun(tmp_path):
    soundfile.write(tmp_path / "short.wav", sound(0.3).T, 8000)
    soundfile.write(tmp_path / "wide.wav", sound(4.0, channels=4).T, 96000)
    with (
        dask.config.set(UNWATCHED),
        distributed.LocalCluster(**THREADS, n_workers=1, memory_limit="330MB") as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        short, wide = separate_files(
            [tmp_path / "short.wav", tmp_path / "wide.wav"], tmp_path / "out", "noise", client=client
        )
    assert short["ok"], short
    assert "1 thread has a memory limit of 0.33 GB, and needs about" in wide["error"]
    assert "such recordings: start it with a larger --memory-limit" in wide["error"]


def test_workers_without_memory_for_a_shard_are_told_before_anything_is_read(tmp_path, monkeypatch):
    soundfile.write(tmp_path / "a.wav", sound(0.3).T, 96000)
    monkeypatch.setattr(learning, "learn", None)
    with (
        dask.config.set(UNWATCHED),
        distributed.LocalCluster(**THREADS, n_workers=1, memory_limit="300MB") as cluster,
        pytest.raises(ClusterError, match=r"1 of 1 workers .* for a shard of 4096 frames a thread"),
    ):
        learning.learn_on_cluster(cluster.scheduler_address, [tmp_path / "a.wav"], "bell")


def test_a_shard_needs_what_its_frequencies_take(tmp_path):
    soundfile.write(tmp_path / "a.wav", sound(0.3).T, 8000)
    small = capacity.shard_bytes(tmp_path / "a.wav", None, 0.093)
    assert 3.9 < capacity.shard_bytes(tmp_path / "a.wav", 44100, 0.093) / small < 4.1
    assert capacity.shard_bytes("s3://sounds/a.wav", None, 0.093) == capacity.shard_bytes(None, 48000, 0.093)


def test_a_worker_that_is_too_small_for_nmfaudio_ends_the_command_at_once(tmp_path, nmfaudio):
    soundfile.write(tmp_path / "a.wav", sound(0.3).T, 8000)
    cluster = DaskProcesses(tmp_path)
    try:
        cluster.start_worker("--memory-limit", "100MB")
        with distributed.Client(cluster.address, set_as_default=False) as client:
            client.wait_for_workers(1, timeout=60)
        told = nmfaudio("separate", "a.wav", "-o", "out", "--cluster", cluster.address, check=1).stderr
    finally:
        cluster.end()
    assert "1 of 1 workers have too little memory for a process of nmfaudio" in told
    assert not (tmp_path / "out").exists()


def test_a_worker_that_memory_ends_again_and_again_is_told(tmp_path):
    """Dask ends a process at 95 % of its limit; here, the first time is the last."""
    cluster = DaskProcesses(tmp_path, DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="0")
    try:
        cluster.start_worker("--memory-limit", "300MB")
        with connected(cluster.address) as client:
            lost = client.submit(eval, USE_MEMORY, pure=False)
            error = lost.exception(timeout=60)
    finally:
        cluster.end()
    told = capacity.words_of_death(error, "separated it")
    assert "1 workers died while they separated it, the last was tcp://127.0.0.1" in told
    assert "(memory limit 0.30 GB): perhaps there was too little memory: lower --memory" in told
