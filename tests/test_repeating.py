import numpy as np
import pytest

from nmfaudio import Audio, make, separate
from nmfaudio.errors import OptionError
from nmfaudio.separators.repeating import Repeating
from nmfaudio.testing import check_separator


def test_the_contract_is_kept():
    assert len(check_separator(Repeating(apart=0.2))) > 5


def test_a_loop_and_what_is_played_over_it_come_apart():
    generator = np.random.default_rng(0)
    loop = np.tile(0.2 * generator.standard_normal(4000) * np.exp(-np.arange(4000) / 1500), 12)
    solo = np.zeros(48000)
    for start in generator.integers(0, 45000, 12):
        time = np.arange(3000) / 8000
        solo[start : start + 3000] += 0.3 * np.sin(2 * np.pi * generator.uniform(300, 3000) * time)
    stems = separate(Audio(loop + solo, 8000), "repeating", apart=0.4).stems
    for name, truth in (("repeating", loop), ("foreground", solo)):
        assert np.std(stems[name].samples[0] - truth) < 0.5 * np.std(truth), name


@pytest.mark.parametrize(("options", "match"), [({"similar": 0}, "similar=0"), ({"apart": 0}, "apart=0")])
def test_bad_options_are_named(options, match):
    with pytest.raises(OptionError, match=match):
        make("repeating", **options)
