"""The start from least squares on a random sketch."""

import numpy as np
import pytest
from scipy.optimize import nnls

from nmfaudio import Stream, factorize
from nmfaudio.errors import OptionError
from nmfaudio.nmf.sketch_kernels import descend_coordinates


def parts(bins=120, frames=400, rank=6, seed=0):
    """Return a noisy mixture of parts, (bins, frames), that differ much in level."""
    generator = np.random.default_rng(seed)
    W = generator.random((bins, rank)) ** 6 * 10.0 ** -generator.uniform(0, 2, rank)
    H = generator.random((rank, frames)) ** 6 * np.linspace(0.01, 1, frames)
    return (W @ H * generator.gamma(8, 1 / 8, (bins, frames)) + 1e-6).astype(np.float32)


def divergence_of(V, model, beta):
    """Return the Itakura-Saito (0), Kullback-Leibler (1) or Euclidean (2) divergence in float64."""
    ratio = V / model
    each = {0: ratio - np.log(ratio) - 1, 1: V * np.log(ratio) - V + model, 2: 0.5 * (V - model) ** 2}
    return each[beta].sum()


@pytest.mark.parametrize("beta", [-1, 0, 0.5, 1, 1.5, 2, 3])
def test_a_few_updates_from_a_sketch_come_as_far_as_many_from_noise(beta):
    near, far = [], []
    for seed in range(5):
        near.append(factorize(parts(), 6, divergence=beta, init="sketch", iterations=20, seed=seed).objective)
        far.append(factorize(parts(), 6, divergence=beta, init="random", iterations=40, seed=seed).objective)
    assert np.median([o[-1] for o in near]) < np.median([o[-1] for o in far])


@pytest.mark.parametrize("divergence", ["kl", "is"])
def test_the_bits_depend_neither_on_threads_nor_on_what_holds_the_data(divergence):
    V = parts(frames=1000)
    stream = Stream(*V.shape, lambda start, stop: V[:, start:stop])
    found = [
        factorize(data, 5, divergence=divergence, init="sketch", iterations=2, threads=threads)
        for data, threads in ((V, 1), (V, 2), (V, 3), (stream, 2))
    ]
    for other in found[1:]:
        np.testing.assert_array_equal(other.W, found[0].W)
        np.testing.assert_array_equal(other.H, found[0].H)


@pytest.mark.parametrize("divergence", ["kl", "is", 2, 0.5])
@pytest.mark.parametrize("exponent", [-600, -90, 90, 600])
def test_a_power_of_two_changes_no_bit(divergence, exponent):
    V = parts().astype(np.float64)
    one, other = (
        factorize(data, 4, divergence=divergence, init="sketch", iterations=6)
        for data in (V, np.ldexp(V, exponent if divergence != 2 else exponent // 4))
    )
    np.testing.assert_array_equal(one.W, other.W)
    np.testing.assert_array_equal(one.H, np.ldexp(other.H, -(exponent if divergence != 2 else exponent // 4)))


def test_silent_frames_and_bins_stay_silent_and_others_do_not():
    V = parts()
    V[7:11], V[:, 30:50] = 0, 0
    found = factorize(V, 6, init="sketch", iterations=3)
    assert not found.W[7:11].any()
    assert not found.H[:, 30:50].any()
    assert (np.delete(found.W, np.s_[7:11], axis=0) > 0).all()
    assert (np.delete(found.H, np.s_[30:50], axis=1) > 0).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (3, 4), (200, 3)])
@pytest.mark.parametrize("beta", [0, 1, 2])
@pytest.mark.parametrize("rank", [1, 7])
def test_the_smallest_data_have_a_start_too(shape, beta, rank):
    V = np.random.default_rng(0).random(shape) + 0.1
    found = factorize(V, rank, divergence=beta, init="sketch")
    assert np.isfinite(found.W).all()
    assert np.isfinite(found.H).all()
    if rank >= min(shape):
        # An exact model exists. The divergence does not bound the relative error of a single entry, so the
        # divergence itself is judged: the solver stops at changes of 1e-4, here of that from a constant,
        # plus the rounding of float32.
        allowed = 1e-4 * divergence_of(V, np.full_like(V, V.mean()), beta) + 1e-6 * V.size
        assert divergence_of(V, found.W @ found.H, beta) <= allowed


def test_silence_has_a_start_too():
    found = factorize(np.zeros((5, 9)), 2, init="sketch")
    assert not found.H.any()
    assert np.isfinite(found.W).all()


def test_seeds_are_different_starts():
    one, other = (factorize(parts(), 6, iterations=3, seed=seed).W for seed in (0, 1))
    assert not np.allclose(one, other, rtol=0.1)


@pytest.mark.parametrize(
    "given", [{"frozen": np.ones((120, 1))}, {"allowed": (None, np.ones((4, 400), bool))}]
)
def test_a_sketch_knows_nothing_of_fixed_parts(given):
    with pytest.raises(OptionError, match="init='sketch' takes no frozen templates and no masks"):
        factorize(parts(), 4, init="sketch", **given)
    found, noise = (factorize(parts(), 4, iterations=2, **given, **init) for init in ({}, {"init": "random"}))
    np.testing.assert_array_equal(found.W, noise.W)


@pytest.mark.parametrize("components", [1, 3, 4, 9])
def test_coordinates_come_to_rest_where_least_squares_do(components):
    generator = np.random.default_rng(3)
    W, V = generator.random((30, components)), generator.random((30, 300)) - 0.45
    X = np.zeros((components, 320), np.float32)
    for _ in range(500):
        descend_coordinates(*(m.astype(np.float32) for m in (W.T @ W, W.T @ V)), X, 10)
    expected = np.array([nnls(W, v)[0] for v in V.T]).T
    assert (expected == 0).any()
    assert (expected > 0).any()
    np.testing.assert_allclose(X[:, 10:310], expected, atol=2e-3)
    assert not X[:, :10].any()
    assert not X[:, 310:].any()
