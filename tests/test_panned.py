"""Two channels factored at known angles: the updates by their definition, descent, threads, scale."""

import numpy as np
import pytest

from nmfaudio.errors import MatrixError, OptionError
from nmfaudio.nmf import panned_kernels
from nmfaudio.nmf.panned import (
    PannedTemplates,
    _Descent,
    _projected,
    angle_masked,
    learn_panned,
)

ANGLES = np.deg2rad([10.0, 40.0, 80.0])


def mixture(frames=70, bins=19, seed=0, angles=ANGLES):
    """Each source has two templates; its sound comes through a pan-pot."""
    rng = np.random.default_rng(seed)
    total = 0
    for angle in angles:
        power = rng.gamma(0.3, size=(bins, 2)) @ rng.gamma(0.3, size=(2, frames))
        sound = np.sqrt(power / 2) * (rng.standard_normal((2, bins, frames)) * [[[1]], [[1j]]]).sum(axis=0)
        total = total + np.multiply.outer([np.cos(angle), np.sin(angle)], sound)
    return total


def start(rank=3, frames=70, bins=19, seed=1):
    rng = np.random.default_rng(seed)
    W = rng.random((len(ANGLES), rank, bins)).astype(np.float32)
    H = rng.random((len(ANGLES), frames, rank)).astype(np.float32)
    return PannedTemplates(W / W.sum(axis=2, keepdims=True), ANGLES, np.ones(bins)), H


def covariances(W, H, noise):
    """Of the channels in each point, (frames, bins, 2, 2), in float64."""
    directions = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1)
    powers = H.astype(np.float64) @ W.astype(np.float64)
    return np.einsum("jnf,jc,jd->nfcd", powers, directions, directions) + noise * np.eye(2)


def objective(X, W, H, noise):
    x, model = X.transpose(2, 1, 0), covariances(W, H, noise)
    whitened = np.linalg.solve(model, x[..., None])[..., 0]
    return float(np.sum(np.log(np.linalg.det(model)) + np.sum(x.conj() * whitened, axis=-1).real))


def naive_statistics(X, W, H, noise):
    """Numerators and denominators of all updates: a'C^-1 x x'C^-1 a and a'C^-1 a, (sources, frames, bins)."""
    x, inverse = X.transpose(2, 1, 0), np.linalg.inv(covariances(W, H, noise))
    directions = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1)
    wanted = np.abs(np.einsum("jc,nfcd,nfd->jnf", directions, inverse, x)) ** 2
    return wanted, np.einsum("jc,nfcd,jd->jnf", directions, inverse, directions)


@pytest.mark.parametrize("noise", [1e-4, 1e-1])
def test_an_update_equals_its_definition(noise):
    X, (templates, H) = mixture(), start()
    W, before = templates.W, H.copy()
    sines = np.sin(np.subtract.outer(ANGLES, ANGLES)).astype(np.float32)
    above, below = np.zeros((2, *W.shape), np.float32)
    panned_kernels.step(*_projected(X, templates), sines, noise, W, H, above, below, 0, 70, True)
    up, down = naive_statistics(X, W, before, noise)
    expected = before * np.sqrt((up @ W.swapaxes(1, 2)) / (down @ W.swapaxes(1, 2)))
    np.testing.assert_allclose(H, expected, rtol=2e-3)
    up, down = naive_statistics(X, W, H, noise)
    np.testing.assert_allclose(above, H.swapaxes(1, 2) @ up, rtol=5e-3)
    np.testing.assert_allclose(below, H.swapaxes(1, 2) @ down, rtol=5e-3)


def test_the_divergence_never_rises():
    X, (templates, H) = mixture(), start()
    descent = _Descent(X, templates, H, None)
    values = []
    for _ in range(30):
        values.append(objective(X, descent.templates.W, descent._H, 1e-3))
        descent.step(1e-3, learn=True)
    steps = np.diff(values)
    assert np.all(steps < 1e-6 * abs(values[0]))
    assert values[-1] < values[0] - 100


def test_threads_change_nothing():
    X = mixture(frames=200)
    one, three = (learn_panned(X, ANGLES, rank=3, iterations=6, threads=n) for n in (1, 3))
    np.testing.assert_array_equal(one.W, three.W)
    np.testing.assert_array_equal(one.powers(X, threads=1), one.powers(X, threads=3))


@pytest.mark.parametrize("exponent", [-20, 20])
def test_the_level_does_not_matter(exponent):
    X = mixture()
    plain, scaled = (learn_panned(x, ANGLES, rank=3, iterations=6) for x in (X, X * 2.0**exponent))
    np.testing.assert_array_equal(scaled.W, plain.W)
    np.testing.assert_allclose(
        scaled.powers(X * 2.0**exponent), plain.powers(X) * 4.0**exponent, rtol=1e-5, atol=0
    )


def test_templates_stay_and_frames_are_independent_where_only_powers_are_asked_for():
    X = mixture()
    templates = learn_panned(X, ANGLES, rank=3, iterations=6)
    before, whole = templates.W.copy(), templates.powers(X)
    np.testing.assert_allclose(templates.powers(X[:, :, 30:50]), whole[:, :, 30:50], rtol=1e-4)
    np.testing.assert_array_equal(templates.W, before)


def test_powers_are_nearer_the_truth_than_angles_alone_tell():
    rng, X = np.random.default_rng(3), 0
    shapes = np.repeat(np.eye(3), 6, axis=1) + 0.05
    true = [np.outer(s, np.repeat(rng.gamma(0.5, size=30), 8)) for s in shapes]
    for angle, power in zip(ANGLES, true, strict=True):
        noise = rng.standard_normal((2, *power.shape)) / np.sqrt(2)
        sound = np.sqrt(power) * (noise[0] + 1j * noise[1])
        X = X + np.multiply.outer([np.cos(angle), np.sin(angle)], sound)
    found = learn_panned(X, ANGLES, rank=2, iterations=40).powers(X)

    def error(powers):
        return np.mean(
            [np.abs(np.log10(p + 1e-9) - np.log10(t + 1e-9)) for p, t in zip(powers, true, strict=True)]
        )

    assert error(found) < 0.5 * error(angle_masked(X, ANGLES))


def test_silence_and_silent_bins_are_ordinary():
    X = mixture()
    X[:, 5] = 0
    X[:, :, 20:30] = 0
    templates = learn_panned(X, ANGLES, rank=3, iterations=6)
    powers = templates.powers(X)
    assert np.isfinite(powers).all()
    assert np.isfinite(learn_panned(np.zeros_like(X), ANGLES, rank=2, iterations=3).powers(X)).all()


def test_angle_masks_share_all_power_and_no_more():
    X = mixture()
    shares = angle_masked(X, ANGLES)
    np.testing.assert_allclose(shares.sum(axis=0), (np.abs(X) ** 2).sum(axis=0))
    assert np.all(shares >= 0)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"mixture": np.zeros((3, 9, 5))}, MatrixError, "pass \\(2, bins, frames\\)"),
        ({"mixture": np.zeros((2, 9, 0))}, MatrixError, "pass \\(2, bins, frames\\)"),
        ({"mixture": np.full((2, 9, 5), np.nan)}, MatrixError, "NaN"),
        ({"angles": [0.1]}, OptionError, "two sources or more"),
        ({"rank": 0}, OptionError, "rank=0"),
        ({"iterations": 0}, OptionError, "iterations=0"),
    ],
)
def test_bad_input_is_refused(change, error, message):
    arguments = {"mixture": mixture(), "angles": ANGLES} | change
    with pytest.raises(error, match=message):
        learn_panned(**arguments)
