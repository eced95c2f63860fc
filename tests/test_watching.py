"""A cluster that loses all its workers says so, and the run goes on when one arrives."""

import threading
import time
import warnings

import pytest
import soundfile
from conftest import sound

distributed = pytest.importorskip("distributed", reason="the extra cluster is not installed")

from dask_processes import THREADS  # noqa: E402

from nmfaudio.cluster import separation, watching  # noqa: E402
from nmfaudio.cluster.job import Job  # noqa: E402
from nmfaudio.cluster.task import Task  # noqa: E402
from nmfaudio.errors import NmfaudioWarning  # noqa: E402
from nmfaudio.pipeline.registry import make  # noqa: E402


@pytest.fixture
def cluster(monkeypatch):
    monkeypatch.setattr(watching, "SECONDS", 0.05)
    with (
        distributed.LocalCluster(**THREADS, n_workers=1) as workers,
        distributed.Client(workers, set_as_default=False) as client,
    ):
        yield workers, client


def test_a_run_without_workers_says_so_once_and_goes_on_when_one_arrives(cluster, tmp_path):
    workers, client = cluster
    path = tmp_path / "bell.wav"
    soundfile.write(path, sound(0.3).T, 8000)
    workers.scale(0)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", NmfaudioWarning)

        def add_a_worker():
            end = time.monotonic() + 20  # a run that says nothing must fail, and not wait for ever
            while not told and time.monotonic() < end:
                time.sleep(0.02)
            time.sleep(0.3)
            workers.scale(1)

        adding = threading.Thread(target=add_a_worker)
        adding.start()
        tasks = [Task(str(path), tmp_path / "out")]
        (outcome,) = separation.run_on_cluster(client, Job(make("harmonic-percussive")), tasks)
        adding.join()
    assert outcome["ok"]
    (warning,) = told
    assert "no worker is left: the run goes on when one arrives" in str(warning.message)


def test_workers_that_are_there_are_no_news(cluster):
    _, client = cluster
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with watching.watched(client):
            time.sleep(0.3)


def test_a_scheduler_that_was_lost_ends_the_watch(monkeypatch):
    monkeypatch.setattr(watching, "SECONDS", 0.01)

    class Lost:
        asked = 0

        def nthreads(self):
            self.asked += 1
            raise OSError("the connection is closed")

    client = Lost()
    with watching.watched(client):
        time.sleep(0.2)
    assert client.asked == 1
