"""Panned sources in two channels: two are solved, more are filtered; without panning, `blind` separates."""

import numpy as np
import pytest
from scipy.signal import fftconvolve, resample_poly

from nmfaudio import Audio, read, separate
from nmfaudio.errors import OptionError
from nmfaudio.separators.stereo.separator import Stereo, _joined
from nmfaudio.testing import check_separator

RATE = 44100
NAMES = [
    "night_bus/clarinet",
    "piano_and_flute/piano",
    "night_bus/bass",
    "drum_loop/snare",
    "piano_and_flute/flute",
]


def images(samples, angles, seconds=6):
    """Stems of the samples, equally loud, each through a pan-pot at an angle in degrees."""
    found = []
    for name, angle in zip(NAMES, np.deg2rad(angles), strict=False):
        stem = read(samples / f"{name}.flac").samples.mean(axis=0)[: seconds * RATE]
        found.append(np.outer([np.cos(angle), np.sin(angle)], 0.05 * stem / stem.std()))
    return found


def si_sdr(truth, found):
    target = truth * np.vdot(truth, found) / np.vdot(truth, truth)
    return 10 * np.log10(np.sum(target**2) / np.sum((found - target) ** 2))


def gains(truths, mixture, separation):
    """What each source gains in SI-SDR over the mixture; stems and sources both go from left to right."""
    stems = [stem.samples for stem in separation.stems.values()]
    return [si_sdr(t, s) - si_sdr(t, mixture) for t, s in zip(truths, stems, strict=True)]


def test_the_contract_is_kept():
    assert len(check_separator(Stereo(sources=2, iterations=3))) > 5


@pytest.mark.parametrize("angles", [[15, 60], [40, 48], [-30, 30]])
def test_two_sources_are_counted_and_separated_almost_perfectly(samples, angles):
    truths = images(samples, angles)
    mixture = sum(truths)
    found = separate(Audio(mixture, RATE), Stereo())
    assert min(gains(truths, mixture, found)) > 50


@pytest.mark.parametrize("angles", [[15, 45, 75], [8, 32, 55, 78], [5, 25, 45, 65, 85]])
def test_more_sources_than_channels_gain_much(samples, angles):
    truths = images(samples, angles)
    mixture = sum(truths)
    found = separate(Audio(mixture, RATE), Stereo(sources=len(angles)))
    reached = gains(truths, mixture, found)
    assert np.mean(reached) > 15
    assert min(reached) > 10


def test_a_little_reverberation_is_tolerated(samples):
    truths = images(samples, [25, 62])
    rng = np.random.default_rng(1)
    tails = rng.standard_normal((2, RATE // 2)) * np.exp(-np.arange(RATE // 2) / 5000)
    dry = sum(truths)
    wet = np.stack([fftconvolve(dry.sum(axis=0), tail)[: dry.shape[1]] for tail in tails])
    mixture = dry + wet * 0.1 * np.linalg.norm(dry) / np.linalg.norm(wet)
    found = separate(Audio(mixture, RATE), Stereo(sources=2))
    assert min(gains(truths, mixture, found)) > 12


def test_positions_name_the_stems_from_left_to_right(samples):
    found = separate(Audio(sum(images(samples, [9, 45, 76.5])), RATE), Stereo(iterations=2))
    assert list(found.stems) == ["left80", "middle", "right70"]
    expected = "3 panning positions found: left80, middle, right70; sources at the same position share a stem"
    assert found.result.messages == (expected,)


def test_fewer_sources_than_positions_join_neighbours(samples):
    truths = images(samples, [10, 20, 70])
    found = separate(Audio(sum(truths), RATE), Stereo(sources=2, iterations=20))
    assert len(found.stems) == 2
    left, right = (stem.samples for stem in found.stems.values())
    assert si_sdr(truths[0] + truths[1], left) > 15
    assert si_sdr(truths[2], right) > 15


def test_neighbours_are_cut_where_they_are_farthest_apart():
    assert _joined(np.array([0.1, 0.2, 0.9, 1.0, 1.5]), 3).tolist() == [0, 0, 1, 1, 2]
    assert _joined(np.array([0.1, 0.2, 0.9]), 1).tolist() == [0, 0, 0]


@pytest.mark.parametrize("channels", [1, 3])
def test_without_two_channels_a_message_says_so_and_timbre_decides(samples, channels):
    mono = read(samples / "drum_loop.flac").samples.mean(axis=0)[: 2 * RATE]
    found = separate(Audio(np.stack([mono] * channels), RATE), Stereo(sources=2))
    assert "by timbre" in found.result.messages[0]
    assert len(found.stems) == 2


def test_two_equal_channels_are_separated_by_timbre(samples):
    mono = read(samples / "drum_loop.flac").samples.mean(axis=0)[: 2 * RATE]
    found = separate(Audio(np.stack([mono, mono]), RATE), Stereo(sources=2))
    assert found.result.messages[0].startswith("1 panning position found: sources are separated by")


@pytest.mark.parametrize(
    "options", [{"sources": 0}, {"templates": 0}, {"iterations": 0}, {"seed": -1}, {"window": 0.0}]
)
def test_wrong_options_are_refused(options):
    with pytest.raises(OptionError, match=next(iter(options))):
        Stereo(**options)


def test_a_source_in_the_middle_is_separated_from_a_rest_without_position(samples):
    flute, piano = (
        resample_poly(
            read(samples / "piano_and_flute" / f"{n}.flac").samples.mean(axis=0)[44100 : 4 * 44100], 160, 441
        )
        for n in ("flute", "piano")
    )
    responses = np.random.default_rng(0).standard_normal((2, 4000)) * np.exp(-np.arange(4000) / 1000)
    rest = np.stack([fftconvolve(piano, response)[: len(piano)] for response in responses])
    middle = np.stack([flute, flute]) * rest.std() / flute.std()
    mixture = 0.05 * (middle + rest) / rest.std()
    found = separate(Audio(mixture, 16000), Stereo())
    assert list(found.stems) == ["middle", "rest"]
    np.testing.assert_allclose(sum(s.samples for s in found.stems.values()), mixture, atol=1e-6)
    for stem, truth in zip(found.stems.values(), (middle, rest), strict=True):
        assert si_sdr(truth, stem.samples) > si_sdr(truth, mixture) + 6
