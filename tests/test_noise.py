"""Steady noise and the sounds above it."""

import numpy as np
import pytest

from nmfaudio import Audio, read, separate
from nmfaudio.errors import OptionError
from nmfaudio.separators import noise
from nmfaudio.separators.noise import Noise
from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.stft import STFT
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
    assert len(check_separator(Noise(quantile=0.5, smoothing=0, refine=False))) > 5


def test_noise_and_sound_are_separated(samples):
    sound, noise = noisy(samples)
    found = separate(Audio(sound + noise, 44100), Noise())
    assert list(found.stems) == ["noise", "sound"]
    assert error(found.stems["noise"], noise) < 0.35
    assert error(found.stems["sound"], sound) < 0.35


def test_components_refine_the_stems(samples):
    sound, noise = noisy(samples)
    mixture = Audio(sound + noise, 44100)
    mask, both = (separate(mixture, Noise(refine=refine)).stems for refine in (False, True))
    assert error(both["sound"], sound) < 0.85 * error(mask["sound"], sound)
    assert error(both["noise"], noise) < 0.85 * error(mask["noise"], noise)


def test_the_components_are_noise_or_sound(samples):
    sound, noise = noisy(samples, 3)
    components = separate(Audio(sound + noise, 44100), Noise()).components
    assert components.sources == ("noise", "sound")
    activations = components.activations[:, 0]
    unsteady = activations.std(axis=1) / activations.mean(axis=1)
    noise_and_sound = [np.median(unsteady[components.labels == source]) for source in (0, 1)]
    assert 1.5 * noise_and_sound[0] < noise_and_sound[1]


def test_the_seed_changes_the_components_alone(samples):
    mixture = Audio(sum(noisy(samples, 2)), 44100)
    for refine in (False, True):
        one, other = (separate(mixture, Noise(refine=refine, seed=seed)).stems["noise"] for seed in (0, 1))
        assert np.array_equal(one.samples, other.samples) is not refine


def test_noise_alone_is_noise():
    noise = np.random.default_rng(0).standard_normal((1, 44100)) / 8
    found = separate(Audio(noise, 44100), Noise())
    assert error(found.stems["noise"], noise) < 0.4
    plain = separate(Audio(noise, 44100), Noise(refine=False))
    np.testing.assert_array_equal(found.stems["noise"].samples, plain.stems["noise"].samples)


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


@pytest.mark.parametrize(("agreed", "weight"), [(0.5, 0.5), (0.945, 0.625), (1.0, 0.75)])
def test_components_count_more_where_the_starts_agree(monkeypatch, samples, agreed, weight):
    monkeypatch.setattr(noise, "agreement_of_starts", lambda starts: agreed)
    sound, hiss = noisy(samples, 2)
    model = Noise().fit(Blocks(Audio(sound + hiss, 44100), STFT(2048)))
    assert model.weights == pytest.approx((weight, 1 - weight))
    assert model.models[0].model.mean_exponent == 1.5
