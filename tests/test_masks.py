import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmfaudio.errors import SeparatorError
from nmfaudio.models.masks import normalised_masks, soft_masks
from nmfaudio.sound.spectrogram import Spectrogram
from nmfaudio.sound.stft import STFT


def block(seed=0, channels=2, frames=7):
    generator = np.random.default_rng(seed)
    values = generator.standard_normal((channels, 9, frames)) + 1j * generator.standard_normal(
        (channels, 9, frames)
    )
    return Spectrogram(values, STFT(16), 8000, start=3)


@given(st.integers(0, 10**6), st.integers(1, 5), st.sampled_from([0.5, 1.0, 2.0, 10.0]), st.integers(-35, 35))
@settings(deadline=None)
def test_stems_sum_to_the_mixture_and_none_is_louder(seed, count, exponent, power):
    mixture = block(seed)
    generator = np.random.default_rng(seed)
    estimates = {
        str(j): ((generator.random((2, 9, 7)) ** 20) * 10.0**power).astype(np.float32) for j in range(count)
    }
    estimates["0"][:, 3:5] = 0
    stems = soft_masks(mixture, estimates, mask_exponent=exponent)
    np.testing.assert_allclose(sum(s.values for s in stems.values()), mixture.values, rtol=1e-6)
    for stem in stems.values():
        assert (np.abs(stem.values) <= np.abs(mixture.values) * (1 + 1e-6)).all()
        assert stem.start == mixture.start


def test_where_nothing_is_estimated_the_mixture_is_shared_equally():
    mixture = block()
    stems = soft_masks(mixture, {name: np.zeros((2, 9, 7)) for name in "abc"})
    for stem in stems.values():
        np.testing.assert_allclose(stem.values, mixture.values / 3)


def test_a_higher_exponent_separates_harder():
    mixture = block()
    estimates = {"a": np.full((2, 9, 7), 3.0), "b": np.full((2, 9, 7), 1.0)}
    shares = [soft_masks(mixture, estimates, mask_exponent=e)["a"].values / mixture.values for e in (1, 2)]
    np.testing.assert_allclose(shares[0].real, 0.75)
    np.testing.assert_allclose(shares[1].real, 0.9)


def test_one_channel_of_estimates_serves_all_channels():
    mixture = block()
    one = {"a": np.full((1, 9, 7), 3.0), "b": np.full((1, 9, 7), 1.0)}
    both = {name: np.repeat(e, 2, axis=0) for name, e in one.items()}
    np.testing.assert_array_equal(soft_masks(mixture, one)["a"].values, soft_masks(mixture, both)["a"].values)


@pytest.mark.parametrize("shape", [(9, 7), (2, 9, 8), (3, 9, 7)])
def test_estimates_of_another_shape_are_refused_by_name(shape):
    with pytest.raises(SeparatorError, match="estimate of 'drums'"):
        soft_masks(block(), {"drums": np.ones(shape)})


@given(st.integers(0, 10**6), st.integers(1, 5), st.sampled_from([0.5, 0.75, 1.0, 1.5, 2.0]), st.booleans())
@settings(deadline=None)
def test_masks_sum_to_one_and_follow_their_definition(seed, count, exponent, by_root):
    estimates = np.random.default_rng(seed).random((count, 2, 9, 7)) ** 9 + 1e-6
    estimates[:, :, 3:5] = 0
    found = normalised_masks(estimates, exponent, by_root=by_root)
    np.testing.assert_allclose(found.sum(axis=0), 1, rtol=1e-12)
    np.testing.assert_allclose(found[:, :, 3:5], 1 / count)
    powers = estimates[:, :, 5:] ** exponent
    np.testing.assert_allclose(found[:, :, 5:], powers / powers.sum(axis=0), rtol=1e-9)
    assert normalised_masks(estimates.astype(np.float32), exponent).dtype == np.float32
