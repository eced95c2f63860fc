from dataclasses import replace

import numpy as np
import pytest
from conftest import sound

from nmfaudio import Audio, make, read, separate
from nmfaudio.models.labelled import LabelledFactorization
from nmfaudio.separators.blind import search, starts
from nmfaudio.separators.blind.agreement import agreement_of_starts, aligned, weights_by_agreement
from nmfaudio.separators.blind.grouping import group_components
from nmfaudio.separators.blind.separator import Blind
from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.frames import channel_frames
from nmfaudio.sound.stft import STFT
from nmfaudio.testing import check_separator


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"sources": 1},
        {"sources": 3},
        {"components": 5, "starts": 2},
        {"divergence": "is"},
        {"mask_exponent": 1.0},
    ],
)
def test_the_contract_is_kept(options):
    assert len(check_separator(Blind(**options, iterations=5))) > 5


def error(stem, truth):
    return np.linalg.norm(stem.samples - truth.samples) / np.linalg.norm(truth.samples)


def test_drum_sounds_are_counted_and_separated(samples):
    found = separate(samples / "drum_loop.flac", "blind")
    assert "3 sources found; each source is taken for one repeated sound" in found.result.messages[0]
    assert "toms of several pitches, need components=24" in found.result.messages[0]
    for name in ("kick", "snare", "hihat"):
        truth = read(samples / "drum_loop" / f"{name}.flac")
        assert min(error(stem, truth) for stem in found.stems.values()) < 0.7, name


def test_instruments_that_play_melodies_are_grouped_from_many_components(samples):
    found = separate(samples / "night_bus.flac", "blind", sources=3)
    assert len(found.components) == 24
    assert found.result.messages == ("3 sources requested",)
    for name in ("bass", "clarinet"):
        truth = read(samples / "night_bus" / f"{name}.flac")
        assert min(error(stem, truth) for stem in found.stems.values()) < 0.8, name


def test_the_number_of_components_can_be_chosen():
    found = separate(Audio(sound(2), 8000), sources=2, components=7, iterations=20)
    assert len(found.components) == 7


def test_sources_are_ordered_by_energy(samples):
    found = separate(samples / "drum_loop.flac", "blind", sources=3)
    assert "each source is taken for one repeated sound" in found.result.messages[0]
    components = found.components
    energies = [components.shares[components.labels == source].sum() for source in range(3)]
    assert energies == sorted(energies, reverse=True)


def test_stems_are_named_by_their_sound(samples):
    found = separate(samples / "drum_loop.flac", "blind", sources=3)
    assert list(found.stems) == ["low1", "percussive1", "high1"]


def test_a_message_says_that_the_number_of_sources_is_a_guess():
    messages = separate(Audio(sound(3), 8000), components=8, iterations=30).result.messages
    assert "this is a guess" in messages[0]


def test_the_seed_changes_the_starts_and_neighbouring_seeds_share_none():
    audio = Audio(sound(2), 8000)
    components = [
        separate(audio, sources=2, components=6, starts=2, iterations=5, seed=s).components for s in (0, 1)
    ]
    assert not np.array_equal(components[0].templates, components[1].templates)


def test_alignment_finds_the_same_sources_under_other_numbers():
    found = separate(Audio(sound(2), 8000), sources=3, components=9, iterations=30).result.factorization
    for order in ([1, 2, 0], [2, 1, 0], [0, 1, 2]):
        shuffled = LabelledFactorization(found.factorization, found.channels, np.array(order)[found.labels])
        assert np.array_equal(aligned(shuffled, found).labels, found.labels)


def test_channels_follow_one_another_in_the_collected_spectrogram():
    audio = Audio(sound(1, channels=2), 8000)
    mixture = Blocks(audio, STFT(256))
    V = channel_frames(mixture, 1.0)
    expected = mixture.whole().magnitude
    np.testing.assert_allclose(V[: mixture.frames].T, expected[0], rtol=1e-6)
    np.testing.assert_allclose(V[mixture.frames :].T, expected[1], rtol=1e-6)
    np.testing.assert_allclose(channel_frames(mixture, 2.0), V**2, rtol=1e-5)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("limit", [None, 20_000])
def test_components_of_all_frames_are_grouped_with_and_without_envelopes(monkeypatch, limit, channels):
    if limit:
        monkeypatch.setattr(search, "LEARNED_VALUES", limit)
    passed = []

    def spy(*factors, frames_per_second, **options):
        passed.append(frames_per_second)
        return group_components(*factors, frames_per_second=frames_per_second, **options)

    monkeypatch.setattr(starts, "group_components", spy)
    separate(
        Audio(sound(2, channels=channels), 8000),
        "blind",
        sources=2,
        components=7,
        iterations=5,
        starts=1,
        window=0.032,
    )
    assert passed == ([None] if limit else [8000 / 64, None])


def test_the_masks_of_both_groupings_are_averaged():
    mixture = Blocks(Audio(sound(2), 8000), STFT(256))
    model = Blind(sources=2, components=6, iterations=5, starts=2).grouped(mixture)
    turned = tuple(replace(one, labels=1 - one.labels) for one in model.starts)
    block = mixture.with_stft(model.stft).whole()

    def first_stem(**changes):
        return next(iter(replace(model, mean_exponent=1.0, **changes).separate(block).values())).values

    by_starts, by_turned = first_stem(regroupings=()), first_stem(starts=turned, regroupings=())
    both = first_stem(regroupings=turned)
    np.testing.assert_allclose(
        both, 0.7 * by_starts + 0.3 * by_turned, atol=1e-5 * np.abs(block.values).max()
    )
    assert not np.allclose(both, by_starts, atol=1e-2 * np.abs(block.values).max())


