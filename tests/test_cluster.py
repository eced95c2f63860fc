"""Separation on Dask: the same samples as on one machine, whatever dies; real schedulers and workers."""

import json
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
import soundfile
from conftest import sound

distributed = pytest.importorskip("distributed", reason="the extra cluster is not installed")

from dask_processes import CutNetwork, DaskProcesses, free_port, why_no_namespace  # noqa: E402

from nmfaudio import learn, separate_files  # noqa: E402
from nmfaudio.cluster.job import Job  # noqa: E402
from nmfaudio.cluster.task import Task  # noqa: E402
from nmfaudio.cluster.versions import check_workers, own_versions  # noqa: E402
from nmfaudio.errors import ClusterError  # noqa: E402
from nmfaudio.pipeline.registry import make  # noqa: E402

FILES = 120
SEPARATOR = ("--separator", "harmonic-percussive")


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """A folder of short files, and their stems as one process makes them."""
    folder = tmp_path_factory.mktemp("archive")
    (folder / "in").mkdir()
    job, stems = Job(make("harmonic-percussive")), {}
    for number in range(FILES):
        path = folder / "in" / f"{number:03}.wav"
        soundfile.write(path, sound(0.3, seed=number).T, 8000)
        assert job.run(Task(str(path), folder / "one"))["ok"]
        stems |= stems_in(folder / "one" / f"{number:03}")
    return folder, stems


def stems_in(folder):
    return {f"{path.parent.name}/{path.name}": path.read_bytes() for path in folder.rglob("*.wav")}


@pytest.fixture
def cluster(tmp_path):
    processes = DaskProcesses(tmp_path)
    yield processes
    processes.end()


class Run:
    """`nmfaudio separate` on a cluster; its outcomes are read while it works."""

    def __init__(self, folder, address, out, *flags):
        command = [sys.executable, "-m", "nmfaudio", "separate", "in", "-o", out, *SEPARATOR, "--json"]
        self.process = subprocess.Popen(
            [*command, "--cluster", address, *flags],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "10s"},
        )
        self.outcomes = []

    def read(self, count):
        for _ in range(count):
            line = self.process.stdout.readline()
            assert line, self.process.stderr.read()
            self.outcomes.append(json.loads(line))

    def finish(self, code):
        told, errors = self.process.communicate(timeout=120)
        self.outcomes += [json.loads(line) for line in told.splitlines()]
        assert self.process.returncode == code, errors
        assert "Traceback" not in errors
        return errors


