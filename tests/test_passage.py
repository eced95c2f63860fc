"""Passages of files and of samples in memory."""

import numpy as np
import pytest
from conftest import sound
from test_metadata import BEXT, CUE, TIME_REFERENCE, wav

from nmfaudio import Audio, read
from nmfaudio.errors import AudioFileError
from nmfaudio.pipeline.fitting import fit
from nmfaudio.pipeline.registry import make
from nmfaudio.sound import files
from nmfaudio.sound.files import AudioFile
from nmfaudio.sound.passage import Passage, passage_in_seconds


@pytest.fixture
def path(tmp_path):
    (tmp_path / "a.wav").write_bytes(wav(sound(2, channels=2), (b"bext", BEXT), (b"cue ", CUE)))
    return tmp_path / "a.wav"


def test_a_passage_of_a_file_has_its_samples_its_peak_and_its_place_on_the_timeline(path):
    whole = read(path)
    with AudioFile(path) as file:
        passage = file.cut(3000, 7000)
        assert np.array_equal(passage.read(0, 4000), whole.samples[:, 3000:7000])
        assert np.array_equal(passage.read(10, 20), whole.samples[:, 3010:3020])
        assert passage.peak == np.abs(whole.samples[:, 3000:7000]).max()
        assert (passage.length, passage.channels, passage.sample_rate) == (4000, 2, 8000)
        assert passage.metadata.time_reference == TIME_REFERENCE + 3000
        assert passage.sha256() == file.sha256()
        assert (passage.path, passage.name, passage.encoding) == (path, "a", file.encoding)


def test_a_passage_in_memory_is_audio(path):
    whole = read(path)
    passage = whole.cut(3000, 7000)
    assert isinstance(passage, Audio)
    assert np.array_equal(passage.samples, whole.samples[:, 3000:7000])
    assert passage.metadata.time_reference == TIME_REFERENCE + 3000
    assert passage.name == "a"


def test_a_passage_is_separated_like_a_file_that_contains_only_it(path):
    separator = make("blind", sources=2, iterations=5, starts=1)
    with AudioFile(path) as file:
        fitted = fit(file.cut(3000, 12000), separator)
        stems = [
            np.concatenate(p, axis=1) for p in zip(*(s.values() for _, s in fitted.stems()), strict=True)
        ]
    expected = fit(read(path).cut(3000, 12000), separator)
    for stem, pieces in zip(stems, zip(*(s.values() for _, s in expected.stems()), strict=True), strict=True):
        assert np.array_equal(stem, np.concatenate(pieces, axis=1))


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [(0.5, 1.0, (4000, 8000)), (None, 0.25, (0, 2000)), (1.5, None, (12000, 16000)),
     (-0.5, None, (12000, 16000)), (0.5, -0.5, (4000, 12000)), (1, 99, (8000, 16000))],
)  # fmt: skip
def test_times_in_seconds(path, start, end, expected):
    passage = passage_in_seconds(read(path), start, end)
    assert (passage.start, passage.stop) == expected


def test_without_times_there_is_no_passage(path):
    audio = read(path)
    assert passage_in_seconds(audio) is audio


@pytest.mark.parametrize(
    ("start", "end"), [(1, 1), (1.5, 0.5), (2, None), (-5, 1), (3, 4), (float("nan"), 1)]
)
def test_passages_outside_the_recording_are_refused(path, start, end):
    with pytest.raises(AudioFileError, match=r"a: .*(must have samples|not a time)"):
        passage_in_seconds(read(path), start, end)


def test_bounds_are_checked(path):
    audio = read(path)
    for start, stop in ((-1, 5), (5, 5), (0, audio.length + 1)):
        with pytest.raises(AudioFileError, match="must have samples"):
            Passage(audio, start, stop)
        with pytest.raises(AudioFileError, match="must have samples"):
            audio.cut(start, stop)


def test_a_passage_far_inside_a_file_is_read_without_decoding_what_is_before(make_file, monkeypatch):
    monkeypatch.setattr(files, "_CHUNK_VALUES", 1000)
    with AudioFile(make_file(samples=sound(60))) as file:
        decoded, decode = [], AudioFile._decode
        monkeypatch.setattr(AudioFile, "_decode", lambda self, n: decoded.append(n) or decode(self, n))
        passage = file.cut(400_000, 404_000)
        passage.read(0, 4000)
        assert sum(decoded) <= 8000
