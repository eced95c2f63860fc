"""Panning angles of sources: exact to a few hundredths of a degree, counted, and trusted or not."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d
from scipy.signal import fftconvolve, find_peaks, resample_poly

from nmfaudio import Audio, read
from nmfaudio.errors import OptionError
from nmfaudio.separators.stereo import evidence
from nmfaudio.separators.stereo.evidence import clear_peaks, directions
from nmfaudio.separators.stereo.panning import find_panning, place_name
from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.spectrogram import Spectrogram
from nmfaudio.sound.stft import STFT


def blocks(samples, rate=44100):
    return Blocks(Audio(samples, rate), STFT(2048))


def panned(samples, names, angles):
    """Stems of the samples, equally loud, each at an angle in degrees."""
    total = 0
    for name, angle in zip(names, np.deg2rad(angles), strict=True):
        stem = read(samples / f"{name}.flac").samples.mean(axis=0)[: 5 * 44100]
        total = total + np.outer([np.cos(angle), np.sin(angle)], 0.05 * stem / stem.std())
    return total


NAMES = ["night_bus/bass", "night_bus/clarinet", "night_bus/marimba", "piano_and_flute/flute"]


@pytest.mark.parametrize("angles", [[20, 70], [45, 52], [-30, 60], [10, 45, 80], [5, 35, 55, 88]])
def test_angles_and_their_number_are_found(samples, angles):
    found = find_panning(blocks(panned(samples, NAMES[: len(angles)], angles)))
    np.testing.assert_allclose(np.sort(found.angles), angles, atol=0.06)
    assert found.trusted
    assert np.all(np.diff(found.masses) < 0.3)


@pytest.mark.parametrize("gain", [1e-9, 1e9])
def test_the_level_does_not_matter(samples, gain):
    mixture = panned(samples, NAMES[:2], [20, 70])
    plain, scaled = find_panning(blocks(mixture)), find_panning(blocks(mixture * gain))
    np.testing.assert_allclose(scaled.angles, plain.angles, atol=1e-6)


def test_a_source_on_the_edge_of_the_half_circle_is_one_source(samples):
    found = find_panning(blocks(panned(samples, NAMES[:2], [90, 40])))
    assert len(found.angles) == 2
    assert min(abs(found.angles - 90)) < 0.06


def test_a_single_position_is_not_trusted(samples):
    mono = read(samples / "night_bus.flac").samples.mean(axis=0)[: 5 * 44100]
    found = find_panning(blocks(np.stack([mono, mono])))
    assert found.angles == pytest.approx([45])
    assert found.confidence == pytest.approx(1)
    assert not found.trusted


def test_unrelated_channels_are_not_trusted():
    noise = np.random.default_rng(0).standard_normal((2, 4 * 44100)) / 8
    assert not find_panning(blocks(noise)).trusted


def test_delays_between_channels_are_not_panning(samples):
    total = 0
    for name, lag in zip(NAMES[:2], (13, 29), strict=True):
        stem = read(samples / f"{name}.flac").samples.mean(axis=0)[: 4 * 44100]
        total = total + np.stack([stem, np.roll(stem, lag)])
    found = find_panning(blocks(total))
    assert not found.trusted


def diffuse(sound, seed=0):
    """Two channels in which a sound has no position: each is a reverberation of its own."""
    responses = np.random.default_rng(seed).standard_normal((2, 4000)) * np.exp(-np.arange(4000) / 1000)
    spread = np.stack([fftconvolve(sound, response)[: len(sound)] for response in responses])
    return 0.05 * spread / spread.std()


@pytest.fixture
def sounds(samples):
    """A flute and a piano, 3 s at 16 kHz, equally loud."""
    read_ = [read(samples / "piano_and_flute" / f"{n}.flac").samples.mean(axis=0) for n in ("flute", "piano")]
    mono = [resample_poly(sound[44100 : 4 * 44100], 160, 441) for sound in read_]
    return [0.05 * sound / sound.std() for sound in mono]


@pytest.mark.parametrize("angle", [30, 45, 60])
def test_a_source_over_a_rest_without_position_is_the_only_position(sounds, angle):
    flute, piano = sounds
    direction = np.array([np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))])
    found = find_panning(blocks(np.outer(direction, np.sqrt(2) * flute) + diffuse(piano), 16000))
    assert found.angles == pytest.approx([angle], abs=0.2)
    assert found.is_lone
    assert not found.trusted


def test_a_rest_without_position_has_no_position(sounds):
    found = find_panning(blocks(diffuse(sounds[0]) + diffuse(sounds[1], 1), 16000))
    assert not found.is_lone
    assert not found.trusted


def test_one_source_with_a_position_for_each_band_is_not_several_sources(sounds):
    spectrum = np.fft.rfft(sounds[1])
    low = np.arange(len(spectrum)) < 1200  # below 400 Hz
    bands = [np.fft.irfft(spectrum * keep, len(sounds[1])) for keep in (low, ~low)]
    split = np.outer([0.9, 0.4], bands[0]) + np.outer([0.4, 0.9], bands[1])
    found = find_panning(blocks(split, 16000))
    assert len(found.angles) == 2
    assert "differ by frequency" in found.doubt(2)


def test_silence_has_no_panning_positions():
    found = find_panning(blocks(np.zeros((2, 44100))))
    assert len(found.angles) == 0
    assert not found.trusted


def test_only_two_channels_have_angles():
    with pytest.raises(OptionError, match="3 channels"):
        find_panning(blocks(np.zeros((3, 4000))))


def test_the_eigenvalue_ratio_is_zero_where_one_source_sounds():
    sound = np.random.default_rng(0).standard_normal((1, 9, 12)) * (1 + 1j)
    gains = np.array([np.cos(0.3), -np.sin(0.3)])[:, None, None]
    angles, ratios, energies = directions(Spectrogram(gains * sound, STFT(16), 8000))
    np.testing.assert_allclose(angles, np.rad2deg(-0.3))
    np.testing.assert_allclose(ratios, 0, atol=1e-12)
    assert np.all(energies > 0)


def test_positions_are_named_as_on_a_mixing_desk():
    assert [place_name(a) for a in (0, 44, 46, 90, 95, -1, -89.5, -45)] == [
        "left100",
        "middle",
        "middle",
        "right100",
        "antiphase",
        "left100",
        "right100",
        "antiphase",
    ]


@pytest.mark.parametrize("seed", range(20))
def test_peaks_are_those_of_scipy_on_a_circle(seed):
    generator = np.random.default_rng(seed)
    rough = generator.random(evidence._STEPS) ** generator.integers(1, 12)
    smooth = gaussian_filter1d(rough, generator.uniform(10, 200), mode="wrap")
    limits = {
        "height": evidence._MIN_PEAK * smooth.max(),
        "distance": evidence.MIN_DISTANCE / evidence._STEP,
        "prominence": 0,
    }
    peaks, properties = find_peaks(np.tile(smooth, 3), **limits)
    inner = (peaks >= evidence._STEPS) & (peaks < 2 * evidence._STEPS)
    clear = properties["prominences"] >= evidence._PROMINENCE * properties["peak_heights"]
    expected = peaks[inner & clear] % evidence._STEPS
    assert clear_peaks(smooth) == sorted(expected.tolist(), key=lambda at: -smooth[at])
