"""The mean of several models, made sharper by a second mask."""

import numpy as np
import pytest

from nmfaudio import STFT, Audio, Blocks, FunctionModel
from nmfaudio.errors import SeparatorError
from nmfaudio.models.sharpened import SharpenedMean

BLOCK = Blocks(Audio(np.random.default_rng(0).normal(0, 0.1, (2, 3000)), 8000), STFT(256)).whole()


def constant(*parts, names=("a", "b"), stft=BLOCK.stft):
    """Return a model that gives each source the same part of all points."""
    return FunctionModel(
        stft,
        names,
        lambda block: {n: np.full(block.values.shape, p) for n, p in zip(names, parts, strict=True)},
    )


@pytest.mark.parametrize("exponent", [1.0, 1.5, 2.0])
def test_the_second_mask_is_a_power_of_the_mean_masks(exponent):
    model = SharpenedMean((constant(0.9, 0.1), constant(0.5, 0.5)), (3.0, 1.0), exponent)
    mean = 0.75 * 0.9 + 0.25 * 0.5
    expected = mean**exponent / (mean**exponent + (1 - mean) ** exponent)
    stems = model.separate(BLOCK)
    assert list(stems) == ["a", "b"]
    assert stems["a"].values == pytest.approx(expected * BLOCK.values, abs=1e-5)
    assert stems["a"].values + stems["b"].values == pytest.approx(BLOCK.values, abs=1e-12)


def test_what_all_models_give_to_one_source_stays_there():
    stems = SharpenedMean((constant(1.0, 0.0), constant(1.0, 0.0)), (0.5, 0.5), 1.5).separate(BLOCK)
    assert stems["a"].values == pytest.approx(BLOCK.values)
    assert not stems["b"].values.any()


def test_a_block_is_as_wide_as_the_widest_context():
    wide = FunctionModel(BLOCK.stft, ("a", "b"), lambda block: {n: block.magnitude for n in "ab"}, 7)
    assert SharpenedMean((constant(0.5, 0.5), wide), (1.0, 1.0), 1.5).context == 7


def test_silence_stays_silent():
    silence = BLOCK.with_values(np.zeros_like(BLOCK.values))
    stems = SharpenedMean((constant(0.9, 0.1), constant(0.2, 0.8)), (1.0, 1.0), 1.5).separate(silence)
    assert not any(stem.values.any() for stem in stems.values())


def test_models_must_fit_each_other():
    one = constant(0.5, 0.5)
    for other in (constant(0.5, 0.5, names=("b", "a")), constant(0.5, 0.5, stft=STFT(512))):
        with pytest.raises(SeparatorError, match="the same sources in the same order and the same settings"):
            SharpenedMean((one, other), (1.0, 1.0), 1.5)
    for weights in ((1.0,), (1.0, 0.0)):
        with pytest.raises(SeparatorError, match="one positive weight for each of the 2 models"):
            SharpenedMean((one, one), weights, 1.5)
