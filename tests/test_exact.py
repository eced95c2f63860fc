import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmfaudio.sound.exact import round_to_integers, split_integers


@given(st.integers(0, 2**32), st.integers(1, 6), st.sampled_from([8, 16, 24, 32]))
def test_integers_sum_to_the_mixture_and_stay_near_their_stem(seed, count, bits):
    generator = np.random.default_rng(seed)
    full = 1 << (bits - 1)
    mixture = generator.integers(-full, full, (2, 50)) / full
    weights = generator.dirichlet(np.ones(count), (2, 50))
    stems = [mixture * weights[..., j] for j in range(count)]
    parts = split_integers(mixture, stems, bits)
    assert np.array_equal(sum(integers for integers, _ in parts), round_to_integers(mixture * full))
    for (integers, clipped), stem in zip(parts, stems, strict=True):
        assert clipped == 0
        assert np.abs(integers - stem * full).max() <= 1 + 1e-6


def test_the_sum_is_that_of_the_mixture_despite_rounding_errors():
    mixture = np.array([[0.5, 1.5, 2.5]]) / 32768
    for error in (-1e-15, 1e-15):
        parts = split_integers(mixture, [mixture / 3, mixture * 2 / 3 + error], 16)
        assert sum(integers for integers, _ in parts).tolist() == [[0, 2, 2]]


def test_a_silent_stem_stays_silent():
    mixture = np.random.default_rng(0).uniform(-0.5, 0.5, (1, 100))
    stems = [mixture / 3, np.zeros_like(mixture), 2 * mixture / 3, np.zeros_like(mixture)]
    parts = split_integers(mixture, stems, 16)
    assert not parts[1][0].any()


def test_clipping_is_counted():
    mixture = np.array([[0.5, 0.0]])
    (first, over), (second, under) = split_integers(
        mixture, [np.array([[1.5, 0]]), np.array([[-1.0, 0]])], 16
    )
    assert (first.tolist(), over) == ([[32767, 0]], 1)
    assert (second.tolist(), under) == ([[-32768, 0]], 0)


def test_a_mixture_beyond_full_scale_is_not_clipped_where_its_stems_fit():
    mixture = np.array([[1.5, -1.8]])
    parts = split_integers(mixture, [mixture / 2, mixture / 2], 16)
    assert sum(clipped for _, clipped in parts) == 0
    assert (parts[0][0] + parts[1][0]).tolist() == [[49152, -58982]]


@pytest.mark.parametrize("value", [1e300, -1e300])
def test_a_value_far_beyond_full_scale_is_clipped(value):
    ((integers, clipped),) = split_integers(np.array([[value]]), [np.array([[value]])], 16)
    assert integers[0, 0] == (32767 if value > 0 else -32768)
    assert clipped == 1
