import stat

import numpy as np
import pytest
import soundfile
from conftest import integers

from nmfaudio.errors import OptionError, OutputError
from nmfaudio.sound.encoding import extension, stem_encoding
from nmfaudio.sound.source import Encoding
from nmfaudio.sound.stem_files import StemFiles
from nmfaudio.sound.stem_format import StemFormat


@pytest.mark.parametrize(
    ("source", "asked", "expected"),
    [
        (("WAV", "PCM_24"), {}, ("WAV", "PCM_24")),
        (("FLAC", "PCM_16"), {}, ("FLAC", "PCM_16")),
        (("MP3", "MPEG_LAYER_III"), {}, ("WAV", "FLOAT")),
        (("OGG", "VORBIS"), {}, ("WAV", "FLOAT")),
        (("WAV", "ULAW"), {}, ("WAV", "FLOAT")),
        (("NIST", "PCM_16"), {}, ("WAV", "PCM_16")),
        (("WAV", "FLOAT"), {"format": "flac"}, ("FLAC", "PCM_24")),
        (("WAV", "PCM_16"), {"format": "FLAC"}, ("FLAC", "PCM_16")),
        (("FLAC", "PCM_24"), {"format": "wav", "subtype": "float"}, ("WAV", "FLOAT")),
        (("FLAC", "PCM_24"), {"format": "mp3"}, ("MP3", "MPEG_LAYER_III")),
        (("FLAC", "PCM_24"), {"format": "opus"}, ("OGG", "OPUS")),
        (("WAV", "PCM_16"), {"format": "aif"}, ("AIFF", "PCM_16")),
    ],
)
def test_the_encoding_of_stems(source, asked, expected):
    found = stem_encoding(Encoding(*source), **asked)
    assert (found.format, found.subtype) == expected
    assert soundfile.check_format(*expected)
    assert extension(found)


@pytest.mark.parametrize(
    "asked", [{"format": "doc"}, {"subtype": "PCM_17"}, {"format": "flac", "subtype": "FLOAT"}]
)
def test_encodings_that_cannot_be_written_are_refused(asked):
    with pytest.raises(OptionError, match="use one of"):
        stem_encoding(Encoding("WAV", "PCM_16"), **asked)


def stem_files(folder, encoding=("WAV", "PCM_16"), **options):
    paths = {name: folder / f"{name}.wav" for name in ("a", "b")}
    return StemFiles(paths, StemFormat(8000, 1, 100, Encoding(*encoding)), **options)


def test_stems_appear_only_when_all_is_written(tmp_path):
    folder = tmp_path / "new" / "folder"
    mixture = np.full((1, 100), 0.5)
    with stem_files(folder) as stems:
        stems.write(mixture, {"a": mixture / 4, "b": mixture * 3 / 4})
        assert not any(p.name.endswith(".wav") for p in folder.iterdir())
        stems.commit()
    assert sorted(p.name for p in folder.iterdir()) == ["a.wav", "b.wav"]
    total = integers(folder / "a.wav", 16) + integers(folder / "b.wav", 16)
    assert (total == 1 << 14).all()


def test_a_failure_leaves_nothing_not_even_the_folders(tmp_path):
    def fail():
        with stem_files(tmp_path / "new" / "folder") as stems:
            stems.write(np.zeros((1, 10)), {"a": np.zeros((1, 10)), "b": np.zeros((1, 10))})
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_files_are_not_replaced_without_overwrite(tmp_path):
    (tmp_path / "b.wav").write_text("existing content")
    with pytest.raises(OutputError, match="b.wav exists: pass overwrite=True"):
        stem_files(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["b.wav"]
    with stem_files(tmp_path, overwrite=True) as stems:
        stems.commit()
    assert read_header(tmp_path / "b.wav") == b"RIFF"


def read_header(path):
    return path.read_bytes()[:4]


def test_a_folder_that_cannot_be_made_is_refused_by_name(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"file.*cannot be written"):
        stem_files(tmp_path / "file" / "folder")


def test_a_full_disk_is_an_error_and_leaves_nothing(tmp_path, monkeypatch):
    def full(*_, **__):
        raise soundfile.SoundFileRuntimeError("System error: no space left on device")

    stems = stem_files(tmp_path / "new")
    monkeypatch.setattr(soundfile.SoundFile, "write", full)
    with pytest.raises(OutputError, match=r"a.wav: cannot be written .*no space left"), stems:
        stems.write(np.zeros((1, 10)), {"a": np.zeros((1, 10)), "b": np.zeros((1, 10))})
    assert list(tmp_path.iterdir()) == []


def test_new_files_have_the_permissions_that_the_user_set(tmp_path):
    with stem_files(tmp_path) as stems:
        stems.commit()
    (tmp_path / "plain").write_text("")
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("a.wav", "plain")}
    assert len(modes) == 1


def test_samples_beyond_4_gib_make_an_rf64_file(tmp_path):
    form = StemFormat(48000, 2, 2**30, Encoding("WAV", "PCM_16"))
    with StemFiles({"a": tmp_path / "a.wav"}, form) as stems:
        stems.commit()
    assert read_header(tmp_path / "a.wav") in (b"RF64", b"RIFF")
    assert soundfile.info(tmp_path / "a.wav").format == "RF64"
