"""A file for DJ software beside the stems."""

import numpy as np
import pytest
from conftest import sound

pytest.importorskip("av", reason="PyAV, which writes MP4 files, is not installed")

from nmfaudio.sound.stem_mp4 import read_stem_mp4


def test_a_stem_file_holds_mixture_and_stems(nmfaudio, make_file, tmp_path):
    song = make_file("song.wav", sound(2, channels=2), 44100)
    flags = ("--separator", "harmonic-percussive", "--stem-file", "-q")
    nmfaudio("separate", song, *flags, "-o", "out", check=0)
    mixture, stems = read_stem_mp4(tmp_path / "out" / "song" / "song.stem.mp4")
    assert list(stems)[:2] == ["harmonic", "percussive"]
    total = sum(stem.samples for stem in stems.values())
    np.testing.assert_allclose(total, mixture.samples, atol=2**-15)
    done = nmfaudio("separate", song, *flags, "-o", "out", "--filename", "{stem}2.{ext}", check=0)
    assert done.stderr == ""


def test_more_than_four_stems_are_refused_before_anything_is_written(nmfaudio, make_file, tmp_path):
    song = make_file("song.wav", sound(2), 8000)
    flags = ("--separator", "blind", "--iterations", "5", "--starts", "1", "--sources", "5")
    done = nmfaudio("separate", song, *flags, "--stem-file", "-o", "out", check=1)
    assert "4 stems at most, and there are 5" in done.stderr
    assert not list(tmp_path.glob("out/**/*.*"))
