"""Files that are broken in any way: read, or refused by name; no crash, no memory by a header's word."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import sound
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nmfaudio.errors import AudioFileError, InputError
from nmfaudio.pipeline.manifest import load
from nmfaudio.sound.files import AudioFile

REGRESSIONS = Path(__file__).parent / "regressions"
KINDS = [("WAV", "PCM_16"), ("WAV", "FLOAT"), ("FLAC", "PCM_16"), ("AIFF", "PCM_24"), ("OGG", "VORBIS")]
KINDS += [
    ("MP3", "MPEG_LAYER_III"),
    ("W64", "PCM_16"),
    ("CAF", "PCM_16"),
    ("RF64", "PCM_16"),
    ("AU", "PCM_16"),
]
SLOW = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


def encoded(format, subtype):
    content = io.BytesIO()
    soundfile.write(content, sound(0.2, 44100, 2).T, 44100, format=format, subtype=subtype)
    return content.getvalue()


SEEDS = {kind: encoded(*kind) for kind in KINDS}


def look(path):
    """Read a file whole and again from its middle: finite and the same. Return why not, or its name."""
    try:
        file = AudioFile(path)
    except AudioFileError as error:
        return str(error)
    with file:
        assert file.length > 0
        stop = min(file.length, 100_000)
        whole = file.read(0, stop)
        assert whole.shape == (file.channels, stop)
        assert np.isfinite(whole).all()
        assert np.array_equal(file.read(stop // 2, stop), whole[:, stop // 2 :])
    return str(path)


@SLOW
@given(kind=st.sampled_from(KINDS), data=st.data())
def test_headers_and_payloads_that_are_broken_anywhere(tmp_path_factory, kind, data):
    content = bytearray(SEEDS[kind])
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, 80) | st.integers(0, len(content) - 1))
        value = data.draw(st.binary(min_size=1, max_size=8))
        content[place : place + len(value)] = value
    cut = data.draw(st.none() | st.integers(1, len(content)))
    path = tmp_path_factory.getbasetemp() / "broken"
    path.write_bytes(content[:cut])
    assert str(path) in look(path)


@SLOW
@given(head=st.sampled_from([b"RIFF", b"fLaC", b"OggS", b"FORM", b"ID3", b""]), body=st.binary(max_size=400))
def test_bytes_that_are_no_file(tmp_path_factory, head, body):
    path = tmp_path_factory.getbasetemp() / "bytes"
    path.write_bytes(head + body)
    assert str(path) in look(path)


@SLOW
@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_what_is_given_as_a_manifest(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "manifest.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match="not a manifest"):
        load(path)


@pytest.mark.parametrize("path", sorted(REGRESSIONS.glob("*")), ids=lambda path: path.name)
def test_files_that_were_trouble_once(path):
    assert str(path) in look(path)


def test_a_mutation_of_every_kind_still_opens_when_it_is_whole(tmp_path):
    for kind, content in SEEDS.items():
        path = tmp_path / "-".join(kind)
        path.write_bytes(content)
        with AudioFile(path) as file:
            assert abs(file.length - 8820) < 2500  # lossy formats add some silence
