"""Blind components that are grouped by a guide."""

from itertools import cycle

import numpy as np
import pytest

from nmfaudio import Audio, FunctionModel, read, separate
from nmfaudio.models.labelled import LabelledFactorization
from nmfaudio.separators.blind import search as search_module
from nmfaudio.separators.blind.separator import Blind
from nmfaudio.separators.guided import grouping
from nmfaudio.separators.guided.grouping import Guide, guided_model, is_of_rest
from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.stft import STFT

RATE = 8000


def notes(pitches, length, seconds=4.2):
    """Notes of some seconds that swell and fade, in an order of chance."""
    time = np.arange(round(length * RATE)) / RATE
    swell = np.sin(np.pi * time / length) ** 2
    sounds = [np.sin(2 * np.pi * pitch * time) * swell for pitch in pitches]
    order = np.random.default_rng(0).integers(len(sounds), size=round(seconds / length))
    return np.concatenate([sounds[k] for k in order])[None] / 4


LOW, MID, HIGH = notes((200, 310), 0.3), notes((900, 1000), 0.42), notes((2500, 3100), 0.2)


class Fixed:
    """A separator whose model is made by a function of the mixture."""

    def __init__(self, make):
        self.make = make

    def fit(self, mixture):
        return self.make(mixture)


def rough_guide(mixture, low=0.6, high=0.3, limit=500):
    """Return a guide that gives too much of everything to the low sounds, or too little."""

    def estimate(block):
        part = np.where(block.frequencies < limit, low, high)[:, None] * np.ones_like(block.magnitude)
        return {"low": part, "rest": 1 - part}

    return Guide(FunctionModel(Blind().search(mixture).mixture.stft, ("low", "rest"), estimate), "low")


def guided(sources=2, **options):
    return Fixed(
        lambda mixture: guided_model(rough_guide(mixture, **options), Blind().search(mixture), sources)
    )


def error(stem, truth):
    return np.linalg.norm(stem.samples - truth) / np.linalg.norm(truth)


@pytest.mark.parametrize(("low", "high"), [(0.6, 0.3), (0.45, 0.05), (0.95, 0.6)])
def test_a_rough_guide_decides_which_components_belong_together(low, high):
    stems = separate(Audio(LOW + HIGH, RATE), guided(low=low, high=high)).stems
    assert list(stems) == ["low", "rest"]
    assert error(stems["low"], LOW) < 0.1
    assert error(stems["rest"], HIGH) < 0.1


def test_the_rest_is_grouped_by_timbre():
    stems = separate(Audio(LOW + MID + HIGH, RATE), guided(3)).stems
    assert list(stems)[0] == "low"
    for truth in (LOW, MID, HIGH):
        assert min(error(stem, truth) for stem in stems.values()) < 0.6


def test_the_sources_of_the_rest_are_the_same_in_all_starts(monkeypatch):
    mixture = Blocks(Audio(LOW + MID + HIGH, RATE), STFT(512))
    frequencies, turns = mixture.stft.frequencies(RATE), cycle([False, True])

    def is_high(templates):
        return frequencies[templates.argmax(axis=0)] > 1700

    def grouped(one, *_):
        return LabelledFactorization(one, 1, (is_high(one.W) ^ next(turns)).astype(np.intp))

    monkeypatch.setattr(grouping, "group_by_timbre", grouped)
    starts = guided_model(rough_guide(mixture), Blind(iterations=30).search(mixture), 3).model.starts
    high = [is_high(one.templates[:, one.labels == number]) for one in starts for number in (1, 2)]
    assert all(sounds.all() or not sounds.any() for sounds in high)
    assert {sounds.all() for sounds in high[::2]} == {not high[1].all()}
    assert {sounds.all() for sounds in high[1::2]} == {not high[0].all()}


