"""Finished runs: kept components, regrouped stems, components as files."""

import json
import shutil

import numpy as np
import pytest
import soundfile

FEW = ("--separator", "blind", "--sources", "2", "--set", "components=5", "--set", "iterations=10", "-q")


@pytest.fixture
def run(nmfaudio, make_file, tmp_path):
    path = make_file()
    nmfaudio("separate", path, "--keep", *FEW, check=0)
    return tmp_path / "separated" / path.stem


def integers(path):
    return soundfile.read(path, dtype="int32", always_2d=True)[0].astype(np.int64)


def total(folder):
    return sum(integers(path) for path in sorted(folder.glob("*.wav")))


def test_new_stems_and_components_sum_to_the_recording_in_integers(nmfaudio, run, make_file):
    recording = integers(make_file())
    done = nmfaudio("regroup", run, "--group", "first=1", "--group", "second=2,3", "--json", check=0)
    stems = json.loads(done.stdout)["stems"]
    assert stems["first"]["components"] == [1]
    np.testing.assert_array_equal(total(run / "regrouped"), recording)
    nmfaudio("components", run, "-o", "parts", "-q", check=0)
    parts = sorted((run.parent.parent / "parts").glob("*.wav"))
    assert len(parts) == 5
    np.testing.assert_array_equal(total(parts[0].parent), recording)
    difference = integers(parts[0]) - integers(run / "regrouped" / "first.wav")
    assert np.abs(difference).max() <= 2 << 16  # both are rounded to 16 bits


def test_an_audio_file_is_separated_first(nmfaudio, make_file, tmp_path):
    path = make_file()
    nmfaudio("components", path, "-o", "parts", *FEW, check=0)
    np.testing.assert_array_equal(total(tmp_path / "parts"), integers(path))


def test_a_grouping_file_is_read_and_wrong_ones_are_refused(nmfaudio, run, tmp_path):
    good = {"format": "nmfaudio grouping", "version": 1, "groups": {"<b>\N{HEBREW LETTER ALEF}": [2]}}
    cases = {
        "ok": (good, None),
        "version": ({**good, "version": 9}, "newer than this nmfaudio"),
        "format": ({"groups": {}}, "not a grouping"),
        "numbers": ({**good, "groups": {"a": ["1"]}}, "is not a list of numbers"),
        "unknown": ({**good, "groups": {"a": [77]}}, "there is no component 77"),
    }
    for name, (document, message) in cases.items():
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(document))
        done = nmfaudio("regroup", run, path, "-o", tmp_path / name, "-q")
        assert done.returncode == (2 if name == "unknown" else 1 if message else 0), done.stderr
        assert (message or "") in done.stderr
        assert (tmp_path / name).exists() == (message is None)
    assert (tmp_path / "ok" / "<b>\N{HEBREW LETTER ALEF}.wav").exists()
    assert "cannot be read" in nmfaudio("regroup", run, "none.json", check=1).stderr
    assert "--group kick=1,4" in nmfaudio("regroup", run, check=2).stderr


def test_moved_runs_work_and_changed_ones_are_refused(nmfaudio, run, tmp_path):
    moved = tmp_path / "elsewhere"
    shutil.move(run, moved)
    group = ("--group", "a=1", "-q")
    nmfaudio("regroup", moved, *group, check=0)
    assert "exists: pass --overwrite" in nmfaudio("regroup", moved, *group, check=1).stderr
    (tmp_path / "empty").mkdir()
    assert "it has no manifest.json" in nmfaudio("regroup", "empty", *group, check=1).stderr
    assert f"such as {moved}" in nmfaudio("regroup", tmp_path, *group, check=1).stderr

    def refused(message):
        done = nmfaudio("regroup", moved, *group, "-o", "new", check=1)
        assert message in done.stderr
        assert not (tmp_path / "new").exists()

    components = moved / "components.safetensors"
    content = components.read_bytes()
    components.write_bytes(content[:-1] + b"\1")
    refused("components.safetensors: it has changed since the separation")
    components.unlink()
    refused("the components are lost: separate again with --keep")
    components.write_bytes(content)
    stem = next(path for path in moved.glob("*.wav"))
    sound = stem.read_bytes()
    stem.write_bytes(sound + b"more")
    refused("it was changed after the separation")
    stem.unlink()
    refused("a stem of the run is missing")


def test_a_run_without_components_says_how_to_keep_them(nmfaudio, make_file, tmp_path):
    path = make_file()
    nmfaudio("separate", path, *FEW, check=0)
    folder = tmp_path / "separated" / path.stem
    for command in (("regroup", folder, "--group", "a=1"), ("components", folder), ("plot", folder)):
        assert "separate again with --keep" in nmfaudio(*command, check=1).stderr
    again = nmfaudio("separate", path, "--resume", "--keep", *FEW, check=0)
    assert (folder / "components.safetensors").exists(), again.stderr
    nmfaudio("plot", folder, "--view", "stems", "-o", "stems.png", check=0)
    nmfaudio("separate", path, "--overwrite", *FEW, check=0)
    assert not (folder / "components.safetensors").exists()
