"""Evidence about stems: energies of what was written, and how much alternatives differ."""

from dataclasses import dataclass

import numpy as np
import pytest

from nmfaudio import STFT, Audio, separate
from nmfaudio.models.combination import Combination
from nmfaudio.models.contract import Model
from nmfaudio.models.masks import soft_masks
from nmfaudio.models.wrappers import WithMessages
from nmfaudio.pipeline.fitting import Fitted, blocks_of
from nmfaudio.pipeline.stem_evidence import EvidenceMeter, spreads

MIXTURE = Audio(np.random.default_rng(0).standard_normal((1, 4000)) / 8, 8000)


@dataclass(frozen=True)
class Split(Model):
    """Gives a part of each point to the first stem; the alternatives give other parts."""

    part: float
    others: tuple[float, ...] = ()
    doubt: str = ""
    stft: STFT = STFT(512)
    sources: tuple[str, ...] = ("a", "b")

    @property
    def alternatives(self):
        return tuple(Split(part) for part in self.others)

    def separate(self, block):
        ones = np.ones(block.values.shape)
        return soft_masks(block, {"a": self.part * ones, "b": (1 - self.part) * ones})


def fitted(model):
    return Fitted(blocks_of(MIXTURE).with_stft(model.stft), model)


def measured(model):
    one = fitted(model)
    meter = EvidenceMeter(one)
    assert sum(mixture.shape[1] for mixture, _ in meter.watching(one.stems())) == MIXTURE.length
    return meter


def test_energies_are_those_of_the_stems():
    evidence = measured(Split(0.25)).evidence()
    assert evidence["a"].share == pytest.approx(0.0625 / (0.0625 + 0.5625))
    # The smaller of 1/16 and 9/16, over the product 3/16 of stem and rest.
    assert evidence["a"].separability == pytest.approx(10 * np.log10(1 / 3))
    assert evidence["a"].spread == 0


def test_a_second_pass_is_measured_from_the_start():
    one, ones = fitted(Split(0.25)), np.ones((1, 9000))
    meter = EvidenceMeter(one)
    list(meter.watching([(ones, {"a": ones, "b": 0 * ones})]))
    list(meter.watching(one.stems()))
    assert meter.evidence()["a"].share == pytest.approx(0.1)


def test_the_spread_is_the_energy_of_the_differences_of_alternatives():
    found = spreads(fitted(Split(0.25, (0.2, 0.3))))
    assert found == pytest.approx({"a": 0.05**2 / 0.25**2, "b": 0.05**2 / 0.25**2})


def test_equal_alternatives_have_no_spread():
    assert spreads(fitted(Split(0.5, (0.5, 0.5)))) == pytest.approx({"a": 0, "b": 0})


def test_models_without_alternatives_have_no_spread():
    assert spreads(fitted(Split(0.5))) == {}


def test_doubts_carry_the_way_out_of_the_model():
    confidence = measured(Split(0.25)).confidence()
    assert confidence["a"].way_out == Split(0.25).way_out


@pytest.mark.parametrize("wrapped", [WithMessages, lambda model: Combination((model,))])
def test_doubts_of_models_pass_through_wrappers(wrapped):
    doubtful = wrapped(Split(0.25, doubt="no drums"))
    assert {one.reason for one in measured(doubtful).confidence().values()} == {"no drums"}


def test_nothing_is_said_of_silence():
    meter = EvidenceMeter(fitted(Split(0.25)))
    silence = np.zeros((1, 100))
    list(meter.watching([(silence, {"a": silence, "b": silence})]))
    assert meter.confidence() == {}


def test_random_starts_are_alternatives():
    found = separate(MIXTURE, "blind", sources=2, components=6, starts=2, iterations=10)
    assert found.fitted is not None
    assert len(found.fitted.model.alternatives) == 2
    assert all(one.evidence.spread > 0 for one in found.result.confidence.values())
