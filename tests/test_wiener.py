"""The multichannel Wiener filter: sums, its definition, and gains over masks for different positions."""

import numpy as np
import pytest

from nmfaudio import Audio
from nmfaudio.errors import SeparatorError
from nmfaudio.models.wiener import WienerFilter, difference, learn_filter, variances, wiener_filter
from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.stft import STFT

RATE, SETTINGS = 8000, STFT(512)


def random_points(channels=2, sources=3, seed=0):
    rng = np.random.default_rng(seed)
    shape = (channels, 7, 101)  # more frames than are filtered at once
    x = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
    v = rng.gamma(0.3, size=(sources, 7, 101))
    mix = rng.standard_normal((sources, 7, channels, channels)) + 1j * rng.standard_normal(
        (sources, 7, channels, channels)
    )
    return x, v, mix @ mix.conj().swapaxes(2, 3)


def naive_filter(x, v, covariances):
    stems = np.zeros((len(v), *x.shape), complex)
    for f, n in np.ndindex(x.shape[1:]):
        model = sum(v[j, f, n] * covariances[j, f] for j in range(len(v)))
        for j in range(len(v)):
            stems[j, :, f, n] = v[j, f, n] * covariances[j, f] @ np.linalg.inv(model) @ x[:, f, n]
    return stems


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_it_equals_its_definition(channels):
    points = random_points(channels)
    np.testing.assert_allclose(wiener_filter(*points), naive_filter(*points), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("channels", [2, 3])
@pytest.mark.parametrize("rank", [1, 2])
@pytest.mark.parametrize("scale", [1e-60, 1.0, 1e60])
def test_stems_sum_to_the_mixture(channels, rank, scale):
    x, v, covariances = random_points(channels)
    vectors = np.linalg.eigh(covariances)[1][..., -rank:]
    covariances = vectors @ vectors.conj().swapaxes(2, 3)
    v[:, 2] = 0  # a bin in which no source sounds
    v[1] = 0
    stems = wiener_filter(x * scale, v * scale, covariances)
    assert np.isfinite(stems).all()
    np.testing.assert_allclose(stems.sum(axis=0), x * scale, rtol=1e-9, atol=scale * 1e-12)


def test_input_is_left_alone():
    points = random_points()
    for array in points:
        array.setflags(write=False)
    assert np.isfinite(wiener_filter(*points)).all()


def test_shapes_that_do_not_fit_are_refused():
    x, v, covariances = random_points()
    with pytest.raises(SeparatorError, match=r"covariances of shape \(3, 6, 2, 2\) do not fit"):
        wiener_filter(x, v, covariances[:, :-1])


def covariance(*gains):
    return np.outer(gains, gains).astype(complex)


def test_the_difference_depends_on_the_angle_alone():
    assert difference(covariance(1, 0), covariance(0, 2)) == pytest.approx(1)
    assert difference(covariance(1, 1), 9 * covariance(1, 1)) == pytest.approx(0, abs=1e-12)
    assert difference(covariance(1, 1), covariance(1, -1)) == pytest.approx(1)
    assert difference(np.zeros((2, 2)), covariance(1, 1)) == 0


def panned(*angles, seconds=3, seed=0):
    """Noises of two bands, which overlap, each through a pan-pot at an angle in degrees."""
    rng = np.random.default_rng(seed)
    count = seconds * RATE
    spectra = [np.fft.rfft(rng.standard_normal(count)) for _ in angles]
    ramp = np.linspace(0, 1, count // 2 + 1)
    bursts = [np.sin(2 * np.pi * np.arange(count) * r / RATE) > 0 for r in (1.3, 2.1)]
    sounds = [
        np.fft.irfft(s * tilt) * burst
        for s, tilt, burst in zip(spectra, (ramp, 1 - ramp), bursts, strict=True)
    ]
    radians = np.deg2rad(angles)
    return [np.outer([np.cos(a), np.sin(a)], s) / 8 for a, s in zip(radians, sounds, strict=True)]


def blurred_masks(images):
    """A function that masks by the true powers, blurred over bins: right on the whole, wrong in detail."""
    blocks = [Blocks(Audio(image, RATE), SETTINGS) for image in images]

    def masked(block):
        powers = []
        for true in blocks:
            power = (true.block(block.start, block.stop).magnitude ** 2).mean(axis=0)
            powers.append(power + power.mean(axis=0))
        share = powers[0] / (sum(powers) + 1e-300)
        return {
            "a": block.with_values(block.values * share),
            "b": block.with_values(block.values * (1 - share)),
        }

    return masked


def errors(images, refine):
    mixture = Blocks(Audio(sum(images), RATE), SETTINGS)
    block = mixture.whole()
    masked = blurred_masks(images)(block)
    stems = refine(mixture, block, masked)
    truth = [Blocks(Audio(image, RATE), SETTINGS).whole().values for image in images]
    return [
        np.linalg.norm(s.values - t) / np.linalg.norm(t) for s, t in zip(stems.values(), truth, strict=True)
    ]


def filtered(images):
    def refine(mixture, block, masked):
        return learn_filter(mixture, blurred_masks(images)).refined(block, masked)

    return errors(images, refine)


def test_sources_at_different_positions_are_separated_better_than_by_masks():
    images = panned(20, 65)
    by_masks = errors(images, lambda mixture, block, masked: masked)
    assert np.all(np.array(filtered(images)) < 0.5 * np.array(by_masks))


def test_frames_beside_a_block_do_not_count_twice():
    images = [np.tile(image, 12) for image in panned(20, 65)]
    mixture = Blocks(Audio(sum(images), RATE), SETTINGS)
    assert len(mixture.bounds) > 1
    plain, wide = (learn_filter(mixture, blurred_masks(images), context=context) for context in (0, 40))
    for one, other in zip(plain.rounds, wide.rounds, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("angles", [(45, 45), (10, 10)])
def test_sources_at_one_position_get_no_filter(angles):
    images = panned(*angles)
    assert learn_filter(Blocks(Audio(sum(images), RATE), SETTINGS), blurred_masks(images)) is None


def test_one_channel_gets_no_filter():
    mono = [image[:1] for image in panned(20, 65)]
    assert learn_filter(Blocks(Audio(sum(mono), RATE), SETTINGS), blurred_masks(mono)) is None


def test_the_filter_does_not_depend_on_how_the_mixture_is_cut():
    images = panned(20, 65, seconds=30)  # three blocks
    mixture = Blocks(Audio(sum(images), RATE), SETTINGS)
    masked = blurred_masks(images)
    learned = learn_filter(mixture, masked, context=2)
    assert len(mixture.bounds) > 1
    whole = mixture.whole()
    once = learned.refined(whole, masked(whole))
    for start, stop in mixture.bounds:
        block = mixture.block(start, stop)
        for name, stem in learned.refined(block, masked(block)).items():
            np.testing.assert_allclose(stem.values, once[name].cut(start, stop).values, atol=1e-9)


def test_silence_gives_no_filter():
    mixture = Blocks(Audio(np.zeros((2, RATE)), RATE), SETTINGS)

    def masked(block):
        return {"a": block, "b": block}

    assert learn_filter(mixture, masked) is None


def test_powers_are_means_over_channels():
    stems = np.array([[[[3 + 4j]], [[1j]]]])
    assert variances(stems).tolist() == [[[13.0]]]


def test_each_round_applies_to_the_answer_of_the_one_before():
    x, v, covariances = random_points()
    block = Blocks(Audio(np.zeros((2, 256)), RATE), STFT(16)).whole()
    block = block.with_values(x)
    stems = {str(j): block.with_values(x * (v[j] / v.sum(axis=0))) for j in range(3)}
    once = WienerFilter((covariances,)).refined(block, stems)
    twice = WienerFilter((covariances, covariances)).refined(block, stems)
    again = WienerFilter((covariances,)).refined(block, once)
    for name in stems:
        np.testing.assert_array_equal(twice[name].values, again[name].values)