def test_the_mean_of_the_masks_is_sharpened_unless_an_exponent_is_given():
    mixture = Blocks(Audio(sound(2), 8000), STFT(256))
    options = {"sources": 2, "components": 6, "iterations": 5, "starts": 2}
    model = Blind(**options).grouped(mixture)
    block = mixture.with_stft(model.stft).whole()
    assert (model.mask_exponent, model.mean_exponent) == (1.0, 1.5)
    given = Blind(**options, mask_exponent=1.0).grouped(mixture)
    assert (given.mask_exponent, given.mean_exponent) == (1.0, 1.0)
    sharp, soft = (np.stack([stem.values for stem in one.separate(block).values()]) for one in (model, given))
    weights = np.abs(soft) ** 1.5
    np.testing.assert_allclose(
        np.abs(sharp), np.abs(block.values) * weights / weights.sum(axis=0), atol=1e-4 * np.abs(sharp).max()
    )


def test_the_masks_of_single_sounds_are_not_sharpened_twice():
    mixture = Blocks(Audio(sound(2), 8000), STFT(256))
    model = Blind(sources=2, components=2, iterations=5).grouped(mixture)
    assert (model.mask_exponent, model.mean_exponent) == (1.5, 1.0)


def test_components_have_the_exponent_that_gives_the_stems():
    mixture = Blocks(Audio(sound(2), 8000), STFT(256))
    model = Blind(sources=2, components=6, iterations=5, starts=1).grouped(mixture)
    assert model.find_components(mixture.with_stft(model.stft)).mask_exponent == 1.5


def test_agreement_of_starts():
    mixture = Blocks(Audio(sound(2), 8000), STFT(256))
    found = Blind(sources=2, components=6, iterations=5).grouped(mixture).starts
    turned = replace(found[0], labels=1 - found[0].labels)
    assert agreement_of_starts(found[:1]) == 1
    assert agreement_of_starts((found[0], found[0])) == pytest.approx(1)
    assert agreement_of_starts((found[0], turned)) < 0.9
    images = [
        [one.templates[:, one.labels == j] @ one.factorization.H[one.labels == j] for j in range(2)]
        for one in found[:2]
    ]
    cosines = [np.vdot(a, b) / np.linalg.norm(a) / np.linalg.norm(b) for a, b in zip(*images, strict=True)]
    assert agreement_of_starts(found[:2]) == pytest.approx(np.mean(cosines), rel=1e-4)


def test_starts_that_differ_from_the_others_count_less():
    mixture = Blocks(Audio(sound(2), 8000), STFT(256))
    found = Blind(sources=2, components=6, iterations=5, starts=1).grouped(mixture).starts[0]
    turned = replace(found, labels=1 - found.labels)
    assert weights_by_agreement((found,)) == pytest.approx([1])
    assert weights_by_agreement((found, turned)) == pytest.approx([0.5, 0.5])
    weights = weights_by_agreement((found, turned, found, found))
    assert weights.sum() == pytest.approx(1)
    assert weights[1] < 0.05
    assert weights[[0, 2]] == pytest.approx(weights[3])


def test_silent_starts_count_equally():
    silent = Blind(sources=2, components=3, iterations=2).grouped(
        Blocks(Audio(np.zeros((1, 8000)), 8000), STFT(256))
    )
    assert silent.start_weights == pytest.approx(1 / len(silent.starts))


def test_the_masks_of_starts_and_regroupings_have_the_weights_of_the_starts():
    mixture = Blocks(Audio(sound(2), 8000), STFT(256))
    model = Blind(sources=2, components=6, iterations=5).grouped(mixture)
    assert np.ptp(model.start_weights) > 0.01
    plain = replace(model, mean_exponent=1.0)
    weights = np.concatenate([0.7 * model.start_weights, 0.3 * model.start_weights])
    block = mixture.with_stft(model.stft).block(3, 9)
    each = [
        replace(plain, starts=(one,), regroupings=()).separate(block)[model.sources[0]].values
        for one in (*model.starts, *model.regroupings)
    ]
    mean = np.tensordot(weights, np.array(each), axes=1)
    assert plain.separate(block)[model.sources[0]].values == pytest.approx(mean, abs=1e-5)


def test_regions_change_both_groupings(monkeypatch):
    mixture = Blocks(Audio(sound(2), 8000), STFT(256))
    options = Blind(sources=2, components=6, iterations=5, starts=1, region=("new=0-0.2@50-900",))
    model = options.grouped(mixture, options.regions())
    assert "new" in model.sources
    before = Blind(sources=2, components=6, iterations=5, starts=1).grouped(mixture)
    assert any(
        sorted(a.labels) != sorted(b.labels) or not np.array_equal(a.templates, b.templates)
        for a, b in zip(model.regroupings, before.regroupings, strict=True)
    )


def test_a_search_factorizes_once():
    found = Blind(sources=2, iterations=5).search(Blocks(Audio(sound(2), 8000), STFT(256)))
    first = found.factorizations(4, 2)
    assert found.factorizations(4, 2) is first
    assert found.factorizations(3, 2)[0].rank == 3


def test_more_starts_are_averaged():
    audio = Audio(sound(2), 8000)
    one, three = (
        separate(audio, make("blind", sources=2, components=6, starts=n, iterations=10)) for n in (1, 3)
    )
    first, other = (next(iter(found.stems.values())) for found in (one, three))
    assert not np.array_equal(first.samples, other.samples)
