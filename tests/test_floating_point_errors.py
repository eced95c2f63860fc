"""Separation in a program that called `np.seterr(all="raise")`: tiny values are rounded to zero, as usual."""

import warnings
from dataclasses import dataclass

import numpy as np
import pytest
from conftest import sound

from nmfaudio import Audio, FunctionModel, activate, factorize, separate, separate_file
from nmfaudio.errors import SeparatorError
from nmfaudio.testing import check_separator

RATE = 8000
NAMES = ("auto", "blind", "drums", "harmonic-percussive", "noise", "repeating", "stereo", "voice")


def fading(channels):
    """Sound that fades from full scale to subnormal numbers, then silence."""
    samples = sound(1.5, RATE, channels=channels)
    fade = np.logspace(0, -310, samples.shape[1])
    return np.concatenate([samples * fade, np.zeros((channels, 2000))], axis=1)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("name", NAMES)
def test_every_separator_gives_the_same_stems(name, channels):
    audio = Audio(fading(channels), RATE)
    expected = separate(audio, name)
    with np.errstate(all="raise"):
        stems = separate(audio, name).stems
    for stem, samples in expected.stems.items():
        np.testing.assert_array_equal(stems[stem].samples, samples.samples)


@pytest.mark.parametrize("subtype", ["FLOAT", "PCM_16"])
def test_stems_are_written_and_phases_refined(make_file, tmp_path, subtype):
    path = make_file(samples=fading(1), subtype="DOUBLE")
    with np.errstate(all="raise"):
        separate_file(path, tmp_path / "stems", "noise", subtype=subtype, phase_rounds=1)
    assert len(list((tmp_path / "stems").rglob("*.wav"))) == 2


def test_the_settings_of_the_caller_hold_outside():
    before = np.geterr()
    seen = []
    with np.errstate(all="raise"):
        separate(Audio(sound(), RATE), "noise", report=lambda progress: seen.append(progress))
        assert set(np.geterr().values()) == {"raise"}
    assert np.geterr() == before
    assert seen


@dataclass(frozen=True)
class Dividing:
    """Divide by a number that is zero in silence, and hide the warning."""

    def fit(self, mixture):
        """Return a model of the level of each frame."""

        def estimate(block):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                level = block.magnitude / block.magnitude.max(axis=1, keepdims=True)
            return {"loud": np.nan_to_num(level), "quiet": 1 - np.nan_to_num(level)}

        return FunctionModel(mixture.stft, ("loud", "quiet"), estimate)


def test_the_conformance_check_finds_a_division_by_zero():
    with pytest.raises(SeparatorError, match=r"on [\w ]+: .* failed with FloatingPointError"):
        check_separator(Dividing())


@pytest.mark.parametrize("divergence", ["kl", "is", "euclidean"])
def test_tiny_entries_are_factored_whatever_the_caller_has_set(divergence):
    V = np.random.default_rng(0).random((40, 60)) * np.logspace(0, -60, 40)[:, None]
    with np.errstate(all="raise"):
        factorization = factorize(V, 3, divergence=divergence, iterations=20)
        H = activate(V, factorization.W, divergence=divergence, iterations=20).H
    assert np.isfinite(factorization.W).all()
    assert np.isfinite(H).all()
