"""The benchmark of separation, on a case that the tests make."""

import json
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from conftest import ROOT

sys.path.insert(0, str(ROOT / "scripts"))

import benchmark_separation
import separation_cases

RATE = 8000


@pytest.fixture
def cases(tmp_path):
    """A folder with one case of two alternating tones, and a training recording of one of them."""
    time = np.arange(2 * RATE) / RATE
    stems = {
        "high": 0.3 * np.sin(2 * np.pi * 2000 * time) * (np.sin(6 * np.pi * time) > 0),
        "low": 0.4 * np.sin(2 * np.pi * 200 * time) * (np.sin(4 * np.pi * time) > 0),
    }
    folder = tmp_path / "cases" / "tones"
    for part, sounds in (("stems", stems), ("train", {"low": stems["low"]})):
        (folder / part).mkdir(parents=True)
        for name, sound in sounds.items():
            soundfile.write(folder / part / f"{name}.flac", sound, RATE)
    soundfile.write(folder / "mixture.flac", sum(stems.values()), RATE)
    return tmp_path / "cases"


def test_all_ways_are_scored_and_the_tables_are_written(cases, tmp_path):
    out = tmp_path / "benchmark"
    command = [sys.executable, str(ROOT / "scripts" / "benchmark_separation.py"), "--cases", str(cases)]
    completed = subprocess.run(
        [*command, "--ways", "blind", "scikit-learn", "oracle", "--out", str(out)],
        capture_output=True,
        text=True,
    )
    assert completed.returncode == 0, completed.stderr + completed.stdout
    runs = json.loads((out / "separation.json").read_text("utf-8"))["runs"]
    assert [run["way"] for run in runs] == ["blind", "scikit-learn, blind", "ideal ratio mask"]
    for run in runs:
        assert run["gains"]["sdr"] > 10
        assert run["seconds"] > 0
        assert run["peak_mb"] > 10
    assert "| tones |" in (out / "separation.md").read_text("utf-8")
    assert (out / "separation.png").read_bytes().startswith(b"\x89PNG")


def test_a_way_that_fails_is_reported(cases, tmp_path):
    (case,) = separation_cases.find_cases(cases)
    task = separation_cases.Task("broken", case, separation_cases.separate(case, "--separator", "no such"))
    outcome = benchmark_separation.run(task)
    assert "there is no separator 'no such'" in outcome.error
    assert f"- broken, tones : {outcome.error}" in benchmark_separation.summary([outcome])


def test_a_case_runs_the_ways_for_which_it_has_material(cases, tmp_path):
    (case,) = separation_cases.find_cases(cases)
    ways = {name for name, way in separation_cases.WAYS.items() if list(way(case, tmp_path))}
    two_stems = {"noise", "harmonic-percussive", "repeating", "voice"}
    assert ways == {"auto", "blind", *two_stems, "one-known", "hints", "scikit-learn", "oracle"}
    both = list(separation_cases.one_known(case, tmp_path))
    assert len(both) == 2  # with a fixed number of free templates, and with --rest
    for known in both:
        assert set(known.references) == {"low", "residual"}
        assert np.array_equal(known.references["residual"], case.truth["high"])


@pytest.mark.parametrize(
    ("microphones", "methods"), [(1, []), (2, ["fastmnmf2"]), (4, ["ilrma", "fastmnmf2"])]
)
def test_pyroomacoustics_runs_where_microphones_and_the_package_allow(monkeypatch, microphones, methods):
    three = tuple(separation_cases.Path(f"{k}.flac") for k in "abc")
    case = separation_cases.Case("room", separation_cases.Path("mixture.flac"), three)
    case.__dict__["sound"] = (np.zeros((microphones, 9)), RATE)
    for package in (object(), None):
        monkeypatch.setattr(separation_cases, "find_spec", lambda name, package=package: package)
        tasks = list(separation_cases.multichannel(case, ROOT))
        assert [task.command[2] for task in tasks] == (methods if package else [])
        assert all(task.command[-2:] == ["--stems", "3"] and not task.labelled for task in tasks)


def test_passages_for_hints_are_placed_before_the_mixture(cases, tmp_path):
    (case,) = separation_cases.find_cases(cases)
    (task,) = separation_cases.hints(case, tmp_path)
    assert task.skip == 2 * 3 * RATE
    joined, _ = soundfile.read(tmp_path / "tones.wav")
    assert np.allclose(joined[task.skip :], case.sound[0][0], atol=1e-6)
    assert {"high=0-3", "low=3-6"} <= set(task.command)


def test_the_loudest_passage_is_returned():
    stem = np.zeros((1, 100))
    stem[0, 60:70] = 1
    assert separation_cases.loudest(stem, 10).sum() == 10
    assert separation_cases.loudest(stem, 300).shape == (1, 300)


def test_without_a_folder_the_audio_samples_are_used():
    names = {case.name: case.names for case in separation_cases.find_cases(None)}
    assert names["drum_loop"] == ["hihat", "kick", "snare"]
