import hashlib
import io
import os
import tempfile

import numpy as np
import pytest
import soundfile
from conftest import sound

from nmfaudio.errors import AudioFileError
from nmfaudio.sound import files
from nmfaudio.sound.files import AudioFile, read
from nmfaudio.sound.source import Encoding


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_reading_loses_nothing(make_file, subtype):
    path = make_file(subtype=subtype, channels=2)
    expected, _ = soundfile.read(path, always_2d=True)
    audio = read(path)
    assert np.array_equal(audio.samples, expected.T)
    assert audio.encoding == Encoding("WAV", subtype)
    assert (audio.name, audio.sample_rate) == ("song", 8000)


@pytest.mark.parametrize("name", ["a.flac", "a.ogg", "a.mp3", "a.aiff", "a.w64", "a.caf", "a.au"])
def test_samples_do_not_depend_on_the_order_of_requests(make_file, monkeypatch, name):
    monkeypatch.setattr(files, "_CHUNK_VALUES", 1000)
    path = make_file(name, sound(3, 44100, 2), 44100, subtype=None)
    with AudioFile(path) as file:
        whole = file.read(0, file.length)
        for start, stop in (
            (0, 10),
            (5, 4000),
            (9000, 9100),
            (9050, 20000),
            (100, 300),
            (file.length, file.length),
        ):
            assert np.array_equal(file.read(start, stop), whole[:, start:stop])


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.mp3"])
def test_hashing_a_file_does_not_disturb_reading_it(make_file, name):
    path = make_file(name, sound(3, 44100, 2), 44100, subtype=None)
    with AudioFile(path) as file, AudioFile(path) as other:
        first = file.read(0, 20_000)
        assert file.sha256() == hashlib.sha256(path.read_bytes()).hexdigest()
        rest = file.read(20_000, file.length)
        assert np.array_equal(np.hstack([first, rest]), other.read(0, other.length))


def test_changing_returned_samples_does_not_change_the_source(make_file):
    with AudioFile(make_file()) as file:
        first = file.read(0, 100)
        kept = first.copy()
        first[:] = 9
        assert np.array_equal(file.read(0, 100), kept)


def test_the_content_determines_the_format_and_not_the_name(make_file, tmp_path):
    path = make_file("a.flac")
    renamed = tmp_path / "a.wav"
    path.rename(renamed)
    assert read(renamed).encoding.format == "FLAC"


def test_a_truncated_file_gives_what_is_there(make_file):
    path = make_file("a.wav", sound(1))
    path.write_bytes(path.read_bytes()[: 44 + 2 * 5000])
    with AudioFile(path) as file:
        assert file.length == 5000


def test_a_header_that_lies_allocates_nothing(make_file):
    path = make_file("a.wav", sound(0.1))
    content = bytearray(path.read_bytes())
    content[40:44] = (0xFFFFFF00).to_bytes(4, "little")
    path.write_bytes(content)
    assert read(path).length == 800


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("text.wav", b"this is not audio\n" * 50, "not readable as audio"),
        ("empty.flac", b"", "not readable as audio"),
        ("cut.wav", b"RIFF\x00\x00", "not readable as audio"),
        ("bytes.raw", b"\x00\x01" * 50, "not readable as audio"),
    ],
)
def test_files_without_audio_are_refused_and_named(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(AudioFileError, match=rf"{name}: {message}.*convert it"):
        read(tmp_path / name)


def test_missing_files_folders_and_pipes_are_refused_and_named(tmp_path):
    with pytest.raises(AudioFileError, match=r"none.wav: cannot be opened \(No such file"):
        read(tmp_path / "none.wav")
    with pytest.raises(AudioFileError, match="it is a folder"):
        read(tmp_path)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.wav")
        with pytest.raises(AudioFileError, match="not an ordinary file"):
            read(tmp_path / "pipe.wav")


def test_files_without_samples_are_refused(make_file):
    with pytest.raises(AudioFileError, match=r"song.wav: it contains no samples"):
        read(make_file(samples=np.zeros((1, 0))))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_samples_that_are_not_finite_are_refused_with_their_position(make_file, value):
    samples = sound(channels=2)
    samples[1, 4000] = value
    with pytest.raises(AudioFileError, match=r"song.wav: sample 4000 \(0.500 s\) of channel 2 is"):
        read(make_file(samples=samples, subtype="FLOAT"))


def test_file_objects_and_paths_of_any_kind_are_read(make_file):
    path = make_file("a.flac", sound(2, 44100, 2), 44100)
    expected = read(path).samples
    content = path.read_bytes()
    assert np.array_equal(read(str(path)).samples, expected)
    assert np.array_equal(read(os.fsencode(path)).samples, expected)
    in_memory = read(io.BytesIO(content))
    assert np.array_equal(in_memory.samples, expected)
    assert in_memory.name == "audio"
    with open(path, "rb") as file:
        from_file = read(file)
    assert np.array_equal(from_file.samples, expected)
    assert from_file.name == "a"
    with tempfile.SpooledTemporaryFile() as file:
        file.write(content)
        file.seek(0)
        assert np.array_equal(read(file).samples, expected)
    with AudioFile(io.BytesIO(content)) as file:
        assert np.array_equal(file.read(500, 900), expected[:, 500:900])
        assert file.sha256() == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (3, r"int: expected a path or a file"),
        (None, "NoneType: expected"),
        (np.zeros(5), r"ndarray: .*pass nmfaudio.Audio\(samples, sample_rate\)"),
        (io.StringIO("text"), "the StringIO object: it returns text .*'rb'"),
        (io.BytesIO(b"not audio" * 99), "the BytesIO object: not readable as audio"),
        (b"missing.wav", "missing.wav: cannot be opened"),
        ("a\0b", "cannot be opened"),
    ],
)
def test_arguments_of_other_types_are_refused_and_named(source, message):
    with pytest.raises(AudioFileError, match=message):
        read(source)


@pytest.mark.parametrize(
    ("name", "subtype"),
    [("a.wav", "PCM_24"), ("a.flac", None), ("a.aiff", None), ("a.w64", None), ("a.au", None)],
)
def test_a_far_passage_is_read_without_decoding_what_is_before(make_file, monkeypatch, name, subtype):
    monkeypatch.setattr(files, "_CHUNK_VALUES", 1000)
    path = make_file(name, sound(4, 44100, 2), 44100, subtype=subtype)
    with AudioFile(path) as file:
        whole = file.read(0, file.length)
        decoded, decode = [], AudioFile._decode
        monkeypatch.setattr(AudioFile, "_decode", lambda self, n: decoded.append(n) or decode(self, n))
        for start, stop in ((100_000, 100_700), (2_000, 2_100), (150_000, file.length), (99_999, 100_100)):
            decoded.clear()
            assert np.array_equal(file.read(start, stop), whole[:, start:stop])
            assert sum(decoded) <= stop - start
