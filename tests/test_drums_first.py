"""Songs: drums are split off first, and the rest is separated by timbre."""

from functools import cache

import numpy as np
import pytest
from conftest import ROOT
from scipy.signal import resample_poly

from nmfaudio import Audio, read, separate
from nmfaudio.separators.blind.separator import GROUPED_EXPONENT, Blind
from nmfaudio.separators.drums.separator import OTHER, Drums
from nmfaudio.separators.guided import drums_first
from nmfaudio.separators.guided.drums_first import DRUMS, AllDrums, _PartOfMixture, song_model
from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.stft import STFT
from nmfaudio.studies.evaluation import best_names, evaluate

RATE, SECONDS = 22050, 5


class Song:
    """The separator of songs, for a given number of stems."""

    def __init__(self, sources=3):
        self.sources = sources

    def fit(self, mixture):
        return song_model(Blind().search(mixture), self.sources)


@cache
def truth():
    """Drums, a bass and a clarinet, equally loud."""

    def clip(name):
        sound = read(ROOT / "audio_samples" / f"{name}.flac").samples[:, : SECONDS * 44100]
        return resample_poly(sound.mean(axis=0, keepdims=True), 1, 2, axis=1)

    drums = sum(clip(f"drum_loop/{name}") for name in ("kick", "snare", "hihat"))
    stems = {"drums": drums, "bass": clip("night_bus/bass"), "clarinet": clip("night_bus/clarinet")}
    return {name: 0.05 * stem / stem.std() for name, stem in stems.items()}


@cache
def separated():
    return separate(Audio(sum(truth().values()), RATE), Song())


def scores(stems):
    estimates = {name: stem.samples for name, stem in stems.items()}
    names = best_names(truth(), estimates)
    found = evaluate(truth(), {name: estimates[match] for name, match in names.items()})
    return names, {name: one.si_sdr for name, one in found.items()}


def test_the_drums_of_a_song_have_their_name_and_the_stems_sum_to_it():
    stems = separated().stems
    names, found = scores(stems)
    assert names["drums"] == DRUMS == next(iter(stems))
    assert found["drums"] > 5
    assert np.mean(list(found.values())) > 5
    total = sum(stem.samples for stem in stems.values())
    np.testing.assert_allclose(total, sum(truth().values()), atol=1e-12)


def test_drums_first_is_better_than_timbre_alone():
    same_exponent = Blind(sources=3, mask_exponent=GROUPED_EXPONENT)
    plain = separate(Audio(sum(truth().values()), RATE), same_exponent).stems
    better, worse = (np.mean(list(scores(stems)[1].values())) for stems in (separated().stems, plain))
    assert better > worse + 0.3


def test_both_ways_have_the_same_stems_in_the_same_order():
    mixture = Blocks(Audio(sum(truth().values()), RATE), component_stft())
    model = song_model(Blind().search(mixture), 3)
    block = mixture.block(0, mixture.frames)
    guided, in_steps = (part.separate(block) for part in model.parts)
    for name in model.sources:
        likeness = {
            other: np.vdot(guided[name].values, stem.values).real / np.linalg.norm(stem.values)
            for other, stem in in_steps.items()
        }
        assert max(likeness, key=likeness.get) == name


def test_components_that_the_drums_group_count_less_where_their_starts_do_not_agree(monkeypatch):
    mixture = Blocks(Audio(sum(truth().values())[:, :RATE], RATE), component_stft())
    search = Blind(iterations=5).search(mixture)
    for agreed, weight in ((0.5, 0.3), (0.925, 0.4), (1.0, 0.5)):
        monkeypatch.setattr(drums_first, "agreement_of_starts", lambda starts, agreed=agreed: agreed)
        assert song_model(search, 3).part_weights == pytest.approx((weight, 1 - weight))


def component_stft():
    return Blind().search(Blocks(Audio(np.zeros((1, RATE)), RATE), STFT(2048))).mixture.stft


def test_the_components_belong_to_the_stems():
    components = separated().components
    assert components.sources == tuple(separated().stems)
    assert set(components.labels) == {0, 1, 2}


def test_drums_of_several_kinds_are_one_stem():
    mixture = Blocks(Audio(sum(truth().values()), RATE), component_stft())
    drums = AllDrums(tuple(Drums(others=4, iterations=5, seed=seed).fit(mixture) for seed in (0, 1)))
    block = mixture.block(0, 100)
    singles = [model.separate(block) for model in drums.drums]
    together = drums.separate(block)
    sums = [sum(stem.values for name, stem in single.items() if name != OTHER) for single in singles]
    assert not np.allclose(*sums, atol=1e-3)
    np.testing.assert_allclose(together[DRUMS].values, np.mean(sums, axis=0), atol=1e-5)
    np.testing.assert_array_equal(together[OTHER].values, drums.others(block).values)
    for rest, whole in zip(_PartOfMixture.of(mixture, drums.others), mixture, strict=True):
        np.testing.assert_array_equal(rest.values, drums.others(whole).values)


@pytest.mark.parametrize("samples_", [np.zeros((2, 8000)), np.ones((1, 1)) / 2])
def test_silence_and_a_single_sample_have_all_stems(samples_):
    assert len(separate(Audio(samples_, 8000), Song(4)).stems) == 4
