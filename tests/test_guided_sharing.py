"""Blind components that are shared between a known source and the rest."""

from dataclasses import replace

import numpy as np
import pytest
from test_guided import HIGH, LOW, RATE, Fixed, error, rough_guide

from nmfaudio import STFT, Audio, Blocks, separate
from nmfaudio.separators.blind import search as search_module
from nmfaudio.separators.blind.coherence import coherences
from nmfaudio.separators.blind.grouping import component_points
from nmfaudio.separators.blind.separator import Blind
from nmfaudio.separators.guided import sharing as sharing_module
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
    points = np.concatenate([rng.normal(0, 1, (6, 12)), rng.normal(9, 1, (6, 12))])
    guided = np.array([0.9, 0.4, 0.8, 0.4, 0.9, 0.9, 0.3, 0.1, 0.6, 0.2, 0.1, 0.2])  # three of twelve err
    parts = shared_parts(guided, [points], np.full(12, 1 / 12))
    assert (parts[:6] > 0.5).all()
    assert (parts[6:] < 0.5).all()
    assert shared_parts(guided / 3, [points], np.full(12, 1 / 12)) == pytest.approx(parts)
    assert shared_parts(1 - guided, [points], np.full(12, 1 / 12)) == pytest.approx(1 - parts)


def test_each_description_of_the_sounds_counts():
    alike = np.repeat([0.0, 0.1, 9.0, 9.1], 2)[:, None] + np.arange(8)[:, None] / 100
    first, second = alike, np.roll(alike, 2, axis=0)
    guided = np.repeat([0.9, 0.8, 0.1, 0.2], 2)
    energies = np.full(8, 1 / 8)
    one, other, both = (shared_parts(guided, s, energies) for s in ([first], [second], [first, second]))
    assert np.abs(one - other).max() > 0.3
    odds = np.log(both / (1 - both))
    halves = (np.log(one / (1 - one)) + np.log(other / (1 - other))) / 2
    assert odds == pytest.approx(halves * np.ptp(odds) / np.ptp(halves), abs=0.5)


def test_loud_components_count_more_in_a_cluster():
    points = np.array([[0.0], [0.001], [5.0], [9.0]])
    guided = np.array([0.9, 0.0, 0.5, 0.1])
    loud, quiet = (
        shared_parts(guided, [points], np.array([e, 1 - e, 0.5, 0.5]) / 2)[1] for e in (0.99, 0.01)
    )
    assert loud > 0.7
    assert quiet < 0.1


def test_where_the_guide_gives_equal_parts_all_components_are_shared_equally():
    assert shared_parts(np.full(3, 0.4), [np.eye(3)], np.ones(3) / 3) == pytest.approx([0.5] * 3)


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


def test_sounds_are_described_with_and_without_envelopes_and_by_the_coherence_of_the_channels(monkeypatch):
    described = []

    def points(*args, **options):
        described.append(options)
        return component_points(*args, **options)

    monkeypatch.setattr(sharing_module, "component_points", points)
    noise = np.random.default_rng(0).standard_normal((2, HIGH.shape[1])) / 8
    search = Blind(iterations=20).search(Blocks(Audio(np.repeat(LOW, 2, axis=0) + noise, RATE), STFT(512)))
    sharing_model(rough_guide(search.mixture), search)
    expected = coherences(search, search.factorizations(24, sharing_module.STARTS))
    assert len(described) == 2 * sharing_module.STARTS
    for number, options in enumerate(described):
        assert options["coherence"] == pytest.approx(expected[number // 2])
        assert options["frames_per_second"] == (None, RATE / search.mixture.stft.hop_length)[number % 2]
    assert np.ptp(expected[0]) > 0.1


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
    mean = np.mean([one["low"].values for one in each], axis=0)
    assert model.separate(block)["low"].values == pytest.approx(mean, abs=1e-5)
    assert model.alternatives == ()
