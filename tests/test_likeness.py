"""How much the stems of two models are alike."""

from dataclasses import replace

import numpy as np
import pytest
from test_guided import HIGH, LOW, MID, RATE

from nmfaudio import Audio, FunctionModel
from nmfaudio.separators.blind.separator import Blind
from nmfaudio.separators.guided.likeness import agreement, likeness
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


def test_stems_agree_with_themselves_in_any_order_and_not_with_others():
    mixture = Blocks(Audio(LOW + MID + HIGH, RATE), STFT(512))
    search = Blind(sources=2).search(mixture)
    model = Blind(sources=2).model_of_groups(search)
    swapped = replace(model, starts=tuple(replace(one, labels=1 - one.labels) for one in model.starts))
    assert agreement(model, replace(model, sources=("b", "a")), search.mixture) == pytest.approx(1)
    assert agreement(replace(model, regroupings=()), replace(swapped, regroupings=()), search.mixture) == (
        pytest.approx(1)
    )
    mixed = tuple(replace(one, labels=np.arange(len(one.labels)) % 2) for one in model.starts)
    assert agreement(replace(model, starts=mixed, regroupings=()), model, search.mixture) < 0.9


def test_of_a_long_recording_evenly_spaced_blocks_are_compared(monkeypatch):
    mixture = Blocks(Audio(np.random.default_rng(0).normal(size=(1, 1000 * 100)), 1000), STFT(256))
    read, whole = [], Blocks.block
    monkeypatch.setattr(Blocks, "block", lambda self, *bounds: read.append(bounds) or whole(self, *bounds))
    likeness(halves(mixture, 100), halves(mixture, 100), mixture)
    bounds = mixture.bounds
    assert len(read) == 8 < len(bounds)
    assert (read[0], read[-1]) == (bounds[0], bounds[-1])
    assert np.ptp(np.diff([bounds.index(one) for one in read])) <= 1


class Part:
    """A model of one stem, which a function makes of the values of a block."""

    sources = ("part",)

    def __init__(self, part):
        self.part = part

    def separate(self, block):
        return {"part": block.with_values(self.part(block.values).astype(complex))}


def test_both_the_real_and_the_imaginary_part_count():
    mixture = Blocks(Audio(LOW + HIGH, RATE), STFT(512))
    values = mixture.whole().values
    expected = np.linalg.norm(values.real) / np.linalg.norm(values)
    assert likeness(Part(np.real), Part(np.copy), mixture) == pytest.approx(expected)
    assert expected < 0.9
