import numpy as np
import pytest

from nmfaudio import Audio, make, separate
from nmfaudio.errors import OptionError
from nmfaudio.separators.harmonic_percussive import HarmonicPercussive
from nmfaudio.testing import check_separator


def test_the_contract_is_kept():
    assert len(check_separator(HarmonicPercussive())) > 5


def test_tones_and_clicks_come_apart():
    time = np.arange(24000) / 8000
    tone, clicks = 0.3 * np.sin(2 * np.pi * 440 * time), np.zeros(24000)
    clicks[2000::4000] = 0.9
    stems = separate(Audio(tone + clicks, 8000), "harmonic-percussive").stems
    assert np.std(stems["harmonic"].samples[0] - tone) < 0.1 * np.std(tone)
    assert np.std(stems["percussive"].samples[0] - clicks) < 0.8 * np.std(clicks)


def test_blocks_are_as_the_whole():
    from nmfaudio.pipeline.fitting import fit

    audio = Audio(np.random.default_rng(0).standard_normal((1, 16000)), 8000)
    fitted = fit(audio, HarmonicPercussive(reach=9))
    context = fitted.model.context
    whole, part = fitted.mixture.whole(), fitted.mixture.block(20 - context, 30 + context)
    for name, stem in fitted.model.separate(part).items():
        expected = fitted.model.separate(whole)[name].cut(20, 30).values
        np.testing.assert_allclose(stem.cut(20, 30).values, expected, atol=1e-9)


@pytest.mark.parametrize(("options", "match"), [({"reach": 4}, "reach=4"), ({"window": -1}, "window=-1")])
def test_bad_options_are_named(options, match):
    with pytest.raises(OptionError, match=match):
        make("harmonic-percussive", **options)
