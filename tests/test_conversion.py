"""What it costs, in dB of separated sound, to learn at other settings than those of the mixture."""

from math import gcd

import numpy as np
import pytest
from conftest import ROOT
from scipy.signal import resample_poly

from nmfaudio import STFT, Audio, Dictionary, evaluate, learn, read, separate
from nmfaudio.separators.dictionary.separator import FromDictionary

RATE = 44100


def excerpt(name, start, stop):
    samples = read(ROOT / "audio_samples" / "piano_and_flute" / f"{name}.flac").samples
    return samples[:, int(start * RATE) : int(stop * RATE)]


@pytest.fixture(scope="module")
def stems():
    return {name: excerpt(name, 6, 9) for name in ("flute", "piano")}


def learned(rate, window=0.0929):
    clips = {name: excerpt(name, 0, 6) for name in ("flute", "piano")}
    ratio = rate // gcd(rate, RATE), RATE // gcd(rate, RATE)
    heard = {
        n: Audio(c if rate == RATE else resample_poly(c, *ratio, axis=1), rate) for n, c in clips.items()
    }
    return Dictionary.join([learn(clip, name, window=window) for name, clip in heard.items()])


def score(dictionary, stems):
    mixture = Audio(sum(stems.values()), RATE)
    found = separate(mixture, FromDictionary(dictionary)).stems
    return np.mean([s.sdr for s in evaluate(stems, {n: s.samples for n, s in found.items()}).values()])


@pytest.fixture(scope="module")
def native(stems):
    return score(learned(RATE), stems)


@pytest.mark.parametrize("rate", [22050, 48000])
def test_a_dictionary_of_another_rate_costs_little(native, stems, rate):
    assert native > 8
    assert score(learned(rate), stems) > native - 1.5


@pytest.mark.parametrize("n_fft", [2048, 8192])
def test_converted_templates_are_worth_those_learned_at_the_settings(stems, n_fft):
    there = score(learned(RATE, window=n_fft / RATE), stems)
    assert score(learned(RATE).to_settings(RATE, STFT(n_fft)), stems) > there - 1
