from dataclasses import replace

import naive
import numpy as np
import pytest

from nmfaudio import convolve
from nmfaudio.errors import MatrixError, OptionError
from nmfaudio.nmf import convolutive

BETAS = [1.0, 0.0, 2.0, 0.5, 1.5, -1.0, 3.0]


def matrix(bins=17, frames=60, seed=0):
    """Two sounds of three frames that decay and overlap, over a little noise."""
    generator = np.random.default_rng(seed)
    sounds = generator.random((2, bins, 3)) ** 4 * np.array([1, 0.5, 0.2])
    V = 0.02 * generator.random((bins, frames)) + 1e-3
    for sound in sounds:
        for n in generator.integers(0, frames - 3, 8):
            V[:, n : n + 3] += sound
    return V


def start(V, rank=2, lags=3, seed=1):
    generator = np.random.default_rng(seed)
    return 0.1 + generator.random((rank, len(V), lags)), 0.1 + generator.random((rank, V.shape[1]))


@pytest.mark.parametrize("beta", BETAS)
def test_updates_are_those_of_the_loops(beta):
    V = matrix()
    W, H = start(V)
    found = convolve(V, 2, 3, divergence=beta, init=(W, H), solver="mu", iterations=4, tolerance=0)
    W2, H2, curve = naive.convolve(V, W, H, beta, 4, floor=1e-9)
    total = W2.sum(axis=(1, 2))
    np.testing.assert_allclose(found.W, W2 / total[:, None, None], rtol=2e-3, atol=1e-6)
    np.testing.assert_allclose(found.H, H2 * total[:, None], rtol=2e-3, atol=1e-6)
    np.testing.assert_allclose(found.objective, [curve[0], curve[-1]], rtol=1e-3)


@pytest.mark.parametrize("solver", ["mu", "accelerated"])
@pytest.mark.parametrize("beta", BETAS)
def test_the_objective_never_rises(beta, solver):
    found = convolve(matrix(), 3, 4, divergence=beta, solver=solver, iterations=60, tolerance=0)
    steps = np.diff(found.objective) / np.abs(found.objective[:-1])
    assert steps.max() < 1e-6
    assert found.objective[-1] < 0.9 * found.objective[0]


def test_the_objective_is_the_divergence_from_the_model():
    V = matrix()
    found = convolve(V, 2, 3, iterations=20)
    model = sum(found.model(k) for k in range(2))
    np.testing.assert_allclose(model, naive.convolved(found.W, found.H), rtol=1e-9)
    assert found.divergence.between(V, model) == pytest.approx(found.objective[-1], rel=1e-3)
    np.testing.assert_allclose(found.model(1, 20, 33), found.model(1)[:, 20:33])


def test_the_model_of_several_components_is_the_sum_of_their_models():
    found = convolve(matrix(), 3, 4, iterations=5)
    short = found.W.copy()
    short[1, :, 1:] = 0  # a template that ends early
    found = replace(found, W=short)
    for start_, stop in ((0, 60), (2, 33), (58, 60)):
        expected = naive.convolved(found.W[1:], found.H[1:])[:, start_:stop]
        np.testing.assert_allclose(found.model([1, 2], start_, stop), expected, rtol=1e-9)
        np.testing.assert_allclose(found.model(1, start_, stop) + found.model(2, start_, stop), expected)


def test_frames_of_a_template_that_stay_zero_take_no_time(monkeypatch):
    V, rows = matrix(), []
    W, H = start(V, rank=3)
    W[1, :, 1:] = W[2, :, 1] = 0

    class Counting(convolutive.LaggedUpdates):
        def step(self, templates, H, **options):
            rows.append(len(self._places))
            return super().step(templates, H, **options)

    monkeypatch.setattr(convolutive, "LaggedUpdates", Counting)
    found = convolve(V, 3, 3, init=(W, H), iterations=6, tolerance=0)
    assert set(rows) == {6}  # of nine
    assert not found.W[1, :, 1:].any()
    assert not found.W[2, :, 1].any()
    assert found.W[2, :, 2].any()
    expected, _, _ = naive.convolve(V, W, H, 1.0, 2, floor=1e-9)
    plain = convolve(V, 3, 3, init=(W, H), solver="mu", iterations=2, tolerance=0)
    np.testing.assert_allclose(
        plain.W, expected / expected.sum(axis=(1, 2), keepdims=True), rtol=2e-3, atol=1e-6
    )


