import numpy as np
import pytest
from scipy.signal import ShortTimeFFT, get_window

from nmfaudio.errors import OptionError
from nmfaudio.pipeline.overlap_add import OverlapAdd
from nmfaudio.sound import blocks as blocks_module
from nmfaudio.sound.audio import Audio
from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.spectrogram import Spectrogram
from nmfaudio.sound.stft import STFT

SETTINGS = [
    STFT(2048),
    STFT(256, hop_length=64),
    STFT(2048, hop_length=300, win_length=1500),
    STFT(1024, hop_length=333, win_length=1023, window="hamming"),
    STFT(16),
]


def noise(channels, length):
    return np.random.default_rng(0).standard_normal((channels, length)) / 8


@pytest.mark.parametrize("stft", SETTINGS, ids=str)
@pytest.mark.parametrize("length", [1, 5, 700, 5000, 20001])
@pytest.mark.parametrize("seconds", [1, 100])
def test_blocks_joined_are_the_recording(stft, length, seconds, monkeypatch):
    monkeypatch.setattr(blocks_module, "BLOCK_SECONDS", seconds)
    audio = Audio(noise(2, length), 4000)
    mixture = Blocks(audio, stft)
    adder = OverlapAdd(mixture)
    joined = np.concatenate([adder.add(block) for block in mixture], axis=1)
    assert joined.shape == (2, length)
    np.testing.assert_allclose(joined, audio.samples, atol=1e-12)


@pytest.mark.parametrize("stft", SETTINGS, ids=str)
def test_every_block_is_a_part_of_the_whole_spectrogram(stft):
    mixture = Blocks(Audio(noise(2, 9000), 4000), stft)
    whole = mixture.whole()
    assert whole.values.shape == (2, stft.bins, mixture.frames)
    for start, stop in ((0, 1), (3, 7), (mixture.frames - 2, mixture.frames), (-5, 2), (1, 10**6)):
        part = mixture.block(start, stop)
        expected = whole.cut(max(0, start), min(stop, mixture.frames))
        np.testing.assert_array_equal(part.values, expected.values)
        np.testing.assert_allclose(part.times, expected.times)


def test_the_level_is_divided_by_a_power_of_two():
    audio = Audio(noise(1, 3000), 4000)
    plain, loud = Blocks(audio, STFT(256)).whole(), Blocks(audio, STFT(256), scale_exponent=-3).whole()
    np.testing.assert_array_equal(loud.values, plain.values * 8)


def test_a_sine_appears_in_its_bin_and_frames():
    rate, stft = 8000, STFT(1024)
    time = np.arange(rate) / rate
    sine = np.where(time < 0.5, np.sin(2 * np.pi * 1000 * time), 0)
    whole = Blocks(Audio(sine, rate), stft).whole()
    middle = whole.magnitude[0, :, np.argmin(np.abs(whole.times - 0.25))]
    assert whole.frequencies[np.argmax(middle)] == pytest.approx(1000, abs=4)
    late = whole.magnitude[0][:, whole.times > 0.6]
    assert late.max() < 1e-9 * middle.max()


@pytest.mark.parametrize(
    ("rate", "expected"), [(44100, 2048), (48000, 2048), (96000, 4096), (8000, 512), (1, 16)]
)
def test_a_window_lasts_about_as_long_at_every_rate(rate, expected):
    assert STFT.lasting(0.046, rate).n_fft == expected


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_fft": 8}, "n_fft=8"),
        ({"n_fft": 64, "win_length": 65}, "win_length=65"),
        ({"n_fft": 64, "hop_length": 65}, "hop_length=65"),
        ({"n_fft": 64, "window": "round"}, "window='round'"),
        ({"n_fft": 64, "hop_length": 64}, "cannot be inverted"),
    ],
)
def test_invalid_settings_are_refused(settings, message):
    with pytest.raises(OptionError, match=message):
        STFT(**settings)


def test_settings_are_equal_by_value():
    assert STFT(64) == STFT(64, 16, 64, "hann")
    assert hash(STFT(64)) == hash(STFT(64, 16))
    assert STFT(64) != STFT(64, 8)


def test_iterating_reports_progress():
    seen = []
    mixture = Blocks(Audio(noise(1, 4000), 4000), STFT(256), report=seen.append)
    assert len(list(mixture)) == len(seen)
    assert seen[-1].done == seen[-1].total == mixture.frames


def test_repr_shows_the_size():
    block = Spectrogram(np.zeros((2, 9, 4), complex), STFT(16), 8000, start=3)
    assert "2 x 9 x 4, frames 3 to 7, 8000 Hz" in repr(block)


def scipy_transform(stft):
    window = get_window(stft.window, stft.win_length)
    return ShortTimeFFT(window, stft.hop_length, fs=1.0, mfft=stft.n_fft, phase_shift=None)


@pytest.mark.parametrize("window", ["hann", "hamming", "bartlett", "boxcar", "blackman", ("tukey", 0.5)])
@pytest.mark.parametrize(("size", "hop"), [(64, 16), (63, 16), (64, 15), (65, 32), (16, 1)])
def test_positions_of_frames_are_those_of_scipy(window, size, hop):
    stft = STFT(128, hop_length=hop, win_length=size, window=window)
    scipys = scipy_transform(stft)
    np.testing.assert_array_equal(stft.samples, scipys.win)
    np.testing.assert_allclose(stft.dual, scipys.dual_win, rtol=1e-12, atol=1e-12)
    for length in range(size, size + 3 * hop):
        assert stft.frames(length) == scipys.p_max(length) - scipys.p_min
    assert stft.first_sample(0) == scipys.p_min * hop - size // 2


@pytest.mark.parametrize("stft", SETTINGS, ids=str)
def test_frames_are_those_scipy_transform(stft):
    samples, scipys = noise(2, 9000), scipy_transform(stft)
    ours = Blocks(Audio(samples, 4000), stft).whole().values
    theirs = scipys.stft(samples)
    np.testing.assert_array_equal(ours, theirs)
    halved = np.where(np.arange(ours.shape[2]) % 2, ours, 0)  # no longer the transform of any samples
    whole = OverlapAdd(Blocks(Audio(samples, 4000), stft))
    joined = whole.add(Spectrogram(halved, stft, 4000))
    np.testing.assert_allclose(joined, scipys.istft(halved, k1=9000), atol=1e-12)
