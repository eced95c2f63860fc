"""What a manifest records of a run, and when stems count as finished."""

import pytest
from conftest import sound

from nmfaudio import learn, make, separate_file
from nmfaudio.pipeline.manifest import load
from nmfaudio.sound.files import AudioFile

FAST = {"sources": 2, "iterations": 10, "starts": 1}


@pytest.mark.parametrize("kind", ["file", "folder", "data"])
def test_a_manifest_knows_what_an_option_reads(make_file, tmp_path, kind):
    """What an option reads decides the stems; a text that names a file by chance does not."""
    for hit in ("kick", "snare"):
        make_file(f"hits/{hit}.wav", sound(0.2))
    song, hits = make_file("song.wav"), tmp_path / "hits"
    if kind == "folder":
        separator = make("drums", oneshots=str(hits), iterations=2)
    else:
        known = learn([hits / "kick.wav", hits / "snare.wav"], "hit", rank=2)
        path = known.save(tmp_path / "known.safetensors")
        separator = make("dictionary", dictionary=known if kind == "data" else str(path), iterations=2)
    first = separate_file(song, tmp_path / "out", separator, resume=True)
    assert not first.already_there
    assert separate_file(song, tmp_path / "out", separator, resume=True).already_there
    if kind == "folder":
        make_file("hits/snare.wav", sound(0.3))
    else:
        other = learn([hits / "snare.wav"], "hit", rank=2)
        other.save(path)
        separator = make("dictionary", dictionary=other if kind == "data" else str(path), iterations=2)
    assert not separate_file(song, tmp_path / "out", separator, resume=True).already_there


def test_a_recording_without_stems_is_hashed_once(make_file, tmp_path, monkeypatch):
    hashed, sha256 = [], AudioFile.sha256
    monkeypatch.setattr(AudioFile, "sha256", lambda file: hashed.append(file) or sha256(file))
    song = make_file("song.wav")
    separate_file(song, tmp_path / "out", "noise", resume=True)
    assert len(hashed) == 1
    assert separate_file(song, tmp_path / "out", "noise", resume=True).already_there
    assert len(hashed) == 2


def test_a_file_named_like_a_value_is_no_data_of_a_run(make_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "kl").write_text("a file by chance")
    written = separate_file(make_file(), tmp_path / "out", "blind", **FAST)
    assert load(written.manifest)["contents"] == {}
    (tmp_path / "kl").write_text("changed")
    assert separate_file(make_file(), tmp_path / "out", "blind", resume=True, **FAST).already_there


def test_a_manifest_names_the_package_of_its_separator(make_file, tmp_path):
    written = separate_file(make_file(), tmp_path / "out", "blind", **FAST)
    assert load(written.manifest)["package"].startswith("nmfaudio ")
