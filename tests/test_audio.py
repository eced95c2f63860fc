import numpy as np
import pytest

from nmfaudio.errors import AudioFileError
from nmfaudio.sound.audio import Audio


def test_the_callers_array_is_neither_frozen_nor_changed():
    samples = np.zeros((2, 5))
    audio = Audio(samples, 8000)
    samples[0, 0] = 1
    with pytest.raises(ValueError, match="read-only"):
        audio.samples[0, 0] = 2


def test_a_vector_is_one_channel():
    assert Audio([0.0, 0.5], 8000).samples.shape == (1, 2)


@pytest.mark.parametrize(
    ("samples", "rate", "message"),
    [
        (np.zeros((1, 2, 3)), 8000, r"\(1, 2, 3\)"),
        (np.zeros((0, 3)), 8000, r"\(0, 3\)"),
        (np.zeros(3, np.int16), 8000, "int16"),
        (np.zeros(3), 0, "sample_rate=0"),
        ([[0.0, 0.0], [0.0, np.nan]], 2, r"sample 1 \(0.500 s\) of channel 2 is nan"),
        ([0.0, -np.inf], 2, "channel 1 is -inf"),
    ],
)
def test_what_is_not_sound_is_refused(samples, rate, message):
    with pytest.raises(AudioFileError, match=message):
        Audio(samples, rate)


def test_float32_stays_float32_and_reads_as_float64():
    audio = Audio(np.zeros((1, 4), np.float32), 8000)
    assert audio.samples.dtype == np.float32
    assert audio.read(1, 3).dtype == np.float64
