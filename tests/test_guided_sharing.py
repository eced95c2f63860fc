"""Blind components that are shared between a known source and the rest."""

from dataclasses import replace

import numpy as np
import pytest
from test_guided import HIGH, LOW, RATE, Fixed, error, rough_guide

from nmfaudio import STFT, Audio, Blocks, separate
from nmfaudio.separators.blind import search as search_module
from nmfaudio.separators.blind.separator import Blind
from nmfaudio.separators.guided.sharing import shared_parts, sharing_model


def sharing(**options):
    return Fixed(lambda mixture: sharing_model(rough_guide(mixture, **options), Blind().search(mixture)))


@pytest.mark.parametrize(("low", "high"), [(0.6, 0.3), (0.45, 0.05), (0.95, 0.6)])
def test_a_guide_may_give_too_much_or_too_little_everywhere(low, high):
    stems = separate(Audio(LOW + HIGH, RATE), sharing(low=low, high=high)).stems
    assert list(stems) == ["low", "rest"]
    assert error(stems["low"], LOW) < 0.2
    assert error(stems["rest"], HIGH) < 0.2


def test_components_that_are_alike_are_shared_alike():
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.normal(0, 1, (6, 12)), rng.normal(3, 1, (6, 12))])
    guided = np.array([0.9, 0.4, 0.8, 0.4, 0.9, 0.9, 0.3, 0.1, 0.6, 0.2, 0.1, 0.2])  # three of twelve err
    parts = shared_parts(guided, points, np.full(12, 1 / 12))
    assert (parts[:6] > 0.5).all()
    assert (parts[6:] < 0.5).all()
    assert shared_parts(guided / 3, points, np.full(12, 1 / 12)) == pytest.approx(parts)
    assert shared_parts(1 - guided, points, np.full(12, 1 / 12)) == pytest.approx(1 - parts)


def test_where_all_sound_the_same_the_own_part_of_a_component_decides():
    energies = np.ones(3) / 3
    parts = shared_parts(np.array([0.1, 0.2, 0.3]), np.ones((3, 2)), energies)
    assert parts[1] == pytest.approx(0.5)
    assert parts[0] == pytest.approx(1 - parts[2])
    assert parts[2] > 0.9
    assert shared_parts(np.full(3, 0.4), np.eye(3), energies) == pytest.approx([0.5] * 3)


def test_frames_that_are_not_learned_are_separated_too(monkeypatch):
    monkeypatch.setattr(search_module, "LEARNED_VALUES", 20_000)
    stems = separate(Audio(LOW + HIGH, RATE), sharing()).stems
    assert error(stems["low"], LOW) < 0.3


def test_components_have_the_label_of_the_source_that_gets_most_of_them():
    search = Blind().search(Blocks(Audio(LOW + HIGH, RATE), STFT(512)))
    model = sharing_model(rough_guide(search.mixture), search)
    components = model.find_components(search.mixture)
    assert components.sources == ("low", "rest")
    assert (components.labels == (model.shares[0] < 0.5)).all()
    assert set(components.labels) == {0, 1}
    peaks = components.stft.frequencies(RATE)[components.templates[:, 0, :, 0].argmax(axis=1)]
    assert peaks[0] < 500  # the loudest component of each source comes first
    assert peaks[components.labels == 1][0] > 2000


@pytest.mark.parametrize("samples", [np.zeros((2, 4000)), np.ones((1, 1)) / 2])
def test_silence_and_a_single_sample_have_both_stems(samples):
    assert list(separate(Audio(samples, RATE), sharing()).stems) == ["low", "rest"]


def test_masks_are_the_mean_over_the_starts():
    search = Blind().search(Blocks(Audio(LOW + HIGH, RATE), STFT(512)))
    model = sharing_model(rough_guide(search.mixture), search)
    block = search.mixture.block(3, 9)
    each = [
        replace(model, model=replace(model.model, starts=(start,)), shares=(shares,)).separate(block)
        for start, shares in zip(model.model.starts, model.shares, strict=True)
    ]
    assert not np.array_equal(each[0]["low"].values, each[1]["low"].values)
    mean = (each[0]["low"].values + each[1]["low"].values) / 2
    assert model.separate(block)["low"].values == pytest.approx(mean, abs=1e-5)
    assert model.alternatives == ()
