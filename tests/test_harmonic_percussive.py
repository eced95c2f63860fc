import numpy as np
import pytest
from scipy.ndimage import median_filter

from nmfaudio import STFT, Audio, Spectrogram, make, separate
from nmfaudio.errors import OptionError
from nmfaudio.pipeline.fitting import fit
from nmfaudio.pipeline.option_values import options_of_class
from nmfaudio.separators.harmonic_percussive import HarmonicPercussive
from nmfaudio.testing import check_separator


def test_the_contract_is_kept():
    assert len(check_separator(HarmonicPercussive())) > 5
    assert len(check_separator(HarmonicPercussive(margin=(1.5, 3.0)))) > 5


def test_tones_and_clicks_are_separated():
    time = np.arange(24000) / 8000
    tone, clicks = 0.3 * np.sin(2 * np.pi * 440 * time), np.zeros(24000)
    clicks[2000::4000] = 0.9
    stems = separate(Audio(tone + clicks, 8000), "harmonic-percussive").stems
    assert np.std(stems["harmonic"].samples[0] - tone) < 0.1 * np.std(tone)
    assert np.std(stems["percussive"].samples[0] - clicks) < 0.8 * np.std(clicks)


def test_a_block_with_context_equals_the_whole():
    audio = Audio(np.random.default_rng(0).standard_normal((1, 16000)), 8000)
    fitted = fit(audio, HarmonicPercussive(reach=9))
    context = fitted.model.context
    whole, part = fitted.mixture.whole(), fitted.mixture.block(20 - context, 30 + context)
    for name, stem in fitted.model.separate(part).items():
        expected = fitted.model.separate(whole)[name].cut(20, 30).values
        np.testing.assert_allclose(stem.cut(20, 30).values, expected, atol=1e-9)


def tone_clicks_and_noise():
    time = np.arange(24000) / 8000
    tone, clicks = 0.3 * np.sin(2 * np.pi * 440 * time), np.zeros(24000)
    clicks[2000::8000], clicks[6000::8000] = 0.9, -0.9
    noise = 0.1 * np.random.default_rng(0).standard_normal(24000)
    return tone, clicks, noise - noise.mean()


def test_above_a_margin_of_one_a_residual_holds_what_is_neither():
    tone, clicks, noise = tone_clicks_and_noise()
    audio = Audio(tone + clicks + noise, 8000)
    plain = separate(audio, HarmonicPercussive()).stems
    stems = separate(audio, HarmonicPercussive(margin=3)).stems
    assert list(plain) == ["harmonic", "percussive"]
    assert list(stems) == ["harmonic", "percussive", "residual"]
    np.testing.assert_allclose(sum(stem.samples for stem in stems.values()), audio.samples, atol=1e-12)
    for name, truth in (("harmonic", tone), ("percussive", clicks)):
        errors = [np.std(separated[name].samples[0] - truth) for separated in (plain, stems)]
        assert errors[1] < 0.5 * errors[0], name
    assert np.std(stems["residual"].samples[0] - noise) < 0.4 * np.std(noise)


def test_a_higher_margin_leaves_more_in_the_residual():
    audio = Audio(sum(tone_clicks_and_noise()), 8000)
    energies = [
        np.sum(separate(audio, HarmonicPercussive(margin=margin)).stems["residual"].samples ** 2)
        for margin in (1.2, 2.0, 4.0)
    ]
    assert energies == sorted(energies)


@pytest.mark.parametrize(("margin", "same", "other"), [((1.0, 4.0), 0, 1), ((4.0, 1.0), 1, 0)])
def test_two_margins_are_those_of_tones_and_of_beats(margin, same, other):
    audio = Audio(sum(tone_clicks_and_noise()), 8000)
    plain, stems = (
        list(separate(audio, HarmonicPercussive(margin=value)).stems.values()) for value in (1.0, margin)
    )
    np.testing.assert_allclose(stems[same].samples, plain[same].samples, atol=1e-9)
    assert np.std(stems[other].samples) < 0.96 * np.std(plain[other].samples)


def test_the_masks_are_those_of_the_paper():
    generator = np.random.default_rng(3)
    magnitude = generator.gamma(0.5, size=(1, 33, 40))
    block = Spectrogram(magnitude.astype(complex), STFT(64), 8000)
    separator = HarmonicPercussive(reach=5, mask_exponent=1.5, margin=(2.0, 3.0))
    tones = median_filter(magnitude, (1, 1, 5), mode="reflect") ** 1.5
    beats = median_filter(magnitude, (1, 5, 1), mode="reflect") ** 1.5
    masks = separator.masks(block)
    np.testing.assert_allclose(masks["harmonic"], tones / (tones + 2**1.5 * beats), rtol=1e-6)
    np.testing.assert_allclose(masks["percussive"], beats / (beats + 3**1.5 * tones), rtol=1e-6)
    np.testing.assert_allclose(sum(masks.values()), 1, rtol=1e-12)


def test_the_command_line_sets_one_or_two_margins():
    margin = options_of_class(HarmonicPercussive)["margin"]
    assert [margin.parse(text) for text in ("2", "2.5,3")] == [2.0, (2.5, 3.0)]


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"reach": 4}, "reach=4"),
        ({"window": -1}, "window=-1"),
        ({"margin": 0.9}, "margin=0.9: it must be at least 1"),
        ({"margin": (2.0, 0.5)}, "margin=0.5: it must be at least 1"),
        ({"margin": ()}, "pass one or two finite numbers"),
        ({"margin": (1.0, 2.0, 3.0)}, "pass one or two finite numbers"),
        ({"margin": np.inf}, "pass one or two finite numbers"),
    ],
)
def test_wrong_options_are_refused(settings, match):
    with pytest.raises(OptionError, match=match):
        make("harmonic-percussive", **settings)
