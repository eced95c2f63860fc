"""Coherence of the channels in each component: synthetic sounds, then its part in the grouping."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nmfaudio import STFT, Audio, Blocks
from nmfaudio.separators.blind import starts
from nmfaudio.separators.blind.coherence import coherences
from nmfaudio.separators.blind.grouping import Grouping, group_components
from nmfaudio.separators.blind.search import ComponentSearch

RATE = 8000
Sound = NDArray[np.float64]


def noise(seed: int) -> Sound:
    return np.random.default_rng(seed).standard_normal(RATE)


def coherence_of(*channels: Sound) -> float:
    """Coherence of a mixture that is a single component."""
    search = ComponentSearch(
        Blocks(Audio(np.stack(channels), RATE), STFT(256)), divergence="kl", iterations=3, seed=0
    )
    return float(coherences(search, search.factorizations(1, 1))[0][0])


@pytest.mark.parametrize("channels", [2, 3])
@pytest.mark.parametrize("gain", [1.0, 0.2, -0.5])
def test_channels_with_a_fixed_ratio_are_coherent(channels: int, gain: float) -> None:
    sound = noise(0)
    assert coherence_of(sound, *[gain * sound] * (channels - 1)) == pytest.approx(1, abs=1e-3)


def test_a_short_delay_between_the_channels_leaves_them_coherent() -> None:
    assert coherence_of(noise(0), np.roll(noise(0), 3)) > 0.9


@pytest.mark.parametrize("channels", [2, 3])
def test_independent_channels_are_not_coherent(channels: int) -> None:
    assert coherence_of(*[noise(seed) for seed in range(channels)]) < 0.3


def test_more_common_sound_means_more_coherence() -> None:
    values = [coherence_of(noise(0) + g * noise(1), noise(0) + g * noise(2)) for g in (0.3, 1.0, 3.0)]
    assert values[0] > values[1] + 0.1 > values[2] + 0.2


@pytest.mark.parametrize("level", [0.3, 1.0, 2.0])
def test_the_coherence_is_the_part_of_the_energy_that_is_common(level: float) -> None:
    value = coherence_of(noise(0) + level * noise(1), noise(0) + level * noise(2))
    assert value == pytest.approx(1 / (1 + level**2), abs=0.1)


def test_a_silent_channel_has_nothing_in_common_with_another() -> None:
    assert coherence_of(noise(0), np.zeros(RATE)) == 0


def test_a_single_channel_is_coherent() -> None:
    assert coherence_of(noise(0)) == 1


@pytest.mark.parametrize("most_values", [None, 129 * 2 * 40])
def test_each_component_has_its_own_coherence(most_values: int | None) -> None:
    time = np.arange(2 * RATE) / RATE
    middle = np.sin(2 * np.pi * 400 * time) * (time % 0.5 < 0.2)
    hiss = [np.diff(noise(seed), prepend=[0, 0], n=2) for seed in (1, 2)]
    gate = np.repeat([0, 1, 0, 1, 1, 0, 1, 0], RATE // 4)
    audio = Audio(np.stack([middle + 0.1 * gate * np.tile(side, 2) for side in hiss]), RATE)
    mixture = Blocks(audio, STFT(256))
    search = ComponentSearch(mixture, divergence="kl", iterations=50, seed=0, most_values=most_values)
    assert search.learned_frames == (mixture.frames if most_values is None else 40)
    one = search.factorizations(2, 1)[0]
    tone, wide = coherences(search, [one])[0][np.argsort(np.argmax(one.W, axis=0))]
    assert tone > 0.8
    assert wide < 0.5


def test_blind_groups_each_start_by_the_coherence_of_its_components(monkeypatch: pytest.MonkeyPatch) -> None:
    given = []

    def grouping(W: Sound, H: Sound, *rest: Any, coherence: Sound, **options: Any) -> Grouping:
        given.append(coherence)
        return group_components(W, H, *rest, coherence=coherence, **options)

    monkeypatch.setattr(starts, "group_components", grouping)
    audio = Audio(np.stack([noise(0) + noise(1), noise(0) + noise(2)]), RATE)
    search = ComponentSearch(Blocks(audio, STFT(256)), divergence="kl", iterations=5, seed=0)
    starts.grouped_starts(search, 5, 2, 2)
    expected = coherences(search, search.factorizations(5, 2))
    assert len(given) == 4  # two starts, with and without envelopes
    for number, coherence in zip((0, 1, 0, 1), given, strict=True):
        np.testing.assert_array_equal(coherence, expected[number])


@pytest.mark.parametrize("difference", [0.0, 0.4])
def test_components_of_one_timbre_are_separated_by_their_coherence(difference: float) -> None:
    rng = np.random.default_rng(0)
    W, H = 1 + 0.01 * rng.uniform(size=(65, 8)), 1 + rng.uniform(size=(8, 40))
    side = np.array([0, 1, 1, 0, 1, 0, 0, 1])
    frequencies = np.linspace(0, 4000, 65)
    labels, plain = (
        group_components(W, H, frequencies, coherence=coherence, sources=2).labels
        for coherence in (0.5 + difference * side, None)
    )
    is_split = len(set((labels == labels[0]) ^ (side == side[0]))) == 1
    assert is_split == (difference > 0)
    assert is_split or labels.tolist() == plain.tolist()
