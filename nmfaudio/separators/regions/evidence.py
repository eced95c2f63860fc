"""Evidence of regions beyond their borders: the templates of the sources follow what regions say.

The stems that a model makes are factorized, each source alone. From there, expectation-maximisation goes on
with all sources together. In each round the magnitudes of the mixture are divided by masks with which all
regions hold, and each source is fitted to its part. Where a region takes a sound from a source, the
templates of that source lose it, and so its masks change wherever the same sound occurs again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nmfaudio.models.contract import Model
from nmfaudio.nmf import factorize
from nmfaudio.separators.regions.constraint import Rectangle, constrained, rectangles_on
from nmfaudio.separators.regions.region import Regions
from nmfaudio.sound.bands import BANDS_PER_OCTAVE, band_starts, sum_in_bands
from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.progress import Progress
from nmfaudio.sound.spectrogram import Spectrogram

COMPONENTS = 16  # of each source
START_ITERATIONS, ITERATIONS = 40, 30  # updates of each source alone, and rounds with all sources together
# Exponent of the corrections: with 1/2, the masks are the geometric mean of those of the model and of the
# templates that follow the regions. The mean separates better than either.
_EXPONENT = 0.5
_LARGEST = 100.0  # factor by which a correction raises or lowers a source at most
_FLOOR = 1e-6  # of the mean magnitude, below which nothing is fitted

Matrix = NDArray[np.float32]


@dataclass(frozen=True)
class Factors:
    """Templates and activations of one source.

    Attributes
    ----------
    activations : ndarray of float32, shape (frames, components)
    templates : ndarray of float32, shape (components, bands)
        Each template sums to one.
    """

    activations: Matrix
    templates: Matrix

    def magnitudes(self, start: int = 0, stop: int | None = None) -> Matrix:
        """Return the magnitudes of the frames from `start` to `stop`, shape (frames, bands)."""
        return np.asarray(self.activations[start:stop] @ self.templates)

    def fitted_to(self, part: Matrix, magnitudes: Matrix) -> Factors:
        """Return the factors after one multiplicative update of each, for the Kullback-Leibler divergence.

        Parameters
        ----------
        part : ndarray, shape (frames, bands)
            Part of the mixture that belongs to the source.
        magnitudes : ndarray, shape (frames, bands)
            Present magnitudes of the source; positive.
        """
        ratio = part / magnitudes
        activations = self.activations * (ratio @ self.templates.T)
        templates = self.templates * (self.activations.T @ ratio)
        sums = templates.sum(axis=1, keepdims=True)
        np.divide(templates, sums, out=templates, where=sums > 0)
        return Factors(np.asarray(activations, np.float32), np.asarray(templates, np.float32))


@dataclass(frozen=True)
class Evidence:
    """Factors of each source before and after they followed the regions.

    Attributes
    ----------
    starts : ndarray of int, shape (bands,)
        First bin of each band.
    before, after : tuple of Factors
        One for each source.
    floor : float
        Magnitude that is added to both.
    """

    starts: NDArray[np.intp]
    before: tuple[Factors, ...]
    after: tuple[Factors, ...]
    floor: float

    def corrections(self, block: Spectrogram) -> Matrix:
        """Return the factor of each source at each point of a block, shape (sources, bins, frames)."""
        ratios = np.stack(
            [
                (new.magnitudes(block.start, block.stop) + self.floor)
                / (old.magnitudes(block.start, block.stop) + self.floor)
                for old, new in zip(self.before, self.after, strict=True)
            ]
        )
        limited = np.clip(ratios, 1 / _LARGEST, _LARGEST) ** np.float32(_EXPONENT)
        widths = np.diff(self.starts, append=block.stft.bins)
        return np.asarray(np.repeat(limited, widths, axis=2).swapaxes(1, 2))


def find_evidence(model: Model, mixture: Blocks, regions: Regions, seed: int) -> Evidence | None:
    """Fit the sources of a model to what the regions say.

    Parameters
    ----------
    model : Model
    mixture : Blocks
        The mixture with the settings of the model.
    regions : Regions
    seed : int
        Seed of the random starts.

    Returns
    -------
    Evidence or None
        None in silence, and where no region touches the mixture.

    References
    ----------
    A. Lefevre, F. Bach and C. Fevotte, "Semi-supervised NMF with time-frequency annotations for
    single-channel source separation", ISMIR 2012. N. J. Bryan and G. J. Mysore, "An efficient
    posterior regularized latent variable model for interactive sound source separation", ICML 2013.
    """
    frequencies = mixture.stft.frequencies(mixture.sample_rate)
    starts = band_starts(frequencies, BANDS_PER_OCTAVE)
    last = np.append(starts[1:], len(frequencies)) - 1
    step = mixture.stft.hop_length / mixture.sample_rate
    centres = (frequencies[starts] + frequencies[last]) / 2
    rectangles = rectangles_on(regions, model.sources, centres, mixture.times, step)
    parts = _parts(model, mixture, starts)
    mean = float(parts.mean(dtype=np.float64)) * len(parts)
    if not rectangles or mean == 0:
        return None
    before = tuple(_factors(part, seed) for part in parts)
    whole, floor = parts.sum(axis=0), _FLOOR * mean
    after = before
    for done in range(ITERATIONS):
        after = _following(after, whole, rectangles, floor)
        mixture.report(Progress("following the regions", done + 1, ITERATIONS))
    return Evidence(starts, before, after, floor)


def _parts(model: Model, mixture: Blocks, starts: NDArray[np.intp]) -> Matrix:
    """Return the part of each source in the magnitudes, shape (sources, frames, bands)."""
    parts = mixture.allocate(len(model.sources), mixture.frames, len(starts))
    for start, stop, wide in mixture.wide_blocks(model.context):
        stems = [stem.cut(start, stop).magnitude.mean(axis=0) for stem in model.separate(wide).values()]
        total = np.sum(stems, axis=0)
        magnitude = wide.cut(start, stop).magnitude.mean(axis=0)
        scale = np.divide(magnitude, total, out=np.zeros_like(total), where=total > 0)
        for part, stem in zip(parts, stems, strict=True):
            part[start:stop] = sum_in_bands(stem * scale, starts).T
        mixture.report(Progress("reading the stems", stop, mixture.frames))
    return parts


def _factors(part: Matrix, seed: int) -> Factors:
    """Factorize the magnitudes of one source, shape (frames, bands)."""
    rank = min(COMPONENTS, *part.shape)
    found = factorize(part.T, rank, divergence="kl", seed=seed, iterations=START_ITERATIONS, tolerance=0)
    templates, activations = (np.asarray(matrix, np.float32) for matrix in (found.W.T, found.H.T))
    sums = templates.sum(axis=1, keepdims=True)
    even = np.full_like(templates, 1 / templates.shape[1])
    return Factors(activations * sums.T, np.divide(templates, sums, out=even, where=sums > 0))


def _following(
    factors: Sequence[Factors], whole: Matrix, rectangles: Sequence[Rectangle], floor: float
) -> tuple[Factors, ...]:
    """Return the factors after one round of expectation-maximisation under the regions."""
    magnitudes = np.stack([one.magnitudes() for one in factors]) + np.float32(floor)
    masks = (magnitudes / magnitudes.sum(axis=0)).swapaxes(1, 2)
    held = constrained(masks, rectangles).swapaxes(1, 2)
    return tuple(
        one.fitted_to(mask * whole, own) for one, mask, own in zip(factors, held, magnitudes, strict=True)
    )
