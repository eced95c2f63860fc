"""Files whose headers are incomplete, as recorders, streams and broadcasters leave them."""

import io
import struct

import numpy as np
import pytest
import soundfile
from conftest import sound

from nmfaudio.errors import AudioFileError
from nmfaudio.sound.files import AudioFile, read
from nmfaudio.sound.header_repair import RepairedFile, find_repair

RATE = 44100


def encoded(format, subtype="PCM_16", seconds=1.0):
    """A file as bytes, and its samples (channels, samples)."""
    content = io.BytesIO()
    soundfile.write(content, sound(seconds, RATE, 2).T, RATE, subtype=subtype, format=format)
    content.seek(0)
    return bytearray(content.getvalue()), soundfile.read(content, always_2d=True)[0].T


def with_zeros(content, *fields):
    """The bytes with some fields (offset, size) set to zero."""
    for offset, size in fields:
        content[offset : offset + size] = bytes(size)
    return bytes(content)


def crashed(format):
    content, samples = encoded(format)
    data = content.find(b"data")
    fields = {
        "WAV": [(4, 4), (data + 4, 4)],
        "WAVEX": [(4, 4), (data + 4, 4)],
        "RF64": [(20, 16)],
        "W64": [(16, 8), (data + 16, 8)],
        "CAF": [(data + 4, 8)],
        "AU": [(8, 4)],
        "AIFF": [],
    }[format]
    if format == "AIFF":
        fields = [(4, 4), (content.index(b"SSND") + 4, 4), (content.index(b"COMM") + 10, 4)]
    return with_zeros(content, *fields), samples


@pytest.mark.parametrize("format", ["WAV", "WAVEX", "RF64", "CAF"])
def test_a_recording_that_was_never_closed_is_read_with_a_warning_or_refused(tmp_path, format):
    content, samples = crashed(format)
    path = tmp_path / "crashed.wav"
    path.write_bytes(content)
    with AudioFile(path) as file:
        assert np.array_equal(file.read(0, file.length), samples)
        assert np.array_equal(file.read(100, 200), samples[:, 100:200])
        assert ["as after a crash of the recorder" in warning for warning in file.warnings] == [True]
        assert len(file.sha256()) == 64
    assert read(path).warnings
    with pytest.raises(AudioFileError, match=r"crashed.wav: its header declares no samples.*strict=False"):
        AudioFile(path, strict=True)


@pytest.mark.parametrize("format", ["AU", "W64", "AIFF"])
def test_headers_without_sizes_in_other_formats_are_read(tmp_path, format):
    content, samples = crashed(format)
    (tmp_path / "a").write_bytes(content)
    assert np.array_equal(read(tmp_path / "a").samples, samples)


def test_chunks_before_the_samples_of_an_unfinished_recording_are_used(tmp_path):
    content, samples = crashed("WAV")
    (tmp_path / "a.wav").write_bytes(content[:12] + b"junk\x03\0\0\0abc\0" + content[12:])
    assert np.array_equal(read(tmp_path / "a.wav").samples, samples)


@pytest.mark.parametrize("tail", [b"", b"LIST\x04\0\0\0INFO", b"odd \x03\0\0\0abc\0"])
def test_a_wav_file_that_is_really_empty_stays_empty(tmp_path, tail):
    content, _ = encoded("WAV", seconds=0)
    (tmp_path / "a.wav").write_bytes(content + tail)
    with pytest.raises(AudioFileError, match="it contains no samples"):
        read(tmp_path / "a.wav")


def test_bw64_is_read_without_a_warning(tmp_path):
    content, samples = encoded("RF64", "PCM_24")
    (tmp_path / "a.wav").write_bytes(b"BW64" + content[4:])
    with AudioFile(tmp_path / "a.wav", strict=True) as file:
        assert np.array_equal(file.read(0, file.length), samples)
        assert file.warnings == ()


def test_sizes_of_a_stream_are_no_damage(tmp_path):
    content, samples = encoded("WAV")
    content[4:8] = content[40:44] = b"\xff" * 4
    (tmp_path / "a.wav").write_bytes(content)
    with AudioFile(tmp_path / "a.wav", strict=True) as file:
        assert (file.length, file.warnings) == (samples.shape[1], ())


def test_a_caf_file_of_unknown_length_is_no_damage(tmp_path):
    content, samples = encoded("CAF")
    data = content.index(b"data")
    content[data + 4 : data + 12] = b"\xff" * 8
    (tmp_path / "a.caf").write_bytes(content)
    with AudioFile(tmp_path / "a.caf", strict=True) as file:
        assert np.array_equal(file.read(0, file.length), samples)


@pytest.mark.parametrize("length", [5000, 44100, 300_001])
def test_a_flac_stream_of_unknown_length_is_read_to_its_last_sample(tmp_path, length):
    samples = np.random.default_rng(0).integers(-9000, 9000, (length, 2)) / 2**15
    content = io.BytesIO()
    soundfile.write(content, samples, RATE, subtype="PCM_16", format="FLAC")
    streamed = bytearray(content.getvalue())
    streamed[21] &= 0xF0  # the lowest bits of the number of samples
    (tmp_path / "a.flac").write_bytes(with_zeros(streamed, (22, 4)))
    with AudioFile(tmp_path / "a.flac", strict=True) as file:
        assert np.array_equal(file.read(0, file.length), samples.T)
        assert (file.declared_length, file.warnings) == (length, ())


@pytest.mark.parametrize("declared", [0, 5 << 30 & 0xFFFFFFFF, 0xFFFFFFFF])
def test_wav_files_beyond_4_gb_have_all_their_samples(tmp_path, declared):
    path = tmp_path / "large.wav"
    size = struct.pack("<I", declared)
    form = struct.pack("<IHHIIHH", 16, 1, 2, 48000, 192000, 4, 16)
    with open(path, "wb") as file:
        file.write(b"RIFF" + size + b"WAVEfmt " + form + b"data" + size)
        file.truncate(44 + (5 << 30))  # without taking space on the disk
    with open(path, "rb") as stream:
        repair = find_repair(stream)
        with soundfile.SoundFile(RepairedFile(stream, repair)) as file:
            assert file.frames == (5 << 30) // 4
            file.seek(file.frames - 10)
            assert len(file.read()) == 10
