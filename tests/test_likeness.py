"""How much the stems of two models are alike."""

from dataclasses import replace

import numpy as np
import pytest
from test_guided import HIGH, LOW, RATE, rough_guide

from nmfaudio import Audio, FunctionModel
from nmfaudio.separators.guided.grouping import component_search, guided_model
from nmfaudio.separators.guided.likeness import agreement_with_blind, likeness
from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.stft import STFT


def halves(mixture, limit):
    def estimate(block):
        low = (block.frequencies < limit)[:, None] * np.ones_like(block.magnitude)
        return {"low": low, "high": 1 - low}

    return FunctionModel(mixture.stft, ("low", "high"), estimate)


def test_likeness_is_the_correlation_of_the_stems():
    mixture = Blocks(Audio(LOW + HIGH, RATE), STFT(512))
    same = likeness(halves(mixture, 1500), halves(mixture, 1500), mixture)
    np.testing.assert_allclose(same, np.eye(2), atol=1e-9)
    other = likeness(halves(mixture, 1500), halves(mixture, 0.0), mixture)
    assert other[:, 0] == pytest.approx(0)
    assert other[1, 1] > 0.5


def test_silence_is_like_nothing():
    mixture = Blocks(Audio(np.zeros((1, 4000)), RATE), STFT(512))
    assert not likeness(halves(mixture, 1500), halves(mixture, 1500), mixture).any()


def test_a_grouping_that_timbre_finds_too_agrees_with_timbre():
    search = component_search(Blocks(Audio(LOW + HIGH, RATE), STFT(512)), 0)
    by_register = guided_model(rough_guide(search.mixture), search).model
    assert agreement_with_blind(by_register, search) > 0.9


def test_a_grouping_against_timbre_does_not_agree_with_it():
    search = component_search(Blocks(Audio(LOW + HIGH, RATE), STFT(512)), 0)
    model = guided_model(rough_guide(search.mixture), search).model
    mixed = tuple(replace(one, labels=np.arange(len(one.labels)) % 2) for one in model.starts)
    agreed, against = (agreement_with_blind(one, search) for one in (model, replace(model, starts=mixed)))
    assert against < agreed - 0.05
