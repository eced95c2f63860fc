"""`nmfaudio report` and `nmfaudio separate --report`."""

import json
import re

import numpy as np
import pytest
import soundfile
from conftest import sound
from typer.testing import CliRunner

from nmfaudio import separate_file
from nmfaudio.cli.app import app

FEW = {"sources": 2, "components": 4, "iterations": 8}
FLAGS = [text for name, value in FEW.items() for text in ("--set", f"{name}={value}")]


def data_of(path):
    found = re.search(r'<script type="application/json" id="data">([^<]*)</script>', path.read_text("ascii"))
    return json.loads(found[1])


def call(*arguments, code=0):
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exit_code == code, done.output
    return done


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A folder with a recording, a run of it that kept its components, and one that did not."""
    folder = tmp_path_factory.mktemp("runs")
    soundfile.write(folder / "song.wav", sound(1).T, 8000)
    separate_file(folder / "song.wav", folder / "kept", "blind", keep=True, **FEW)
    separate_file(folder / "song.wav", folder / "bare", "blind", **FEW)
    return folder


@pytest.fixture
def run(kept, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return kept / "kept" / "song"


def test_a_run_has_a_report_with_scores_of_a_passage(run, tmp_path):
    done = call("report", run, "--overwrite")
    assert f"written to {run / 'report.html'}" in done.stdout
    data = data_of(run / "report.html")
    manifest = json.loads((run / "manifest.json").read_text())
    assert [stem["name"] for stem in data["stems"]] == list(manifest["stems"])
    assert data["isWhole"]
    assert data["run"]["input_sha256"] == manifest["input"]["sha256"]
    assert len(data["parts"]) == 4

    first = next(iter(manifest["stems"]))
    references = tmp_path / "references"
    references.mkdir()
    stem, rate = soundfile.read(run / manifest["stems"][first]["file"])
    noise = np.random.default_rng(0).standard_normal(stem.shape) * np.std(stem) / 10
    soundfile.write(references / f"{first}.wav", stem + noise, rate, subtype="FLOAT")
    options = ("--start", "0.25", "--end", "0.75", "--references", "references", "-o", "page.html")
    done = call("report", run / "manifest.json", *options)
    assert "the page plays 0.2 s to 0.8 s of" in done.stderr
    data = data_of(tmp_path / "page.html")
    assert (data["start"], data["end"], data["isWhole"]) == (0.25, 0.75, False)
    (row,) = data["scores"]["rows"]
    assert row["stem"] == first
    assert dict(zip(data["scores"]["measures"], row["values"], strict=True))["SI-SDR"] == pytest.approx(
        20, abs=1
    )


def test_wrong_runs_and_pages_are_refused_in_one_line(kept, run, tmp_path):
    call("report", run, "-q", "--overwrite")
    before = (run / "report.html").read_bytes()
    (tmp_path / "other").mkdir()
    cases = {
        ("report", run): "report.html exists: pass --overwrite",
        ("report", kept / "bare" / "song"): "did not keep its components: separate again with --keep",
        ("report", "none"): "none: cannot be read",
        ("report", run, "--references", "other", "-o", "p.html"): "no file has the name of a stem",
        ("report", run, "--start", "9", "-o", "p.html"): "must lie within",
        ("report", run, "-o", "missing/p.html"): "does not exist: create it first",
    }
    for command, message in cases.items():
        done = call(*command, code=1)
        assert message in done.stderr
        assert done.stderr.count("\n") == 1
    done = call("report", kept / "song.wav", code=2)
    assert "song.wav --report` separates this file" in done.stderr
    assert (run / "report.html").read_bytes() == before
    assert not (tmp_path / "p.html").exists()


def test_separate_writes_a_report(nmfaudio, make_file, tmp_path):
    make_file()
    done = nmfaudio("separate", "song.wav", "--separator", "blind", *FLAGS, "--report", "--json", check=0)
    assert json.loads(done.stdout)["report"] == "separated/song/report.html"
    page = data_of(tmp_path / "separated" / "song" / "report.html")
    assert page["regroupCommand"] == "nmfaudio regroup separated/song"
    assert page["separateCommand"].endswith("/song.wav")


@pytest.mark.parametrize(
    ("flags", "message"),
    [(("-o", "-", "--stem", "low1"), "--report needs a folder"), (("--only", "low1"), "leave out --only")],
    ids=["stdout", "only"],
)
def test_reports_that_cannot_be_are_refused_before_the_work(make_file, tmp_path, monkeypatch, flags, message):
    monkeypatch.chdir(tmp_path)
    done = call("separate", make_file(), "--report", *flags, code=2)
    assert message in done.stderr
    assert not (tmp_path / "separated").exists()
