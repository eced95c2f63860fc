"""Encrypted connections, a command that is interrupted, and workers that die."""

import json
import shutil
import signal
import subprocess
import sys
import time

import pytest
import soundfile
from conftest import sound

distributed = pytest.importorskip("distributed", reason="the extra cluster is not installed")

import dask  # noqa: E402
from dask_processes import THREADS  # noqa: E402
from distributed.comm import CommClosedError  # noqa: E402
from distributed.scheduler import KilledWorker  # noqa: E402
from distributed.security import Security  # noqa: E402

from nmfaudio.cluster import learning, separation  # noqa: E402
from nmfaudio.cluster.connection import connected  # noqa: E402
from nmfaudio.cluster.job import Job  # noqa: E402
from nmfaudio.cluster.task import Task  # noqa: E402
from nmfaudio.errors import ClusterError  # noqa: E402
from nmfaudio.pipeline.registry import make  # noqa: E402

ROLES = ("scheduler", "worker", "client")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Files of a certificate for this machine, signed by itself, and of its key."""
    if not shutil.which("openssl"):
        pytest.skip("the program openssl is not installed")
    folder = tmp_path_factory.mktemp("certificate")
    paths = [str(folder / name) for name in ("cert.pem", "key.pem")]
    flags = ["-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
    subprocess.run(
        ["openssl", "req", *flags, "-out", paths[0], "-keyout", paths[1]], check=True, capture_output=True
    )
    return paths


def test_connections_follow_the_tls_settings_of_dask(certificate, tmp_path):
    cert, key = certificate
    roles = {f"{role}.{name}": path for role in ROLES for name, path in (("cert", cert), ("key", key))}
    settings = {f"distributed.comm.tls.{name}": path for name, path in {**roles, "ca-file": cert}.items()}
    soundfile.write(tmp_path / "a.wav", sound(0.3).T, 8000)
    task = Task(str(tmp_path / "a.wav"), tmp_path / "out")
    with (
        dask.config.set(settings),
        distributed.LocalCluster(
            **{**THREADS, "protocol": "tls://"}, n_workers=1, security=Security(require_encryption=True)
        ) as cluster,
    ):
        address = cluster.scheduler_address
        assert address.startswith("tls://")
        with connected(address) as client:
            assert client.security.get_connection_args("client")["ssl_context"] is not None
            (outcome,) = separation.run_on_cluster(client, Job(make("noise")), [task])
            assert outcome["ok"], outcome
            assert outcome["worker"].startswith("tls://")
        with (
            dask.config.set({"distributed.comm.timeouts.connect": "1s"}),
            pytest.raises(ClusterError, match="no scheduler of Dask answers"),
            connected(address.replace("tls://", "tcp://")),
        ):
            pass


def test_workers_that_are_started_here_keep_no_profiles():
    setting = "distributed.worker.profile.enabled"
    before = dask.config.get(setting)
    with connected("local:1") as client:
        assert list(client.run(dask.config.get, setting).values()) == [False]
    assert dask.config.get(setting) == before


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL], ids=lambda one: one.name)
def test_an_interrupted_command_leaves_whole_stems_and_goes_on(tmp_path, end):
    names = [f"{number}.wav" for number in range(24)]
    for name in names:
        soundfile.write(tmp_path / name, sound(0.3, seed=int(name[:-4])).T, 8000)
    with distributed.LocalCluster(**THREADS, n_workers=1) as cluster:
        command = [sys.executable, "-m", "nmfaudio", "separate", *names, "-o", "out", "--json"]
        flags = ["--separator", "noise", "--cluster", cluster.scheduler_address, "--resume"]
        options = {"cwd": tmp_path, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        with subprocess.Popen([*command, *flags], **options) as process:
            assert json.loads(process.stdout.readline())["ok"]
            process.send_signal(end)
            _, errors = process.communicate(timeout=60)
        assert process.returncode == (-end if end == signal.SIGKILL else 128 + end), errors
        assert "Traceback" not in errors
        assert forgotten(cluster)
        done = len(list(tmp_path.rglob("manifest.json")))
        assert 0 < done < len(names), "the scheduler works for a command that is gone"
        job = Job(make("noise"), {"resume": True})
        tasks = [Task(str(tmp_path / name), tmp_path / "out") for name in names]
        with connected(cluster.scheduler_address) as client:
            outcomes = list(separation.run_on_cluster(client, job, tasks))
        assert all(outcome["ok"] for outcome in outcomes)
        assert any(outcome["found"] for outcome in outcomes)
    assert not list(tmp_path.rglob(".nmfaudio-*"))


def forgotten(cluster):
    """Wait until the scheduler has no task any more; return whether that came about."""
    deadline = time.monotonic() + 30
    while cluster.scheduler.tasks and time.monotonic() < deadline:
        time.sleep(0.05)
    return not cluster.scheduler.tasks


class Threads:
    """Stands for a client: its workers have these threads."""

    def __init__(self, *counts):
        self.counts = counts

    def nthreads(self):
        if not self.counts:
            raise OSError("the scheduler is gone")
        return dict(enumerate(self.counts))


def test_large_clusters_have_work_for_every_thread():
    assert separation._most_in_flight(Threads(4000, 3000)) == 14000
    assert separation._most_in_flight(Threads(1, 1)) == separation.TASKS_IN_FLIGHT
    assert separation._most_in_flight(Threads()) == separation.TASKS_IN_FLIGHT


def test_a_connection_that_breaks_is_told_as_a_lost_scheduler(tmp_path, monkeypatch):
    def reset(*_, **__):
        raise distributed.comm.CommClosedError("Connection reset by peer")

    tasks = [Task(str(tmp_path / f"{number}.wav"), tmp_path / "out") for number in range(3)]
    with (
        distributed.LocalCluster(**THREADS, n_workers=1) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        outcomes = separation.run_on_cluster(client, Job(make("noise")), tasks)
        assert "cannot be opened" in next(outcomes)["error"]
        monkeypatch.setattr(client, "cancel", reset)
        outcomes.close()
        monkeypatch.setattr(client, "submit", reset)
        with pytest.raises(ClusterError, match="the scheduler was lost: start it again"):
            next(separation.run_on_cluster(client, Job(make("noise")), tasks))


class Ended:
    """Stands for a task that ended without an outcome, as Dask tells it."""

    def __init__(self, status, error):
        self.status, self.error = status, error

    def result(self):
        raise self.error


def _killed():
    worker = type("Worker", (), {"address": "tcp://127.0.0.1:1", "memory_limit": 0})()
    return KilledWorker("_separate-1", worker, 3)


LOSSES = [("cancelled", distributed.CancelledError("a")), ("finished", CommClosedError("closed"))]


@pytest.mark.parametrize(("status", "error"), LOSSES)
def test_a_scheduler_that_is_lost_while_an_outcome_is_fetched_is_told(status, error, tmp_path, monkeypatch):
    task = Task("a.wav", tmp_path / "out")
    with pytest.raises(ClusterError, match="the scheduler was lost: start it again"):
        separation._outcome(Ended(status, error), task, Job(make("noise")))
    assert not (tmp_path / "out").exists()

    def losing(*_, **__):
        raise error

    monkeypatch.setattr(learning, "learn", losing)
    with (
        distributed.LocalCluster(**THREADS, n_workers=1) as cluster,
        pytest.raises(ClusterError, match="the scheduler was lost: start it again"),
    ):
        learning.learn_on_cluster(cluster.scheduler_address, ["a.wav"], "bell")


def test_a_task_that_fails_is_the_fault_of_its_file(tmp_path):
    task = Task("a.wav", tmp_path / "out")
    outcome = separation._outcome(Ended("error", OSError("stale file handle")), task, Job(make("noise")))
    assert outcome["error"] == "its worker failed with OSError: stale file handle"


def test_files_and_corpora_whose_workers_die_are_told(tmp_path, monkeypatch):
    task = Task("a.wav", tmp_path / "out")
    outcome = separation._outcome(Ended("error", _killed()), task, Job(make("noise")))
    assert "4 workers died while they separated it, the last was tcp://127.0.0.1:1" in outcome["error"]
    assert "give workers more memory" in outcome["error"]
    assert json.loads((tmp_path / "out/a/failed.json").read_bytes())["file"] == "a.wav"

    def dying(*_, **__):
        raise _killed()

    monkeypatch.setattr(learning, "learn", dying)
    with (
        distributed.LocalCluster(**THREADS, n_workers=1) as cluster,
        pytest.raises(
            ClusterError, match="4 workers died while they learned from a shard of 4096 frames, the last"
        ),
    ):
        learning.learn_on_cluster(cluster.scheduler_address, ["a.wav"], "bell")
