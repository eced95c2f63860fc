"""What `archive-status` counts in folders of stems, however the stems were made."""

import json

import pytest
from conftest import sound

from nmfaudio.cluster.archive import ArchiveStatus, record_place, status
from nmfaudio.errors import InputError

NOISE = ("--separator", "noise", "-o", "out")


@pytest.fixture
def recordings(make_file, tmp_path):
    for number in range(3):
        make_file(f"in/{number}.wav", sound(0.2, seed=number))
    (tmp_path / "in" / "bad.wav").write_bytes(b"no sound")
    return ["in/0.wav", "in/1.wav", "in/2.wav", "in/bad.wav"]


def test_a_run_in_several_processes_can_be_counted(nmfaudio, recordings):
    nmfaudio("separate", "in", *NOISE, "-j", "2", "-q", check=1)
    told = nmfaudio("archive-status", "out", check=1).stdout
    assert "3 done, 1 failed, 0 missing of 4 files" in told


def test_a_run_of_several_files_can_be_counted(nmfaudio, recordings, make_file, tmp_path):
    nmfaudio("separate", "in", *NOISE, "-q", check=1)
    told = nmfaudio("archive-status", "out", check=1).stdout.splitlines()
    assert told[0].startswith("failed: in/bad.wav: not readable as audio")
    assert told[1:] == ["3 done, 1 failed, 0 missing of 4 files"]
    refused = nmfaudio("separate", "in", *NOISE, "-q", check=1).stderr
    assert "0/manifest.json exists" in refused
    (tmp_path / "out" / "1" / "manifest.json").unlink()
    document = json.loads(nmfaudio("archive-status", "out", "--json", check=1).stdout)
    assert document["missing"] == ["in/1.wav"]
    assert list(document["failed"]) == ["in/bad.wav"]
    make_file("in/bad.wav", sound(0.2))
    nmfaudio("separate", "in", *NOISE, "-q", "--resume", check=0)
    assert "4 done, 0 failed, 0 missing of 4 files" in nmfaudio("archive-status", "out", check=0).stdout


def test_a_folder_without_a_list_is_described_by_its_manifests(nmfaudio, recordings, tmp_path):
    for name in recordings[:2]:
        nmfaudio("separate", name, *NOISE, "-q", check=0)
    assert not (tmp_path / "out" / "archive.json").exists()
    told = nmfaudio("archive-status", "out", check=0)
    assert told.stdout == "2 done, 0 failed, 0 missing of 2 files\n"
    assert "it has no list of files, so files that were not begun are not counted" in told.stderr
    (tmp_path / "out" / "odd.json").write_text("[1]")
    failure = {"file": "in/bad.wav", "error": "not readable"}
    (tmp_path / "out" / "failed.json").write_text(json.dumps(failure))
    done = tuple(str(tmp_path / name) for name in recordings[:2])
    expected = ArchiveStatus(done, {"in/bad.wav": "not readable"}, is_listed=False)
    assert status(tmp_path / "out") == expected


def test_what_is_no_folder_of_stems_is_told(recordings, tmp_path):
    with pytest.raises(
        InputError, match=r"in: it has no archive.json and no manifest: name a folder of stems"
    ):
        status(tmp_path / "in")


def test_the_standard_input_has_the_manifest_that_its_stems_have(tmp_path):
    assert record_place("-", tmp_path, {}) == tmp_path / "stdin" / "manifest.json"
