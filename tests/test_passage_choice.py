"""A passage of a recording is separated; its stems stand alone or in place."""

import numpy as np
import pytest
from conftest import integers, sound

from nmfaudio import read, separate, separate_file
from nmfaudio.errors import AudioFileError, OptionError
from nmfaudio.pipeline.manifest import load
from nmfaudio.pipeline.passage_choice import PassageChoice

FAST = {"sources": 2, "iterations": 10, "starts": 1}
RATE = 8000


@pytest.fixture
def song(make_file):
    return make_file("song.wav", sound(4), RATE)


@pytest.mark.parametrize(
    ("start", "end", "first", "last"),
    [(1, 2.5, 1, 2.5), (1, None, 1, 4), (None, 2, 0, 2), (-1.5, -0.5, 2.5, 3.5)],
)
def test_stems_of_a_passage_sum_to_it(song, tmp_path, start, end, first, last):
    written = separate_file(song, tmp_path / "out", "blind", start=start, end=end, **FAST)
    total = sum(integers(stem.path, 16) for stem in written.stems.values())
    inside = slice(round(first * RATE), round(last * RATE))
    assert np.array_equal(total, integers(song, 16)[:, inside])
    memory = separate(read(song), "blind", start=start, end=end, **FAST)
    np.testing.assert_allclose(sum(s.samples for s in memory.stems.values()), total / 2**15, atol=1e-9)


def test_stems_in_place_are_silent_outside(song, tmp_path):
    written = separate_file(song, tmp_path / "out", "blind", start=1, end=2, in_place=True, **FAST)
    total = sum(integers(stem.path, 16) for stem in written.stems.values())
    mixture = integers(song, 16)
    assert total.shape == mixture.shape
    assert np.array_equal(total[:, RATE : 2 * RATE], mixture[:, RATE : 2 * RATE])
    assert not total[:, :RATE].any()
    assert not total[:, 2 * RATE :].any()


def test_another_passage_is_another_run(song, tmp_path):
    first = separate_file(song, tmp_path / "out", "blind", start=1, end=2, resume=True, **FAST)
    assert load(first.manifest)["output"]["start"] == 1
    assert separate_file(song, tmp_path / "out", "blind", start=1, end=2, resume=True, **FAST).already_there
    assert not separate_file(song, tmp_path / "out", "blind", start=1, resume=True, **FAST).already_there


def test_the_command_line_takes_times(nmfaudio, song, tmp_path):
    times = ("--start", "0:01", "--end", "-1.5")
    nmfaudio("separate", song, "--separator", "harmonic-percussive", *times, "-o", "out", "-q", check=0)
    assert all(read(path).length == 1.5 * RATE for path in tmp_path.glob("out/song/*.wav"))
    manifest = tmp_path / "out" / "song" / "manifest.json"
    nmfaudio("separate", "--from-manifest", manifest, "-o", "again", "-q", check=0)
    assert (tmp_path / "again/song/harmonic.wav").read_bytes() == (
        tmp_path / "out/song/harmonic.wav"
    ).read_bytes()
    nmfaudio("advise", song, *times, "-q", check=0)
    nmfaudio("learn", song, "--label", "low", "--rank", "2", *times, "-q", check=0)
    nmfaudio("plot", song, *times, "-o", "out.png", "-q", check=0)


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        (["--start", "soon"], 2, "write seconds"),
        (["--start", "9"], 1, "song.wav"),
        (["--start", "3", "--end", "2"], 1, "song.wav"),
        (["--in-place"], 2, "needs a passage"),
    ],
)
def test_times_that_make_no_passage_are_refused(nmfaudio, song, tmp_path, flags, code, message):
    done = nmfaudio("separate", song, *flags, "-o", "out", check=code)
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_in_place_needs_a_passage(song, tmp_path):
    with pytest.raises(OptionError, match="needs a passage"):
        PassageChoice(in_place=True)
    with pytest.raises(AudioFileError):
        separate_file(song, tmp_path / "out", "blind", start=5, **FAST)
    assert not (tmp_path / "out").exists()
