"""Pieces of long recordings on a cluster: the same stems as of the whole, and nothing left behind."""

import threading
import time

import numpy as np
import pytest
import soundfile
from conftest import sound

distributed = pytest.importorskip("distributed", reason="the extra cluster is not installed")

from dask_processes import THREADS, DaskProcesses  # noqa: E402

from nmfaudio import FunctionModel, make, separate_files  # noqa: E402
from nmfaudio.cluster import pieces  # noqa: E402
from nmfaudio.cluster.job import Job  # noqa: E402
from nmfaudio.cluster.separation import run_on_cluster  # noqa: E402
from nmfaudio.cluster.task import Task  # noqa: E402
from nmfaudio.errors import AudioFileError, OptionError  # noqa: E402
from nmfaudio.pipeline.fitting import fit  # noqa: E402
from nmfaudio.sound.files import AudioFile  # noqa: E402

RATE = 8000


@pytest.fixture(scope="module")
def client():
    """Two workers in this process."""
    with (
        distributed.LocalCluster(**THREADS, n_workers=2) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("long")
    soundfile.write(folder / "long.wav", sound(12.5, seed=1).T / 2 + 0.1, RATE)
    soundfile.write(folder / "plain.wav", sound(12.5, seed=2).T, RATE)
    return folder


def stems_in(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("*.wav")}


def test_stems_of_pieces_are_those_of_the_whole(client, folder, tmp_path):
    options = {"end": 12.0, "labels": "csv"}
    alone = Job(make("harmonic-percussive"), options).run(Task(str(folder / "long.wav"), tmp_path / "one"))
    (outcome,) = separate_files(
        [folder / "long.wav"],
        tmp_path / "out",
        "harmonic-percussive",
        client=client,
        piece_seconds=5,
        **options,
    )
    assert outcome["pieces"] == 3, outcome
    assert "separated in 3 pieces by several workers" in outcome["notes"]
    assert alone["ok"]
    assert stems_in(tmp_path / "out") == stems_in(tmp_path / "one")
    assert (tmp_path / "out/long/labels.csv").read_bytes() == (tmp_path / "one/long/labels.csv").read_bytes()
    assert not list(tmp_path.rglob(".nmfaudio-*"))


def test_what_cannot_be_cut_stays_whole(client, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(pieces, "LARGEST_MODEL", 10)
    (outcome,) = separate_files(
        [folder / "long.wav"], tmp_path / "out", "harmonic-percussive", client=client, piece_seconds=5
    )
    assert outcome["pieces"] == 0
    assert "not cut into pieces: its model holds what it found in every frame" in " ".join(outcome["notes"])
    with pytest.raises(OptionError, match=r"piece_seconds=0.5: pieces .* at least 1 s"):
        separate_files([folder / "long.wav"], tmp_path, "noise", client=client, piece_seconds=0.5)


def test_a_piece_that_fails_is_told_and_nothing_remains(client, folder, tmp_path, monkeypatch):
    def failing(self, block):
        if block.start > 300:
            raise ValueError("no idea")
        return {"all": block}

    monkeypatch.setattr(FunctionModel, "separate", failing)
    monkeypatch.setattr(pieces, "_why_whole", lambda fitted, recipe: "")
    (outcome,) = separate_files(
        [folder / "plain.wav"], tmp_path / "out", OneStem(), client=client, piece_seconds=5
    )
    assert not outcome["ok"]
    assert "no idea" in outcome["error"]
    assert [path.name for path in (tmp_path / "out").rglob("*") if path.is_file()] == ["failed.json"]


@pytest.mark.parametrize("victim", ["the worker that fitted", "another worker"])
def test_a_worker_may_die_while_pieces_are_made(tmp_path, victim):
    soundfile.write(tmp_path / "long.wav", sound(24.0, seed=3).T, RATE)
    job, task = Job(make("harmonic-percussive")), Task(str(tmp_path / "long.wav"), tmp_path / "out")
    assert job.run(Task(task.file, tmp_path / "one"))["ok"]
    patient = {"DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "300s"}  # a worker that compiles is not dead
    processes = DaskProcesses(tmp_path, **patient)
    try:
        workers = [processes.start_worker("--name", str(number)) for number in range(2)]
        with distributed.Client(processes.address, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=60)
            run = threading.Thread(
                target=lambda: outcomes.extend(run_on_cluster(client, job, [task], piece_seconds=1.5))
            )
            outcomes = []
            run.start()
            fitting, other = workers_of_pieces(client, tmp_path / "out")
            processes.kill(workers[fitting if victim == "the worker that fitted" else other])
            made = len(pieces_in(tmp_path / "out"))
            run.join(120)
            assert len(client.scheduler_info()["workers"]) == 1
    finally:
        processes.end()
    assert 0 < made < 16, "the test is to kill a worker between pieces"
    (outcome,) = outcomes
    assert (outcome["ok"], outcome["pieces"]) == (True, 16), outcome
    assert stems_in(tmp_path / "out") == stems_in(tmp_path / "one")
    assert not list(tmp_path.rglob(".nmfaudio-*"))


def workers_of_pieces(client, out):
    """Wait for pieces; return the number of the worker that fitted, and of the other."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and len(pieces_in(out)) < 3:
        time.sleep(0.01)
    names = {address: int(one["name"]) for address, one in client.scheduler_info()["workers"].items()}
    running = client.processing()
    (fitting,) = (names[a] for a, keys in running.items() if any(k.startswith("_separate") for k in keys))
    return fitting, 1 - fitting


def pieces_in(out):
    return [path for path in out.rglob(".nmfaudio-pieces-*/*") if path.name.isdigit()]


class OneStem:
    """A separator whose model is replaced by the test."""

    def fit(self, mixture):
        return FunctionModel(mixture.stft, ("all",), lambda block: {"all": block.magnitude})


def test_pieces_that_exist_are_used_again(client, folder, tmp_path):
    with AudioFile(folder / "long.wav") as file:
        fitted = fit(file, make("harmonic-percussive"))
        recipe, bounds = pieces.Recipe.of(fitted), pieces._pieces(fitted.mixture, 5)
        for number, (start, stop) in enumerate(bounds):
            pieces._make(recipe, start, stop, tmp_path / f"{number:05}")
        (tmp_path / "00001").unlink()
        before = (tmp_path / "00000").stat().st_mtime_ns
        client.submit(pieces._make_all, recipe, bounds, tmp_path, pure=False).result(timeout=60)
        assert (tmp_path / "00001").exists()
        assert (tmp_path / "00000").stat().st_mtime_ns == before


def test_a_passage_of_the_stems_has_the_bits_of_the_whole(folder):
    with AudioFile(folder / "long.wav") as file:
        fitted = fit(file, make("harmonic-percussive"))
        whole = joined(fitted.stems())
        seam = fitted.mixture.stft.first_sample(fitted.mixture.bounds[1][0])
        for cut in ((0, 30_000), (seam + 3, seam + 9), (71_234, 96_000)):
            assert np.array_equal(joined(fitted.stems(*cut)), whole[:, :, slice(*cut)])


def joined(stream):
    """Return the mixture and its stems, shape (stems + 1, channels, samples)."""
    return np.concatenate([np.stack([mixture, *stems.values()]) for mixture, stems in stream], axis=2)


def test_a_file_that_changed_is_not_opened_with_an_old_survey(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros(100), RATE)
    with AudioFile(path) as file:
        survey = file.survey
    with AudioFile(path, survey=survey) as file:
        assert (file.length, file.peak) == (100, 0.0)
    soundfile.write(path, np.zeros(200), RATE)
    with pytest.raises(AudioFileError, match="it changed while it was read"):
        AudioFile(path, survey=survey)