@pytest.mark.parametrize(("source", "truth"), [("left", [1, 0]), ("right", [0, 1])])
def test_each_channel_of_the_guide_counts(source, truth):
    mixture = Audio(np.concatenate([LOW, HIGH]), RATE)

    def estimate(block):
        left = np.ones_like(block.magnitude) * np.array([1.0, 0.0])[:, None, None]
        return {"left": left, "right": 1 - left}

    def make(mixture):
        search = Blind().search(mixture)
        model = FunctionModel(search.mixture.stft, ("left", "right"), estimate)
        return guided_model(Guide(model, source), search)

    stems = separate(mixture, Fixed(make)).stems
    assert error(stems[source], mixture.samples * np.array(truth)[:, None]) < 0.1


def test_frames_that_are_not_learned_are_separated_too(monkeypatch):
    monkeypatch.setattr(search_module, "LEARNED_VALUES", 20_000)
    stems = separate(Audio(LOW + HIGH, RATE), guided()).stems
    assert error(stems["low"], LOW) < 0.2


def test_components_can_be_learned_from_fewer_frames():
    mixture = Blocks(Audio(np.concatenate([LOW + HIGH] * 2), RATE), STFT(512))
    search = search_module.ComponentSearch(
        mixture, divergence="kl", iterations=20, seed=0, most_values=2 * 257 * 30
    )
    assert search.V.shape == (257, 2 * 30)

    def estimate(block):
        low = np.ones_like(block.magnitude) * (block.frequencies < 800)[:, None]
        return {"low": low, "rest": 1 - low}

    guide = Guide(FunctionModel(STFT(512), ("low", "rest"), estimate), "low")
    model = guided_model(guide, search, starts=1)
    assert len(model.model.starts) == 1
    assert not model.model.covers_all_frames
    parts = guide.parts_of_components(search, [model.model.starts[0].factorization])
    assert np.ptp(parts[0]) > 0.5


def test_the_components_belong_to_the_stems():
    components = separate(Audio(LOW + HIGH, RATE), guided()).components
    assert components.sources == ("low", "rest")
    frequencies = components.stft.frequencies(RATE)
    peaks = frequencies[components.templates[:, 0, :, 0].argmax(axis=1)]
    assert (peaks[components.labels == 0] < 500).all()
    assert set(components.labels) == {0, 1}


def test_what_helps_is_what_the_guide_says():
    mixture = Blocks(Audio(LOW + HIGH, RATE), STFT(512))
    guide = rough_guide(mixture)
    assert guided_model(guide, Blind().search(mixture)).way_out == guide.model.way_out


@pytest.mark.parametrize("samples_", [np.zeros((2, 4000)), np.ones((1, 1)) / 2])
def test_silence_and_a_single_sample_have_all_stems(samples_):
    assert len(separate(Audio(samples_, RATE), guided(3)).stems) == 3


@pytest.mark.parametrize("least", [1, 2, 4])
def test_every_source_has_components(least):
    rng = np.random.default_rng(0)
    for parts in (np.zeros(5), np.array([0.9, 0.9, 0.9, 0.9, 0.1]), *rng.random((20, 5))):
        rest = is_of_rest(parts, least)
        assert least <= rest.sum() < 5


def test_a_guide_with_context_gets_it(samples):
    music = read(samples / "piano_and_flute.flac").samples
    mixture = Blocks(Audio(music, 44100), STFT.lasting(0.046, 44100))
    assert len(mixture.bounds) > 1

    def smoothed(block):
        near = np.stack([np.roll(block.magnitude, k, axis=2) for k in (-1, 0, 1)]).mean(axis=0)
        return {"a": near, "b": np.ones_like(near)}

    guide = Guide(FunctionModel(mixture.stft, ("a", "b"), smoothed, context=1), "a")
    parts = np.concatenate([masks for _, _, masks in guide.masks(mixture)], axis=2)
    whole_mixture = mixture.whole()
    whole = smoothed(whole_mixture)
    expected = whole["a"] / (whole["a"] + whole["b"])
    expected[whole_mixture.magnitude == 0] = 0  # of silence the source has no part
    np.testing.assert_allclose(parts[:, :, 1:-1], expected[:, :, 1:-1], rtol=1e-6, atol=1e-9)
