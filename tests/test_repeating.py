import numpy as np
import pytest
from conftest import sound

from nmfaudio import STFT, Audio, make, separate
from nmfaudio.errors import OptionError
from nmfaudio.separators.repeating import Repeating
from nmfaudio.testing import check_separator


def test_the_contract_is_kept():
    assert len(check_separator(Repeating(apart=0.2))) > 5


def test_a_loop_and_a_solo_over_it_are_separated():
    generator = np.random.default_rng(0)
    loop = np.tile(0.2 * generator.standard_normal(4000) * np.exp(-np.arange(4000) / 1500), 12)
    solo = np.zeros(48000)
    for start in generator.integers(0, 45000, 12):
        time = np.arange(3000) / 8000
        solo[start : start + 3000] += 0.3 * np.sin(2 * np.pi * generator.uniform(300, 3000) * time)
    stems = separate(Audio(loop + solo, 8000), "repeating", apart=0.4).stems
    for name, truth in (("repeating", loop), ("foreground", solo)):
        assert np.std(stems[name].samples[0] - truth) < 0.5 * np.std(truth), name


def test_a_budget_bounds_memory_and_changes_no_bit(check_budget):
    audio = Audio(sound(10, 8000, channels=2), 8000)
    sizes = check_budget(Repeating(similar=3, within=5), audio, tolerance=0.05)
    one = 4 * 257 * STFT(512).frames(80000)
    assert sorted(sizes) == [one, 2 * one, 2 * one]  # unit spectra, magnitudes, background


@pytest.mark.parametrize(("place", "close"), [(0.5, 4.0), (12.5, 10.6), (23.3, 17.5)])
def test_similar_frames_are_searched_around_each_frame(place, close):
    generator = np.random.default_rng(0)
    samples = 0.1 * generator.standard_normal(24 * 8000)
    click = 0.5 * generator.standard_normal(800)
    first, near, far = (round(t * 62.5) * 128 for t in (place, close, (place + 12) % 24))
    samples[first : first + 800] = samples[far : far + 800] = click

    def repeated(within):
        stems = separate(Audio(samples, 8000), "repeating", similar=2, apart=0.3, within=within).stems
        return np.std(stems["repeating"].samples[0, first : first + 800])

    assert repeated(4.0) < 0.8 * repeated(50.0)
    samples[near : near + 800] = click
    assert repeated(4.0) > 0.9 * repeated(50.0)


@pytest.mark.parametrize(("options", "match"), [({"similar": 0}, "similar=0"), ({"apart": 0}, "apart=0")])
def test_wrong_options_are_refused(options, match):
    with pytest.raises(OptionError, match=match):
        make("repeating", **options)
