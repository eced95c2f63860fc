"""Stems that a Wiener filter across the channels refines, alone or in a mean with the stems by masks."""

from __future__ import annotations

import numpy as np
import pytest

from nmfaudio import STFT, Audio, Blocks, FunctionModel, Spectrogram
from nmfaudio.models.spatially_filtered import SpatiallyFilteredModel, with_spatial_filter

SETTINGS = STFT(256)


def rough_masks(block: Spectrogram) -> dict[str, np.ndarray]:
    """Masks of a source on the left and another on the right; each holds a fifth of the other."""
    near, far = 0.8 * block.magnitude, 0.2 * block.magnitude
    return {"left": np.stack([near[0], far[1]]), "right": np.stack([far[0], near[1]])}


@pytest.fixture
def mixture() -> Blocks:
    return Blocks(Audio(np.random.default_rng(0).standard_normal((2, 8000)) / 8, 8000), SETTINGS)


@pytest.mark.parametrize(("rough", "weight"), [(False, 1.0), (True, 0.5)])
def test_rough_stems_are_the_means_of_filter_and_masks(mixture: Blocks, rough: bool, weight: float) -> None:
    model = FunctionModel(SETTINGS, ("left", "right"), rough_masks)
    filtered = with_spatial_filter(model, mixture, rough=rough)
    assert isinstance(filtered, SpatiallyFilteredModel)
    block = mixture.whole()
    masked, stems = model.separate(block), filtered.separate(block)
    refined = filtered.filter.refined(block, masked)
    for name, stem in stems.items():
        expected = weight * refined[name].values + (1 - weight) * masked[name].values
        np.testing.assert_allclose(stem.values, expected, atol=1e-12)
        assert not np.allclose(refined[name].values, masked[name].values, atol=0.1)
    np.testing.assert_allclose(sum(stem.values for stem in stems.values()), block.values, atol=1e-9)


def test_sources_in_the_same_position_are_left_to_the_masks() -> None:
    mono = np.random.default_rng(0).standard_normal((1, 8000)) / 8
    mixture = Blocks(Audio(np.repeat(mono, 2, axis=0), 8000), SETTINGS)
    model = FunctionModel(SETTINGS, ("a", "b"), lambda block: {"a": block.magnitude, "b": block.magnitude})
    assert with_spatial_filter(model, mixture) is model


@pytest.mark.parametrize(
    ("least", "degrees", "filters"), [(0.02, 5, False), (0.02, 10, True), (0.05, 10, False)]
)
def test_the_least_difference_between_positions(least: float, degrees: float, filters: bool) -> None:
    rng, angles = np.random.default_rng(0), np.deg2rad([45 - degrees / 2, 45 + degrees / 2])
    images = [np.outer([np.cos(a), np.sin(a)], rng.standard_normal(8000)) / 8 for a in angles]
    spectra = [np.abs(Blocks(Audio(image, 8000), SETTINGS).whole().values) for image in images]

    def true_masks(block: Spectrogram) -> dict[str, np.ndarray]:
        return {n: x[:, :, block.start : block.stop] for n, x in zip("ab", spectra, strict=True)}

    mixture = Blocks(Audio(sum(images), 8000), SETTINGS)
    model = FunctionModel(SETTINGS, ("a", "b"), true_masks)
    assert (with_spatial_filter(model, mixture, least_difference=least) is not model) == filters
