"""The source-filter model of a lead over an accompaniment: combs times smooth filters, and templates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]

FLOOR = np.float32(1e-8)  # of the mixture's mean power, which is one: less is as good as silence
_TINY = np.float32(1e-20)
_PIECE = 256  # frames that are worked on at a time: they stay in the processor's cache
_LOBE = 2  # bins either side of a harmonic that the Hann window spreads it over
_FILTERS, _BUMPS = 8, 30


@dataclass(frozen=True)
class SourceFilter:
    """Power of a mixture as (sources @ combs) * (weights @ shapes @ bumps) + activations @ templates.

    Frames come first in all arrays. The arrays are updated in place.

    Attributes
    ----------
    combs : ndarray, shape (sources, bins)
        Spectra that may excite the filters; the last is flat: breath and consonants.
    bumps : ndarray, shape (bumps, bins)
        Smooth bands that filters are made of.
    sources : ndarray, shape (frames, sources)
    weights : ndarray, shape (frames, filters)
    shapes : ndarray, shape (filters, bumps)
    activations : ndarray, shape (frames, components)
    templates : ndarray, shape (components, bins)

    References
    ----------
    J.-L. Durrieu, B. David and G. Richard, "A musically motivated mid-level representation for pitch
    estimation and musical audio source separation", IEEE Journal of Selected Topics in Signal Processing,
    2011.
    """

    combs: F32
    bumps: F32
    sources: F32
    weights: F32
    shapes: F32
    activations: F32
    templates: F32

    @classmethod
    def started(
        cls,
        combs: F32,
        frequencies: NDArray[np.float64],
        sources: F32,
        level: F32,
        components: int,
        seed: int,
    ) -> SourceFilter:
        """Start filters and accompaniment at random, the accompaniment at the level (frames, 1) given."""
        random, frames = np.random.default_rng(seed), len(level)

        def draw(rows: int, columns: int) -> F32:
            return np.add(drawn := random.random((rows, columns), np.float32), np.float32(0.5), out=drawn)

        weights, shapes = draw(frames, _FILTERS) / np.float32(_FILTERS), draw(_FILTERS, _BUMPS)
        activations = draw(frames, components)
        activations *= level
        activations /= np.float32(components)
        templates = draw(components, len(frequencies))
        return cls(combs, _bumps(frequencies), sources, weights, shapes, activations, templates)

    def lead(self, part: slice) -> F32:
        """Return the power of the lead in some frames, shape (frames, bins)."""
        filters = self.weights[part] @ (self.shapes @ self.bumps)
        return np.asarray((self.sources[part] @ self.combs) * filters)

    def accompaniment(self, part: slice) -> F32:
        """Return the power of the accompaniment in some frames, shape (frames, bins)."""
        return np.asarray(self.activations[part] @ self.templates)

    def again(self, sources: F32, seed: int) -> SourceFilter:
        """Return the model with other sources and a new accompaniment: the old may have taken the lead."""
        level = self.activations.sum(axis=1, keepdims=True)  # templates have a mean of one
        random, components = np.random.default_rng(seed), len(self.templates)
        templates = 0.5 + random.random(self.templates.shape, np.float32)
        activations = random.random(self.activations.shape, np.float32)
        activations += np.float32(0.5)
        activations *= level
        activations /= np.float32(components)
        return replace(self, sources=sources, activations=activations, templates=templates)

    def fit(self, V: F32, iterations: int, report: Callable[[int], None]) -> None:
        """Update everything by the Itakura-Saito divergence to the power V (frames, bins), of mean one."""
        for done in range(1, iterations + 1):
            templates, shapes = _Share.like(self.templates), _Share.like(self.shapes)
            for part in _pieces(len(V)):
                self._follow(V[part], part)
                self._gather(V[part], part, templates, shapes)
            self.activations[:] *= templates.apply(self.templates)
            self.weights[:] *= shapes.apply(self.shapes)
            report(done)

    def follow(self, V: F32, iterations: int, report: Callable[[int], None]) -> None:
        """Update what changes from frame to frame, and leave templates and filters as they are."""
        for done in range(1, iterations + 1):
            for part in _pieces(len(V)):
                self._follow(V[part], part)
            report(done)

    def _follow(self, V: F32, part: slice) -> None:
        filters = self.shapes @ self.bumps
        music, filtered = self.accompaniment(part), self.weights[part] @ filters
        up, down = _gradients(V, (self.sources[part] @ self.combs) * filtered + music)
        self.sources[part] *= _ratio((up * filtered) @ self.combs.T, (down * filtered) @ self.combs.T)
        excited = self.sources[part] @ self.combs
        up, down = _gradients(V, excited * filtered + music)
        self.weights[part] *= _ratio((up * excited) @ filters.T, (down * excited) @ filters.T)
        # The level of the lead belongs to its sources: the melody is read from them.
        size = np.maximum(self.weights[part].sum(axis=1, keepdims=True), _TINY)
        self.weights[part] /= size
        self.sources[part] *= size
        up, down = _gradients(V, self.lead(part) + music)
        self.activations[part] *= _ratio(up @ self.templates.T, down @ self.templates.T)

    def _gather(self, V: F32, part: slice, templates: _Share, shapes: _Share) -> None:
        up, down = _gradients(V, self.lead(part) + self.accompaniment(part))
        templates.add(self.activations[part].T @ up, self.activations[part].T @ down)
        excited, weights = self.sources[part] @ self.combs, self.weights[part].T
        shapes.add((weights @ (up * excited)) @ self.bumps.T, (weights @ (down * excited)) @ self.bumps.T)


@dataclass(frozen=True)
class _Share:
    """The two halves of a gradient, gathered piece by piece."""

    up: F32
    down: F32

    @classmethod
    def like(cls, values: F32) -> _Share:
        return cls(np.zeros_like(values), np.zeros_like(values))

    def add(self, up: F32, down: F32) -> None:
        np.add(self.up, up, out=self.up)
        np.add(self.down, down, out=self.down)

    def apply(self, values: F32) -> F32:
        """Update the rows of `values`, give them a mean of one, and return what their factors gain."""
        values *= _ratio(self.up, self.down)
        size = np.maximum(values.mean(axis=1, keepdims=True), _TINY)
        values /= size
        return np.asarray(size.T)


def _pieces(frames: int) -> list[slice]:
    return [slice(start, start + _PIECE) for start in range(0, frames, _PIECE)]


def _gradients(V: F32, model: F32) -> tuple[F32, F32]:
    down: F32 = np.reciprocal(np.maximum(model, FLOOR))
    return np.asarray(V * down * down), down


def _ratio(up: F32, down: F32) -> F32:
    return np.asarray(up / np.maximum(down, _TINY))


def combs(fundamentals: NDArray[np.float64], frequencies: NDArray[np.float64], tilt: float) -> F32:
    """Return the power of a comb for each fundamental, and of a flat source, all of mean one.

    Parameters
    ----------
    fundamentals : ndarray, shape (combs,)
        In Hz.
    frequencies : ndarray, shape (bins,)
        In Hz.
    tilt : float
        Harmonic h has the power h to minus this: 4 stands for the 12 dB an octave of a glottis.

    Returns
    -------
    ndarray of float32, shape (combs + 1, bins)

    Examples
    --------
    >>> combs(np.array([200.0]), np.arange(0, 800, 50.0), 4)[0].argmax()
    np.int64(4)
    """
    fundamentals = fundamentals[:, None]
    number = np.maximum(np.round(frequencies / fundamentals), 1)
    away = np.abs(frequencies - number * fundamentals) / frequencies[1]
    # A power of the cosine stands in for the main lobe of the Hann window.
    lobes = np.where(away < _LOBE, np.cos(np.pi / 2 * np.minimum(away / _LOBE, 1)) ** 8, 0) / number**tilt
    flat = np.ones((1, len(frequencies)))
    return np.vstack([lobes / np.maximum(lobes.mean(axis=1, keepdims=True), _TINY), flat]).astype(np.float32)


def _bumps(frequencies: NDArray[np.float64]) -> F32:
    """Return bands that overlap by three quarters, evenly spread over the mel scale, shape (bumps, bins)."""
    mel = np.log1p(frequencies / 700)
    spread = mel[-1] / (_BUMPS - 1)
    away = np.abs(mel - spread * np.arange(_BUMPS)[:, None]) / (2 * spread)
    return np.asarray(np.where(away < 1, np.cos(np.pi / 2 * np.minimum(away, 1)) ** 2, 0), np.float32)
