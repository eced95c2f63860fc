from dataclasses import astuple

import numpy as np
import pytest
from test_learning import RATE, tone

from nmfaudio import STFT, Audio, Blocks
from nmfaudio.separators.dictionary.agreement import Blend, disagreement
from nmfaudio.separators.dictionary.templates import TemplateModel, TemplateSet

STFT_512 = STFT(512)


def template(frequency):
    """Return the spectrum of a tone, shape (bins, 1)."""
    return Blocks(tone(frequency), STFT_512).whole().magnitude[0].mean(axis=1, keepdims=True)


def model(*frequencies_of_rest, **options):
    """Return a model of a tone of 300 Hz with one template set for each list of tones of the rest."""
    sets = [
        TemplateSet.of([template(300), np.hstack([template(f) for f in rest])], 30)
        for rest in frequencies_of_rest
    ]
    return TemplateModel(STFT_512, ("low", "residual"), tuple(sets), 1.5, 1.0, 1.0, **options)


def blocks(samples):
    return Blocks(Audio(samples, RATE), STFT_512)


MIXTURE = blocks(tone(300).samples + tone(1100).samples)


def test_equal_template_sets_agree():
    assert disagreement(model([1100], [1100]), 0, 1, MIXTURE) == 0


def test_free_templates_that_take_the_known_source_disagree_with_others():
    honest, greedy = [1100], [1100, 300]
    assert disagreement(model(honest, greedy), 0, 1, MIXTURE) > 0.1


def test_the_order_of_the_sets_and_the_level_of_the_mixture_do_not_matter():
    pair = model([1100], [1100, 300])
    quiet = blocks(0.01 * (tone(300).samples + tone(1100).samples))
    expected = disagreement(pair, 0, 1, MIXTURE)
    assert disagreement(pair, 1, 0, MIXTURE) == pytest.approx(expected)
    assert disagreement(pair, 0, 1, quiet) == pytest.approx(expected, rel=0.02)


def test_silence_agrees_with_itself():
    assert disagreement(model([1100], [1100, 300]), 0, 1, blocks(np.zeros((1, RATE)))) == 0


def test_weights_of_a_blend_are_never_negative_and_sum_to_one():
    for value in np.linspace(0, 3, 61):
        for guidable in (True, False):
            weights = astuple(Blend.of(value, guidable=guidable))
            assert min(weights) >= 0
            assert sum(weights) == pytest.approx(1)
            assert Blend.of(value, guidable=guidable).guided == 0 or guidable


def test_more_kinds_of_separations_count_where_the_disagreement_grows():
    certain, usual, uncertain = (Blend.of(value) for value in (0.0, 0.4, 2.0))
    assert (certain.long, certain.few, certain.transposed) == (1, 0, 0)
    assert usual.some == usual.many > usual.few == 0
    assert min(usual.transposed, usual.short_medium, usual.short_few, usual.guided) > 0
    assert uncertain.few == uncertain.known_alone > uncertain.many == 0
    assert uncertain.guided == 0
    assert certain.exponent == uncertain.exponent == 1
    assert usual.exponent > Blend.of(1.05).exponent > 1
    assert Blend.of(0.95).guided == usual.guided > Blend.of(1.05).guided > 0


@pytest.mark.parametrize("name", ["transposed", "short", "few"])
def test_weights_of_a_blend_grow_with_the_disagreement(name):
    weights = [getattr(Blend.of(value, guidable=False), name) for value in np.linspace(0, 3, 61)]
    assert weights[-1] > weights[0] == 0
    assert all(np.diff(weights) >= -1e-12)
