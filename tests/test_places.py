"""Recordings and stems behind URLs: in memory, and on an S3 server on this machine."""

import contextlib
import importlib.util
import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import soundfile
from conftest import sound
from typer.testing import CliRunner

fsspec = pytest.importorskip("fsspec", reason="the extra cluster is not installed")

from dask_processes import free_port  # noqa: E402

from nmfaudio import Dictionary, learn  # noqa: E402
from nmfaudio.cli.app import app  # noqa: E402
from nmfaudio.cli.batch import OutcomePrinter, run_files  # noqa: E402
from nmfaudio.cli.inputs import collect_tasks  # noqa: E402
from nmfaudio.cluster.archive import ArchiveStatus, shard_of, status  # noqa: E402
from nmfaudio.cluster.job import Job  # noqa: E402
from nmfaudio.cluster.places import files_below, is_url, place_of  # noqa: E402
from nmfaudio.cluster.remote import recording_at  # noqa: E402
from nmfaudio.cluster.task import Task  # noqa: E402
from nmfaudio.dictionaries.learning import Learner  # noqa: E402
from nmfaudio.errors import InputError, OptionError  # noqa: E402
from nmfaudio.pipeline.registry import make  # noqa: E402

HAS_SERVER = all(map(importlib.util.find_spec, ("moto", "s3fs")))
SEPARATOR = ("--separator", "harmonic-percussive")


@pytest.fixture
def memory():
    """The file system in memory of fsspec, with two recordings."""
    system = fsspec.filesystem("memory")
    system.store.clear()
    for name in ("a", "deep/b"):
        system.pipe_file(f"/in/{name}.wav", recording())
    system.pipe_file("/in/cover.jpg", b"no sound")
    yield system
    system.store.clear()


def recording(seed=0):
    buffer = io.BytesIO()
    soundfile.write(buffer, sound(0.3, seed=seed).T, 8000, format="WAV")
    return buffer.getvalue()


def separated(out, **options):
    tasks = collect_tasks(["memory://in"], None, place_of(out))
    return [Job(make("harmonic-percussive"), options).run(task) for task in tasks]


def test_what_is_a_url():
    assert [is_url(name) for name in ("s3://a/b", "C:\\a", "a/b", "-", "file:///a")] == [
        True,
        False,
        False,
        False,
        True,
    ]
    assert place_of("file:///a%20b") == Path("/a b")


def test_stems_behind_a_url_are_those_of_a_local_run(memory, tmp_path):
    outcomes = separated("memory://out")
    assert [outcome["ok"] for outcome in outcomes] == [True, True], outcomes
    assert outcomes[1]["manifest"] == "memory://out/deep/b/manifest.json"
    (tmp_path / "b.wav").write_bytes(recording())
    local = Job(make("harmonic-percussive")).run(Task(str(tmp_path / "b.wav"), tmp_path / "out"))
    for name, stem in local["stems"].items():
        assert memory.cat_file(f"/out/deep/b/{name}.wav") == Path(stem["path"]).read_bytes()
    document = json.loads(memory.cat_file("/out/deep/b/manifest.json"))
    assert document["input"]["file"] == "memory://in/deep/b.wav"


def test_runs_behind_a_url_are_resumed_or_refused(memory):
    separated("memory://out")
    assert all("manifest.json exists" in outcome["error"] for outcome in separated("memory://out"))
    assert all(outcome["found"] for outcome in separated("memory://out", resume=True))
    memory.pipe_file("/out/a/harmonic.wav", b"cut short")
    assert [outcome["found"] for outcome in separated("memory://out", resume=True)] == [False, True]
    memory.pipe_file("/in/a.wav", recording(seed=1))
    assert [outcome["found"] for outcome in separated("memory://out", resume=True)] == [False, True]


def test_stems_behind_a_url_appear_together_or_not_at_all(memory, monkeypatch):
    put, names = type(memory).put_file, []

    def failing(system, local, remote, **options):
        names.append(remote)
        if remote.endswith("manifest.json"):
            raise OSError("the store is full")
        put(system, local, remote, **options)

    monkeypatch.setattr(type(memory), "put_file", failing)
    assert all(
        "stems cannot be written there (the store is full)" in o["error"] for o in separated("memory://out")
    )
    assert [name.endswith("manifest.json") for name in names] == [False, False, True] * 2
    assert files_below("memory://out") == []


def test_what_cannot_be_read_behind_a_url_is_told(memory):
    job = Job(make("harmonic-percussive"))
    missing = job.run(Task("memory://in/nowhere.wav", "memory://out"))
    assert missing["error"] == "memory://in/nowhere.wav: cannot be opened (there is no such file)"
    unknown = job.run(Task("odd://in/a.wav", "memory://out"))
    assert "odd://in/a.wav: this kind of URL cannot be used" in unknown["error"]


