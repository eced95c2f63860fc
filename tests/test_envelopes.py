"""Shapes of envelopes: properties of every activation, then examples, then their effect on the grouping."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from nmfaudio.separators.blind.envelopes import envelope_points, envelope_shapes
from nmfaudio.separators.blind.grouping import group_components

RATE = 100.0  # frames per second
SPEED, RISE, FAST, SLOW = range(4)

Signal = NDArray[np.float64]


def times(rate: float = RATE, seconds: float = 4.0) -> Signal:
    return np.arange(round(rate * seconds)) / rate


def plucked(t: Signal) -> Signal:
    return np.asarray(np.exp(-5 * (t % 1)))


def bowed(t: Signal) -> Signal:
    return np.asarray(1 - np.cos(2 * np.pi * t))


def random_activations(components: int = 6, frames: int = 300) -> NDArray[np.float32]:
    return np.random.default_rng(0).gamma(0.5, size=(components, frames)).astype(np.float32)


@pytest.mark.parametrize("scale", [1e-30, 1e-6, 1e6, 1e20])
def test_the_level_does_not_matter(scale: float) -> None:
    H = random_activations()
    scaled = envelope_shapes(H * np.float32(scale), 1, RATE)
    np.testing.assert_allclose(scaled, envelope_shapes(H, 1, RATE), atol=1e-4)


def test_the_activations_of_all_channels_are_added() -> None:
    H = random_activations()
    both = np.hstack([0.25 * H, 0.75 * H])
    np.testing.assert_allclose(envelope_shapes(both, 2, RATE), envelope_shapes(H, 1, RATE), atol=1e-5)


@pytest.mark.parametrize("frames", [1, 2, 5])
@pytest.mark.parametrize("level", [0.0, 1.0])
def test_silence_and_constant_activations_have_no_special_values(frames: int, level: float) -> None:
    shapes = envelope_shapes(np.full((3, frames), level, np.float32), 1, RATE)
    assert np.isfinite(shapes).all()
    np.testing.assert_array_equal(shapes[:, RISE], 0)


def test_the_input_may_be_read_only_and_is_left_unchanged() -> None:
    H = random_activations()
    before = H.copy()
    H.setflags(write=False)
    envelope_shapes(H, 1, RATE)
    np.testing.assert_array_equal(H, before)


def test_shorter_frames_give_the_same_shapes() -> None:
    coarse, fine = (
        envelope_shapes(np.stack([f(times(rate)) for f in (plucked, bowed)]), 1, rate) for rate in (200, 400)
    )
    np.testing.assert_allclose(coarse[:, [SPEED, RISE]], fine[:, [SPEED, RISE]], atol=0.05)


def test_each_feature_measures_what_its_name_says() -> None:
    t = times()
    noise = np.random.default_rng(0).uniform(0, 1, len(t))
    H = np.stack([plucked(t), plucked(-t), bowed(t), bowed(4 * t), noise])
    shapes = envelope_shapes(H, 1, RATE)
    assert shapes[0, RISE] > 1
    assert shapes[0, RISE] == pytest.approx(-shapes[1, RISE], abs=0.3)
    assert shapes[2, RISE] == pytest.approx(0, abs=0.1)
    assert shapes[3, SPEED] - shapes[2, SPEED] == pytest.approx(np.log(4), abs=0.2)
    assert np.argmax(shapes[:, FAST]) == 4
    assert shapes[2, SLOW] - shapes[3, SLOW] > 1


def test_points_are_relative_to_the_spread_of_loud_components() -> None:
    H = random_activations()
    energies = np.array([0.5, 0.3, 0.2, 0.0, 0.0, 0.0])
    points = envelope_points(H, 1, energies, RATE)
    changed = np.vstack([H[:3], plucked(times(RATE, 3.0))[None].repeat(3, axis=0)]).astype(np.float32)
    np.testing.assert_allclose(envelope_points(changed, 1, energies, RATE)[:3], points[:3], atol=1e-6)
    np.testing.assert_allclose(np.sqrt(energies) @ points, 0, atol=1e-9)
    assert np.abs(points).max() > 1


def test_notes_of_one_timbre_are_separated_by_their_envelopes() -> None:
    """Only the envelopes differ between the sources, so they decide, and only where they are passed."""
    owner = np.array([0, 1, 1, 0, 1, 0, 0, 1])
    rng = np.random.default_rng(0)
    t = times(seconds=8.0)
    H = np.stack([(plucked, bowed)[source](t) for source in owner])
    H /= np.linalg.norm(H, axis=1, keepdims=True)
    frequencies = np.linspace(0, 8000, 257)
    W = rng.uniform(0.99, 1.01, (len(frequencies), len(owner)))

    def is_right(frames_per_second: float | None) -> bool:
        found = group_components(W, H, frequencies, frames_per_second=frames_per_second, sources=2)
        return bool((found.labels == owner).all() or (found.labels == 1 - owner).all())

    assert is_right(RATE)
    assert not is_right(None)
