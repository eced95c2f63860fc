"""What headers say of the spectrograms of a recording."""

import numpy as np
import soundfile

from nmfaudio import STFT, Audio
from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.header import read_header


def test_values_are_about_those_of_the_blocks(tmp_path):
    for rate, seconds, channels in ((8000, 2, 1), (44100, 12, 2), (96000, 6, 4)):
        samples = np.zeros((channels, rate * seconds))
        soundfile.write(tmp_path / "a.wav", samples.T, rate)
        header = read_header(tmp_path / "a.wav")
        mixture = Blocks(Audio(samples, rate), STFT(2048))
        largest = max(stop - start for start, stop in mixture.bounds)
        for found, frames in ((header.block_values, largest), (header.values, mixture.frames)):
            assert 0.8 < found / (channels * frames * mixture.stft.bins) < 1.2


def test_what_has_no_header_says_nothing(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"no sound")
    assert read_header(tmp_path / "a.wav") is None
    assert read_header(tmp_path / "nowhere.wav") is None
    assert read_header("s3://sounds/a.wav") is None