def test_a_corpus_behind_urls_is_learned_from(memory, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(("a", "b")):
        (tmp_path / f"{name}.wav").write_bytes(recording(seed=number))
        memory.pipe_file(f"/corpus/{name}.wav", recording(seed=number))
    options = {"rank": 2, "iterations": 2, "whole_corpus": True}
    found = learn([recording_at(f"memory://corpus/{name}.wav") for name in ("a", "b")], "bell", **options)
    local = learn(["a.wav", "b.wav"], "bell", **options)
    assert (found.templates == local.templates).all()
    assert [clip.name for clip in found.clips] == ["a.wav", "b.wav"]
    one = Learner("bell", rank=2).partial_fit(recording_at("memory://corpus/a.wav")).dictionary()
    assert (one.templates == Learner("bell", rank=2).partial_fit("a.wav").dictionary().templates).all()
    with pytest.raises(InputError, match="memory://corpus/c.wav: cannot be opened"):
        learn(recording_at("memory://corpus/c.wav"), "bell", **options)


def test_the_command_learns_from_urls(memory, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for flags in (["--whole-corpus"], []):
        command = [
            "learn",
            "memory://in/a.wav",
            "--label",
            "bell",
            "--rank",
            "2",
            "--overwrite",
            "-q",
            *flags,
        ]
        assert CliRunner().invoke(app, command).exit_code == 0
        assert Dictionary.load("bell.safetensors").clips[0].name == "a.wav"


def test_parts_of_an_array_of_jobs_make_the_whole(memory, tmp_path, make_file):
    names = [str(make_file(f"in/{number}.wav", sound(0.2))) for number in (3, 1, 2, 5, 4)]
    tasks = collect_tasks(names, None, tmp_path / "out")
    parts = [shard_of(tasks, f"{k}/2") for k in (1, 2)]
    assert [[Path(task.file).stem for task in part] for part in parts] == [["1", "3", "5"], ["2", "4"]]
    for wrong in ("0/2", "3/2", "2", "a/b", "1/0", "-1/2"):
        with pytest.raises(OptionError, match="write it like 3/20"):
            shard_of(tasks, wrong)
    job, out = Job(make("noise"), {"filename": "{track}/{stem}.{ext}"}), tmp_path / "out"
    with pytest.raises(InputError, match="it has no archive.json"):
        status(out)
    assert run_files(job, tasks, OutcomePrinter(quiet=True), shard="2/2", archive=out)
    assert status(out) == ArchiveStatus((names[2], names[4]), {}, (names[0], names[1], names[3]))
    Path(names[0]).write_bytes(b"no sound")
    assert not run_files(job, tasks, OutcomePrinter(quiet=True), shard="1/2", archive=out)
    assert list(status(out).failed) == [names[0]]
    assert len(status(out).done) == 4


@pytest.fixture(scope="module")
def bucket():
    """The URL of a bucket on an S3 server on this machine."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    settings = {
        "FSSPEC_S3_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    environment = {**os.environ, **settings}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            make_bucket = "import s3fs; s3fs.S3FileSystem().mkdir('sounds')"
            for _ in range(60):
                done = subprocess.run(
                    [sys.executable, "-c", make_bucket], env=environment, capture_output=True
                )
                if done.returncode == 0:
                    break
                time.sleep(0.2)
            assert done.returncode == 0, done.stderr.decode()[-500:]
            yield "s3://sounds", environment
        finally:
            server.kill()


@pytest.mark.skipif(not HAS_SERVER, reason="the extra stores (an S3 server and its client) is not installed")
def test_an_archive_on_s3_is_separated_and_resumed(bucket, tmp_path, nmfaudio):
    url, environment = bucket
    (tmp_path / "a.wav").write_bytes(recording())
    put = f"import s3fs; s3fs.S3FileSystem().put_file('a.wav', '{url}/in/deep/a.wav')"
    subprocess.run([sys.executable, "-c", put], env=environment, cwd=tmp_path, check=True)
    flags = (f"{url}/in", "-o", f"{url}/out", *SEPARATOR, "--json", "--resume", "--shard", "1/1")
    first = json.loads(nmfaudio("separate", *flags, env=environment, check=0).stdout)
    again = json.loads(nmfaudio("separate", *flags, env=environment, check=0).stdout)
    assert (first["found"], again["found"]) == (False, True)
    told = nmfaudio("archive-status", f"{url}/out", env=environment, check=0).stdout
    assert "1 done, 0 failed, 0 missing of 1 files" in told


def test_without_the_extra_the_commands_name_it(tmp_path, make_file, nmfaudio):
    for name in ("distributed", "fsspec"):
        (tmp_path / "hidden").mkdir(exist_ok=True)
        (tmp_path / "hidden" / f"{name}.py").write_text("raise ImportError('hidden')\n")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "hidden")}
    path = make_file()
    for flags in ((path, "--cluster", "local:2"), ("s3://sounds/a.wav",)):
        told = nmfaudio("separate", *flags, "-o", "out", env=environment, check=1).stderr
        assert "pip install 'nmfaudio[cluster]'" in told
    told = nmfaudio("learn", path, "--label", "x", "--cluster", "local:2", env=environment, check=1).stderr
    assert "pip install 'nmfaudio[cluster]'" in told
    with contextlib.suppress(FileNotFoundError):
        assert not list((tmp_path / "out").iterdir())
