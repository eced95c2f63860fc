"""Prediction of hidden entries of a spectrogram."""

import json

import numpy as np
import pytest

from nmfaudio import Audio, read
from nmfaudio.errors import OptionError
from nmfaudio.studies.hidden_entries import predict_hidden_entries

FAST = ("--most", "3", "--restarts", "2")


def test_three_drums_are_predicted_far_better_by_three_components(samples):
    prediction = predict_hidden_entries(read(samples / "drum_loop.flac"), most=4)
    errors = prediction.means
    assert errors[2] < 0.6 * errors[1] < 0.6 * errors[0]
    assert prediction.rank >= 3


def test_noise_alone_is_predicted_by_one_component():
    noise = Audio(np.random.default_rng(0).standard_normal((1, 40000)) / 8, 8000)
    assert predict_hidden_entries(noise, most=4).rank == 1


def test_the_command_adds_the_errors(nmfaudio, samples):
    loop = samples / "drum_loop.flac"
    done = nmfaudio("rank", loop, *FAST, "--hidden", check=0)
    assert "error of predicting hidden entries" in done.stdout
    document = json.loads(nmfaudio("rank", loop, *FAST, "--hidden", "--json", check=0).stdout)
    assert len(document["hidden"]["errors"]) == 3
    assert document["hidden"]["rank"] == 3


def test_a_number_below_one_is_refused():
    with pytest.raises(OptionError, match="most=0"):
        predict_hidden_entries(Audio(np.ones((1, 9)), 8000), most=0)
