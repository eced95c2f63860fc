"""Factorization by the source-filter model: a lead of combs times smooth filters, and an accompaniment.

The updates are written with NumPy: nearly all their time is in matrix products, which BLAS does, so loops of
their own in numba would gain little.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]

FLOOR = np.float32(1e-8)  # least power of a model, relative to the mean power of the mixture
_TINY = np.float32(1e-20)  # least divisor
_FRAMES_AT_A_TIME = 256  # so that intermediate arrays stay in the cache
FILTERS = 8  # filter shapes that the frames combine


@dataclass(frozen=True)
class SourceFilter:
    """Model of the power of a mixture: lead plus accompaniment.

    The lead is ``(sources @ combs) * (weights @ shapes @ bands)``, the accompaniment is
    ``activations @ templates``. All arrays over time have the frames in the first dimension. The updates
    change the arrays in place.

    Attributes
    ----------
    combs : ndarray, shape (sources, bins)
        Power spectra of the excitations. The last is flat, for breath and consonants.
    bands : ndarray, shape (bands, bins)
        Smooth bands, whose sums are the filter shapes.
    sources : ndarray, shape (frames, sources)
        Levels of the excitations.
    weights : ndarray, shape (frames, filters)
        Weights of the filter shapes; they sum to one in each frame.
    shapes : ndarray, shape (filters, bands)
        Levels of the bands in each filter shape.
    activations : ndarray, shape (frames, components)
        Activations of the accompaniment.
    templates : ndarray, shape (components, bins)
        Templates of the accompaniment.

    References
    ----------
    J.-L. Durrieu, B. David and G. Richard, "A musically motivated mid-level representation for pitch
    estimation and musical audio source separation", IEEE Journal of Selected Topics in Signal Processing,
    2011.
    """

    combs: F32
    bands: F32
    sources: F32
    weights: F32
    shapes: F32
    activations: F32
    templates: F32

    @classmethod
    def started(
        cls,
        spectra: tuple[F32, F32],
        sources: F32,
        level: F32,
        components: int,
        seed: int,
    ) -> SourceFilter:
        """Return a model with given sources, and with random filters and a random accompaniment.

        Parameters
        ----------
        spectra : tuple of ndarray
            `combs` and `bands`.
        sources : ndarray, shape (frames, sources)
        level : ndarray, shape (frames, 1)
            Level of the accompaniment in each frame.
        components : int
            Number of templates of the accompaniment.
        seed : int
            Seed of the random numbers.
        """
        combs, bands = spectra
        random, frames = np.random.default_rng(seed), len(level)

        def draw(rows: int, columns: int) -> F32:
            values = random.random((rows, columns), np.float32)
            values += np.float32(0.5)
            return values

        weights, shapes = draw(frames, FILTERS) / np.float32(FILTERS), draw(FILTERS, len(bands))
        activations = draw(frames, components)
        activations *= level
        activations /= np.float32(components)
        templates = draw(components, combs.shape[1])
        return cls(combs, bands, sources, weights, shapes, activations, templates)

    def lead(self, part: slice) -> F32:
        """Return the power of the lead in a range of frames, shape (frames, bins)."""
        filters = self.weights[part] @ (self.shapes @ self.bands)
        return np.asarray((self.sources[part] @ self.combs) * filters)

    def accompaniment(self, part: slice) -> F32:
        """Return the power of the accompaniment in a range of frames, shape (frames, bins)."""
        return np.asarray(self.activations[part] @ self.templates)

    def restarted(self, sources: F32, seed: int) -> SourceFilter:
        """Return the model with other sources and a new random accompaniment of the same level.

        The old accompaniment is dropped because parts of the lead may be in it.
        """
        level = self.activations.sum(axis=1, keepdims=True)  # templates have the mean one
        random, components = np.random.default_rng(seed), len(self.templates)
        templates = 0.5 + random.random(self.templates.shape, np.float32)
        activations = random.random(self.activations.shape, np.float32)
        activations += np.float32(0.5)
        activations *= level
        activations /= np.float32(components)
        return replace(self, sources=sources, activations=activations, templates=templates)

    def fit(self, V: F32, iterations: int, report: Callable[[int], None]) -> None:
        """Update all factors, to lower the Itakura-Saito divergence between V and the model.

        Parameters
        ----------
        V : ndarray, shape (frames, bins)
            Power of the mixture, with the mean one.
        iterations : int
            Number of updates.
        report : callable
            Function that takes the number of finished updates.
        """
        for done in range(1, iterations + 1):
            templates, shapes = _GradientSums.like(self.templates), _GradientSums.like(self.shapes)
            for part in _ranges(len(V)):
                self._update_frames(V[part], part)
                self._add_gradients(V[part], part, templates, shapes)
            self.activations[:] *= templates.update(self.templates)
            self.weights[:] *= shapes.update(self.shapes)
            report(done)

    def fit_frames(self, V: F32, iterations: int, report: Callable[[int], None]) -> None:
        """Update the factors over time as `fit` does; templates and filter shapes do not change."""
        for done in range(1, iterations + 1):
            for part in _ranges(len(V)):
                self._update_frames(V[part], part)
            report(done)

    def _update_frames(self, V: F32, part: slice) -> None:
        filters = self.shapes @ self.bands
        accompaniment, filtered = self.accompaniment(part), self.weights[part] @ filters
        numerator, denominator = _gradients(V, (self.sources[part] @ self.combs) * filtered + accompaniment)
        self.sources[part] *= _ratio(
            (numerator * filtered) @ self.combs.T, (denominator * filtered) @ self.combs.T
        )
        excited = self.sources[part] @ self.combs
        numerator, denominator = _gradients(V, excited * filtered + accompaniment)
        self.weights[part] *= _ratio((numerator * excited) @ filters.T, (denominator * excited) @ filters.T)
        # The weights get the sum one; the sources get the level, because the melody is read from them.
        size = np.maximum(self.weights[part].sum(axis=1, keepdims=True), _TINY)
        self.weights[part] /= size
        self.sources[part] *= size
        numerator, denominator = _gradients(V, self.lead(part) + accompaniment)
        self.activations[part] *= _ratio(numerator @ self.templates.T, denominator @ self.templates.T)

    def _add_gradients(self, V: F32, part: slice, templates: _GradientSums, shapes: _GradientSums) -> None:
        numerator, denominator = _gradients(V, self.lead(part) + self.accompaniment(part))
        templates.add(self.activations[part].T @ numerator, self.activations[part].T @ denominator)
        excited, weights = self.sources[part] @ self.combs, self.weights[part].T
        shapes.add(
            (weights @ (numerator * excited)) @ self.bands.T,
            (weights @ (denominator * excited)) @ self.bands.T,
        )


@dataclass(frozen=True)
class _GradientSums:
    """Sums over all frames of the numerator and the denominator of a multiplicative update."""

    numerator: F32
    denominator: F32

    @classmethod
    def like(cls, values: F32) -> _GradientSums:
        return cls(np.zeros_like(values), np.zeros_like(values))

    def add(self, numerator: F32, denominator: F32) -> None:
        np.add(self.numerator, numerator, out=self.numerator)
        np.add(self.denominator, denominator, out=self.denominator)

    def update(self, values: F32) -> F32:
        """Update the rows of `values`, scale them to the mean one, and return the scales."""
        values *= _ratio(self.numerator, self.denominator)
        size = np.maximum(values.mean(axis=1, keepdims=True), _TINY)
        values /= size
        return np.asarray(size.T)


def _ranges(frames: int) -> list[slice]:
    return [slice(start, start + _FRAMES_AT_A_TIME) for start in range(0, frames, _FRAMES_AT_A_TIME)]


def _gradients(V: F32, model: F32) -> tuple[F32, F32]:
    """Return the negative and the positive part of the derivative by the model, element by element."""
    inverse: F32 = np.reciprocal(np.maximum(model, FLOOR))
    return np.asarray(V * inverse * inverse), inverse


def _ratio(numerator: F32, denominator: F32) -> F32:
    return np.asarray(numerator / np.maximum(denominator, _TINY))