def test_activations_of_a_template_that_fades_out_are_kept():
    V = matrix()
    W, H = start(V)
    W[:, :, 2] *= 1e-25
    found = convolve(V, 2, 3, init=(W, H), solver="mu", iterations=2, tolerance=0)
    W2, H2, _ = naive.convolve(V, W, H, 1.0, 2, floor=1e-9)
    np.testing.assert_allclose(found.H, H2 * W2.sum(axis=(1, 2))[:, None], rtol=2e-3, atol=1e-6)


def test_templates_beside_frozen_ones_learn():
    V = matrix()
    W, H = start(V)
    found = convolve(V, 2, 3, init=(W, H), frozen=W[:1], iterations=4, tolerance=0)
    unit = W / W.sum(axis=(1, 2), keepdims=True)
    assert np.array_equal(found.W[0], W[0])
    assert np.abs(found.W[1] - unit[1]).max() > 1e-3


def test_templates_of_several_frames_explain_what_single_frames_cannot():
    V = matrix()
    assert convolve(V, 2, 3).objective[-1] < 0.7 * convolve(V, 2, 1).objective[-1]


@pytest.mark.parametrize("beta", [0.0, 1.0, 2.0])
def test_the_same_bits_on_any_number_of_threads(beta):
    V = matrix(33, 700)
    one, two = (convolve(V, 4, 5, divergence=beta, iterations=12, threads=n) for n in (1, 3))
    assert np.array_equal(one.W, two.W)
    assert np.array_equal(one.H, two.H)


@pytest.mark.parametrize("scale", [1e-6, 1e6, 2.0**-300])
def test_level_is_no_concern(scale):
    V = matrix()
    plain, scaled = (convolve(v, 2, 3, iterations=20) for v in (V, V * scale))
    np.testing.assert_allclose(scaled.W, plain.W, rtol=0.02, atol=1e-5)
    np.testing.assert_allclose(scaled.H / scale, plain.H, rtol=0.02, atol=1e-3)


def test_frozen_templates_come_back_bit_by_bit():
    V = matrix()
    W = start(V)[0] * 3
    found = convolve(V, 3, 3, frozen=W[:1], iterations=15)
    assert np.array_equal(found.W[0], W[0])
    assert found.W[1:].sum(axis=(1, 2)) == pytest.approx(1)
    fixed = convolve(V, 2, 3, frozen=W, iterations=15)
    assert np.array_equal(fixed.W, W)
    assert fixed.objective[-1] < fixed.objective[0]


def test_what_is_not_allowed_stays_zero():
    V = matrix()
    masks = start(V)[0] > 0.5, start(V)[1] > 0.5
    found = convolve(V, 2, 3, allowed=masks, iterations=30)
    assert not found.W[~masks[0]].any()
    assert not found.H[~masks[1]].any()
    assert found.H[masks[1]].any()


@pytest.mark.parametrize("shape", [(5, 1), (1, 1), (4, 2)])
def test_fewer_frames_than_lags_and_silence_are_ordinary(shape):
    for V in (np.zeros(shape), np.ones(shape)):
        for beta in (0.0, 1.0, 2.0):
            found = convolve(V, 2, 4, divergence=beta, iterations=5)
            assert np.isfinite(found.W).all()
            assert np.isfinite(found.H).all()


def test_float32_data_are_read_in_place_and_left_as_they_are():
    V = np.asfortranarray(matrix(), np.float32)
    before = V.copy()
    V.flags.writeable = False
    assert convolve(V, 2, 3, iterations=3).W.dtype == np.float32
    assert np.array_equal(V, before)


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"rank": 0}, OptionError, "rank=0"),
        ({"lags": 0}, OptionError, "lags=0"),
        ({"iterations": 0}, OptionError, "iterations=0"),
        ({"seed": -1}, OptionError, "seed=-1"),
        ({"solver": "x"}, OptionError, "solver='x'"),
        ({"init": "nndsvd"}, OptionError, "init='nndsvd'"),
        ({"init": (np.ones((2, 3, 4)), np.ones((2, 60)))}, MatrixError, "W of a start has shape"),
        ({"frozen": np.ones((17, 2))}, MatrixError, "frozen has shape"),
        ({"frozen": -np.ones((1, 17, 3))}, MatrixError, "frozen has entries"),
        ({"allowed": (None,)}, OptionError, "allowed must be a pair"),
        ({"allowed": (np.ones((2, 17, 3)), None)}, OptionError, "mask of W"),
    ],
)
def test_bad_options_are_named(options, error, match):
    with pytest.raises(error, match=match):
        convolve(matrix(), **{"rank": 2, "lags": 3, **options})


def test_the_callback_stops():
    seen = []
    found = convolve(matrix(), 2, 3, callback=lambda i, _: bool(seen.append(i)) or i > 1, tolerance=0)
    assert found.measured_iterations[-1] < 10
    assert not found.converged
