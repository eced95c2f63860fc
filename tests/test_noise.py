"""Steady noise and the sounds above it."""

import numpy as np
import pytest

from nmfaudio import Audio, read, separate
from nmfaudio.errors import OptionError
from nmfaudio.separators.noise import Noise
from nmfaudio.testing import check_separator


def error(stem, truth):
    return np.linalg.norm(stem.samples - truth) / np.linalg.norm(truth)


def noisy(samples, seconds=5):
    """Marimba notes and noise, equally loud."""
    sound = read(samples / "night_bus" / "marimba.flac").samples.mean(axis=0, keepdims=True)
    sound = sound[:, : seconds * 44100]
    noise = np.random.default_rng(0).standard_normal(sound.shape)
    return sound, noise * np.linalg.norm(sound) / np.linalg.norm(noise)


def test_the_contract_is_kept():
    assert len(check_separator(Noise())) > 5
    assert len(check_separator(Noise(quantile=0.5, smoothing=0))) > 5


def test_noise_and_sound_are_separated(samples):
    sound, noise = noisy(samples)
    found = separate(Audio(sound + noise, 44100), Noise())
    assert list(found.stems) == ["noise", "sound"]
    assert error(found.stems["noise"], noise) < 0.35
    assert error(found.stems["sound"], sound) < 0.35


def test_noise_alone_is_noise():
    noise = np.random.default_rng(0).standard_normal((1, 44100)) / 8
    found = separate(Audio(noise, 44100), Noise())
    assert error(found.stems["noise"], noise) < 0.4


def test_auto_chooses_noise_for_a_noisy_mixture(samples):
    sound, noise = noisy(samples)
    found = separate(Audio(0.3 * sound + noise, 44100), sources=2)
    assert list(found.stems) == ["noise", "sound"]
    assert found.result.messages[0].startswith("noise was chosen: much of the sound is steady noise")


@pytest.mark.parametrize(
    "options",
    [
        {"quantile": 0.0},
        {"quantile": 1.0},
        {"window": 0.0},
        {"smoothing": -1.0},
        {"smoothing": 2.0},
        {"quantile": float("nan")},
    ],
)
def test_wrong_options_are_refused(options):
    with pytest.raises(OptionError, match=next(iter(options))):
        Noise(**options)
