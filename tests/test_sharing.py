"""Workers that do not see the folders of an archive, or cannot write into them, are told before the work."""

import os
from pathlib import Path

import pytest
import soundfile
from conftest import sound

distributed = pytest.importorskip("distributed", reason="the extra cluster is not installed")

from dask_processes import DaskProcesses  # noqa: E402

from nmfaudio.cluster.job import Job  # noqa: E402
from nmfaudio.cluster.separation import run_on_cluster  # noqa: E402
from nmfaudio.cluster.sharing import _nearest, check_tasks  # noqa: E402
from nmfaudio.cluster.task import Task  # noqa: E402
from nmfaudio.errors import ClusterError  # noqa: E402
from nmfaudio.pipeline.registry import make  # noqa: E402

# The working folder of whoever opens it: each worker sees another folder there.
OWN = "/proc/self/cwd"
SEPARATOR = ("--separator", "noise")

pytestmark = pytest.mark.skipif(not os.path.isdir(OWN), reason="the system has no /proc")


@pytest.fixture
def cluster(tmp_path):
    """Two workers: one in the folder of the test, where `in` lies, and one in another folder."""
    (tmp_path / "in").mkdir()
    (tmp_path / "elsewhere").mkdir()
    for number in range(3):
        soundfile.write(tmp_path / "in" / f"{number}.wav", sound(0.3, seed=number).T, 8000)
    processes = DaskProcesses(tmp_path)
    processes.start_worker()
    yield processes
    processes.end()


def wait_for(cluster, count):
    with distributed.Client(cluster.address, set_as_default=False) as client:
        client.wait_for_workers(count, timeout=60)


def test_a_worker_that_does_not_see_the_recordings_is_told_before_the_work(cluster, tmp_path, nmfaudio):
    cluster.start_worker(cwd=tmp_path / "elsewhere")
    wait_for(cluster, 2)
    flags = (*SEPARATOR, "-o", tmp_path / "out", "--cluster", cluster.address)
    told = nmfaudio("separate", f"{OWN}/in", *flags, check=1).stderr
    assert "1 of 2 workers do not share the folders: the worker tcp://127.0.0.1" in told
    assert f"does not see {OWN}/in: mount the folders there under the same paths" in told
    flags = ("--label", "bell", "--cluster", cluster.address)
    assert f"does not see {OWN}/in" in nmfaudio("learn", f"{OWN}/in", *flags, check=1).stderr
    assert not (tmp_path / "out").exists()


def test_a_worker_that_cannot_write_the_stems_is_told_before_the_work(cluster, tmp_path, nmfaudio):
    cluster.start_worker(cwd="/proc")  # nobody can make a file there
    wait_for(cluster, 2)
    flags = (*SEPARATOR, "-o", f"{OWN}/out", "--cluster", cluster.address)
    told = nmfaudio("separate", tmp_path / "in", *flags, check=1).stderr
    assert f"cannot write to {OWN}/out (" in told
    assert not (tmp_path / "out").exists()


def test_a_worker_that_comes_later_and_cannot_write_fails_its_files_alone(cluster, tmp_path):
    """The others are done, and a second run without that worker does the rest."""
    late = cluster.start_worker(cwd="/proc")
    wait_for(cluster, 2)
    tasks = [Task(f"{tmp_path}/in/{n}.wav", Path(OWN) / "out") for n in range(3)]
    with distributed.Client(cluster.address, set_as_default=False) as client:
        outcomes = list(run_on_cluster(client, Job(make("noise"), {"resume": True}), tasks))
        cluster.kill(late)
        again = list(run_on_cluster(client, Job(make("noise"), {"resume": True}), tasks))
    failed = [outcome for outcome in outcomes if not outcome["ok"]]
    assert failed
    assert all("/out" in one["error"] and "(on the worker tcp://" in one["error"] for one in failed)
    assert all(outcome["ok"] for outcome in again), again
    names = {path.name for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert names == {"noise.wav", "sound.wav", "manifest.json"}


def test_places_behind_urls_are_not_asked_for(tmp_path):
    class Nobody:
        def run(self, function, inputs, outputs, on_error):
            return {"one": function(inputs, outputs)}

    check_tasks(Nobody(), [Task("s3://a/b.wav", "s3://a/out"), Task("nowhere/b.wav", tmp_path / "out")])
    with pytest.raises(ClusterError, match="the worker one cannot write to /proc/out"):
        check_tasks(Nobody(), [Task("s3://a/b.wav", Path("/proc/out"))])


def test_the_nearest_folder_is_the_one_that_exists(tmp_path):
    assert _nearest(str(tmp_path / "a" / "b")) == str(tmp_path)
    assert _nearest("/") == "/"
