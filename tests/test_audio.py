import numpy as np
import pytest

from nmfaudio.errors import AudioFileError
from nmfaudio.sound.audio import Audio
from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.stft import STFT


def test_the_array_of_the_caller_is_neither_made_read_only_nor_changed():
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
def test_invalid_samples_are_refused(samples, rate, message):
    with pytest.raises(AudioFileError, match=message):
        Audio(samples, rate)


def test_float32_stays_float32_and_reads_as_float64():
    audio = Audio(np.zeros((1, 4), np.float32), 8000)
    assert audio.samples.dtype == np.float32
    assert audio.read(1, 3).dtype == np.float64


@pytest.mark.parametrize("shape", [(44100, 2), (441, 1), (100, 2)])
def test_samples_before_channels_are_refused_with_the_remedy(shape):
    with pytest.raises(AudioFileError, match=r"must be \(channels, samples\): transpose .*from_frames"):
        Audio(np.zeros(shape), 44100)


def test_samples_as_soundfile_returns_them_are_accepted_by_from_frames():
    frames = np.random.default_rng(0).uniform(-1, 1, (441, 2))
    audio = Audio.from_frames(frames, 44100, name="song")
    assert np.array_equal(audio.samples, frames.T)
    assert (audio.name, audio.channels, audio.length) == ("song", 2, 441)
    assert Audio.from_frames(np.zeros(441), 44100).channels == 1
    assert Audio.from_frames(np.zeros((2, 300)), 44100).channels == 300
    with pytest.raises(AudioFileError, match="sample 1 .* of channel 2 is nan"):
        Audio.from_frames([[0.0, 0.0], [0.0, np.nan]], 44100)
    with pytest.raises(AudioFileError, match="at least one channel"):
        Audio.from_frames(np.zeros((5, 0)), 44100)


@pytest.mark.parametrize("rate", [44100.0, np.int32(44100), np.float32(44100)])
def test_whole_sample_rates_of_any_type_are_accepted(rate):
    audio = Audio(np.zeros(9), rate)
    assert audio.sample_rate == 44100
    assert type(audio.sample_rate) is int


@pytest.mark.parametrize("rate", [44100.5, np.nan, np.inf, "44100", None, True, -1, 1j])
def test_other_sample_rates_are_refused(rate):
    with pytest.raises(AudioFileError, match="sample_rate=.*whole number"):
        Audio(np.zeros(9), rate)


def test_swapped_arguments_are_noticed():
    with pytest.raises(AudioFileError, match="pass the samples first"):
        Audio(44100.0, np.zeros(9))


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.ma.masked_array([0.0, 0.5], [False, True]), "masked"),
        (np.zeros(5, complex), "complex128"),
        ([[0.0, 0.5], [0.0]], "different lengths"),
        (np.zeros(5, bool), "bool"),
        (["a"], "<U1"),
        (None, "object"),
        (0.5, "single number"),
    ],
)
def test_arrays_of_other_kinds_are_refused(samples, message):
    with pytest.raises(AudioFileError, match=message):
        Audio(samples, 44100)


def test_so_many_channels_that_one_frame_exceeds_the_memory_are_refused():
    audio = Audio.from_frames(np.zeros((20, 2000)), 44100, name="array")
    with pytest.raises(AudioFileError, match=r"array: one frame of 2000 channels needs .* GB .*memory="):
        Blocks(audio, STFT(2048), memory=1 << 28)
    assert Blocks(audio, STFT(2048), memory=1 << 32).frames > 0
