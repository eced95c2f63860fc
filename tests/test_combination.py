import numpy as np
import pytest

from nmfaudio import STFT, Audio, FunctionModel
from nmfaudio.errors import SeparatorError
from nmfaudio.models.combination import Combination
from nmfaudio.pipeline.fitting import fit

NOISE = Audio(np.random.default_rng(0).standard_normal((1, 4000)) / 8, 8000)


def constant(share, n_fft):
    """Return a model that gives a share of the mixture to the first of two stems."""

    def estimates(block):
        return {"a": share * block.magnitude, "b": (1 - share) * block.magnitude}

    return FunctionModel(STFT(n_fft), ("a", "b"), estimates)


class Fixed:
    """A separator whose model is given."""

    def __init__(self, model):
        self.model = model

    def fit(self, _):
        return self.model


def share_of_first(model):
    pieces = list(fit(NOISE, Fixed(model)).stems())
    stem = np.concatenate([stems["a"] for _, stems in pieces], axis=1)
    whole = np.concatenate([mixture for mixture, _ in pieces], axis=1)
    assert np.allclose(sum(np.concatenate([s[n] for _, s in pieces], axis=1) for n in "ab"), whole)
    return float((stem * whole).sum() / (whole**2).sum())


@pytest.mark.parametrize(("weights", "expected"), [((), 0.6), ((3.0, 1.0), 0.75), ((2.0, 2.0), 0.6)])
def test_stems_are_weighted_means(weights, expected):
    both = Combination((constant(0.9, 256), constant(0.3, 512)), weights=weights)
    assert share_of_first(both) == pytest.approx(expected, abs=1e-3)  # an offset goes to one stem


def test_a_combination_inside_another_one_keeps_its_weight():
    inner = Combination((constant(1.0, 256), constant(0.0, 512)))
    outer = Combination((inner, constant(0.2, 1024)), weights=(0.5, 0.5))
    assert outer.part_weights == (0.25, 0.25, 0.5)
    assert share_of_first(outer) == pytest.approx(0.35, abs=1e-3)


@pytest.mark.parametrize("weights", [(1.0,), (1.0, 0.0), (1.0, -1.0)])
def test_weights_that_do_not_fit_are_refused(weights):
    with pytest.raises(SeparatorError, match="one positive weight for each of the 2 models"):
        Combination((constant(0.9, 256), constant(0.3, 512)), weights=weights)