def test_stems_are_the_same_when_a_worker_is_killed(archive, cluster, tmp_path):
    folder, expected = archive
    cluster.start_worker()
    doomed = cluster.start_worker()
    run = Run(folder, cluster.address, str(tmp_path / "out"))
    run.read(FILES // 4)
    used = {outcome["worker"] for outcome in run.outcomes}
    cluster.kill(doomed)
    errors = run.finish(0)
    assert len(used) == 2, "the test is to kill a worker that works"
    assert sorted(o["file"] for o in run.outcomes) == [f"in/{n:03}.wav" for n in range(FILES)]
    assert stems_in(tmp_path / "out") == expected
    assert f"{FILES} of {FILES} files separated" in errors
    assert "the slowest files" in errors


def test_a_run_goes_on_after_the_scheduler_was_killed(archive, cluster, tmp_path):
    folder, expected = archive
    workers = [cluster.start_worker(), cluster.start_worker()]
    run = Run(folder, cluster.address, str(tmp_path / "out"))
    run.read(FILES // 4)
    cluster.kill(cluster.scheduler)
    errors = run.finish(1)
    assert "the scheduler was lost: start it again, and run the same command with --resume" in errors
    for worker in workers:
        cluster.kill(worker)
    cluster.start_scheduler()
    cluster.start_worker()
    again = Run(folder, cluster.address, str(tmp_path / "out"), "--resume")
    again.finish(0)
    assert sum(outcome["found"] for outcome in again.outcomes) >= FILES // 4
    assert stems_in(tmp_path / "out") == expected
    assert not list((tmp_path / "out").rglob(".nmfaudio-*"))


@pytest.mark.skipif(bool(why_no_namespace()), reason=why_no_namespace() or "namespaces can be made")
def test_stems_are_the_same_when_a_worker_is_cut_off(archive, tmp_path):
    folder, expected = archive
    network = CutNetwork()
    cluster = DaskProcesses(tmp_path, host=CutNetwork.OUTER)
    try:
        cluster.start_worker()
        cluster.start_worker(host=CutNetwork.INNER, prefix=network.prefix)
        run = Run(folder, cluster.address, str(tmp_path / "out"))
        run.read(FILES // 4)
        used = {outcome["worker"] for outcome in run.outcomes}
        network.cut()
        run.finish(0)
        assert len(used) == 2, "the test is to cut off a worker that works"
        assert stems_in(tmp_path / "out") == expected
    finally:
        cluster.end()
        network.end()


def test_faults_of_files_are_told_and_the_others_are_done(archive, cluster, tmp_path, nmfaudio):
    folder, _ = archive
    cluster.start_worker()
    (tmp_path / "bad.wav").write_bytes(b"no sound")
    names = [folder / "in" / "000.wav", "bad.wav", "nowhere.wav"]
    flags = (*SEPARATOR, "-o", "out", "--cluster", cluster.address)
    done = nmfaudio("separate", *names, *flags, "--json", check=1)
    outcomes = {o["file"]: o for o in map(json.loads, done.stdout.splitlines())}
    assert [outcomes[str(name)]["ok"] for name in names] == [True, False, False]
    assert "(on the worker tcp://127.0.0.1" in outcomes["nowhere.wav"]["error"]
    told = nmfaudio("archive-status", "out", check=1).stdout
    assert "1 done, 2 failed, 0 missing of 3 files" in told
    assert "failed: bad.wav" in told
    again = nmfaudio("separate", *names, *flags, check=1)
    assert "000/manifest.json exists: pass --overwrite" in again.stderr
    soundfile.write(tmp_path / "bad.wav", sound(0.3).T, 8000)
    soundfile.write(tmp_path / "nowhere.wav", sound(0.3).T, 8000)
    nmfaudio("separate", *names, *flags, "--resume", "-q", check=0)
    assert "3 done, 0 failed, 0 missing" in nmfaudio("archive-status", "out", check=0).stdout


def test_what_is_no_cluster_is_told_and_nothing_is_written(archive, tmp_path, nmfaudio, monkeypatch):
    folder, _ = archive
    monkeypatch.setenv("DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT", "1s")
    name, flags = folder / "in" / "000.wav", (*SEPARATOR, "-o", "out", "--cluster")
    address = f"tcp://127.0.0.1:{free_port()}"
    assert (
        f"{address}: no scheduler of Dask answers"
        in nmfaudio("separate", name, *flags, address, check=1).stderr
    )
    (tmp_path / "odd.json").write_text("[]")
    assert "it is no scheduler file" in nmfaudio("separate", name, *flags, "odd.json", check=2).stderr
    assert "it is no address" in nmfaudio("separate", name, *flags, "nowhere", check=2).stderr
    both = nmfaudio("separate", name, *flags, address, "-j", "2", check=2)
    assert "give one of them" in both.stderr
    alone = DaskProcesses(tmp_path)
    try:
        told = nmfaudio("separate", name, *flags, alone.address, check=1).stderr
    finally:
        alone.end()
    assert "no worker took work within 1 seconds: start workers (dask worker)" in told
    assert not (tmp_path / "out").exists()


def test_templates_are_the_same_for_any_number_of_workers_and_after_a_death(archive, cluster):
    folder, _ = archive
    clips = [folder / "in" / f"{number:03}.wav" for number in range(40)]
    options = {"rank": 3, "iterations": 3}
    expected = learn(clips, "bell", **options, whole_corpus=True).templates
    doomed, deaths = cluster.start_worker(), []

    def kill_in_the_next_epoch(progress):
        if progress.done == 1:
            deaths.append(threading.Timer(0.02, cluster.kill, [doomed]))
            deaths[0].start()

    with distributed.Client(cluster.address, set_as_default=False) as client:
        client.wait_for_workers(1, timeout=60)
        assert np.array_equal(learn(clips, "bell", **options, client=client).templates, expected)
        for _ in range(2):
            cluster.start_worker()
        client.wait_for_workers(3, timeout=60)
        assert np.array_equal(learn(clips, "bell", **options, client=client).templates, expected)
        found = learn(clips, "bell", **options, client=client, report=kill_in_the_next_epoch).templates
        assert len(client.scheduler_info()["workers"]) == 2, "the test is to kill a worker"
    assert np.array_equal(found, expected)


def test_python_uses_the_client_that_is_open(archive, cluster, tmp_path):
    folder, expected = archive
    paths = [folder / "in" / f"{number:03}.wav" for number in (1, 0)]
    cluster.start_worker()
    with distributed.Client(cluster.address) as client:
        outcomes = separate_files(paths, tmp_path / "out", "harmonic-percussive")
        workers = list(client.scheduler_info()["workers"])
    assert [outcome["worker"] for outcome in outcomes] == workers * 2
    assert [outcome["file"] for outcome in outcomes] == list(map(str, paths))
    found = stems_in(tmp_path / "out")
    assert found == {name: expected[name] for name in found}
    assert len(found) == 4


class Workers:
    """Stands for a client: its workers have these versions."""

    def __init__(self, **found):
        self.found = found

    def run(self, function):
        assert function is own_versions
        return self.found


def test_workers_with_other_versions_are_named():
    check_workers(Workers(one=own_versions()))
    with pytest.raises(ClusterError, match=r"worker two has numba 0.1 instead of .*any_version=True"):
        check_workers(Workers(one=own_versions(), two={**own_versions(), "numba": "0.1"}))


def test_a_worker_with_another_numba_is_refused_or_allowed(cluster, archive, tmp_path, nmfaudio):
    folder, expected = archive
    (tmp_path / "older" / "numba-0.1.dist-info").mkdir(parents=True)
    metadata = "Metadata-Version: 2.1\nName: numba\nVersion: 0.1\n"
    (tmp_path / "older" / "numba-0.1.dist-info" / "METADATA").write_text(metadata)
    cluster.start_worker(PYTHONPATH=str(tmp_path / "older"))
    name, flags = folder / "in" / "000.wav", (*SEPARATOR, "-o", "out", "-q", "--cluster", cluster.address)
    told = nmfaudio("separate", name, *flags, check=1).stderr
    assert "has numba 0.1 instead of" in told
    assert "install the same versions, or pass --any-version" in told
    assert not (tmp_path / "out").exists()
    nmfaudio("separate", name, *flags, "--any-version", check=0)
    found = stems_in(tmp_path / "out")
    assert found == {name: expected[name] for name in found}
    assert len(found) == 2


def test_a_worker_that_arrives_with_other_versions_does_no_work(cluster, archive, tmp_path, monkeypatch):
    from nmfaudio.cluster import separation

    folder, _ = archive
    cluster.start_worker()
    monkeypatch.setattr(separation, "own_versions", lambda: {**own_versions(), "numpy": "1.0"})
    task = Task(str(folder / "in" / "000.wav"), tmp_path / "out")
    with distributed.Client(cluster.address, set_as_default=False) as client:
        (outcome,) = separation.run_on_cluster(client, Job(make("noise")), [task])
    assert not outcome["ok"]
    assert "its worker has numpy" in outcome["error"]
    assert np.all([not path.name.endswith(".wav") for path in (tmp_path / "out").rglob("*")])
