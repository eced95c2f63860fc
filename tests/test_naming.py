"""Names of sources: by their sound, numbered within a kind, independent of the level."""

import numpy as np
import pytest

from nmfaudio import Audio, factorize, read
from nmfaudio.separators.blind.naming import source_names
from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.frames import channel_frames
from nmfaudio.sound.stft import STFT

SETTINGS = STFT(2048)
EXPECTED = {
    "drum_loop/kick": "percussive1",
    "drum_loop/snare": "percussive1",
    "drum_loop/hihat": "percussive1",
    "night_bus/bass": "low1",
    "night_bus/marimba": "mid1",
    "piano_and_flute/flute": "mid1",
}


@pytest.mark.parametrize("stem", EXPECTED)
def test_recorded_sounds_get_the_name_of_their_kind(samples, stem):
    audio = read(samples / f"{stem}.flac")
    sound = Audio(audio.samples[:1, : 4 * audio.sample_rate], audio.sample_rate)
    V = channel_frames(Blocks(sound, SETTINGS), 1).T
    found = factorize(V, 4, iterations=20)
    names = source_names(found.W, found.H, np.zeros(4, int), SETTINGS.frequencies(audio.sample_rate))
    assert names == (EXPECTED[stem],)


def parts():
    """Two steady hums, low and high, and one click, each a component."""
    W = np.zeros((200, 3))
    W[2, 0] = W[150, 1] = 1
    W[:, 2] = 1 / 200
    H = np.ones((3, 40)) + 0.02 * np.random.default_rng(0).random((3, 40))
    H[2] = 0
    H[2, ::10] = 5
    return W, H, np.linspace(0, 4000, 200)


def test_numbers_count_within_a_kind_in_the_order_of_the_sources():
    W, H, frequencies = parts()
    W, H = np.hstack([W, W]), np.vstack([H, H])
    names = source_names(W, H, np.arange(6), frequencies)
    assert names == ("low1", "high1", "percussive1", "low2", "high2", "percussive2")


@pytest.mark.parametrize("scale", [1e-30, 1e20])
def test_the_level_does_not_matter(scale):
    W, H, frequencies = parts()
    assert source_names(W, H * scale, np.arange(3), frequencies) == ("low1", "high1", "percussive1")


def test_the_louder_components_decide_the_name():
    W, H, frequencies = parts()
    labels = np.zeros(3, int)
    assert source_names(W, H * [[9], [1], [1]], labels, frequencies) == ("low1",)
    assert source_names(W, H * [[1], [9], [1]], labels, frequencies) == ("high1",)


@pytest.mark.parametrize("frames", [1, 5])
def test_silence_and_a_single_frame_get_names(frames):
    W, _, frequencies = parts()
    assert len(set(source_names(W, np.zeros((3, frames)), np.arange(3), frequencies))) == 3
    assert len(source_names(np.zeros_like(W), np.zeros((3, frames)), np.zeros(3, int), frequencies)) == 1
