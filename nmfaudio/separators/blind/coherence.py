"""Coherence of the channels in each component.

The level of a component in each channel says where a source is panned. It says nothing of sources that fill
the channels alike: a voice in the middle, an instrument that was played twice, once for each side, an
orchestra in front of two microphones. These differ in their coherence. At each frequency, the channels of a
single sound at a fixed position keep their ratio of levels and their difference of phase; those of two
performances do not.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from nmfaudio.nmf import Factorization
from nmfaudio.nmf.threads import work_ahead
from nmfaudio.separators.blind.search import ComponentSearch
from nmfaudio.sound.frames import evenly_spaced_frames
from nmfaudio.sound.spectrogram import Spectrogram


def coherences(search: ComponentSearch, factorizations: Sequence[Factorization]) -> list[NDArray[np.float64]]:
    """Return the coherence of the channels in each component of each factorization.

    The products of the channels are averaged over the frames in which a component sounds, for each bin. The
    coherence is the mean over the bins, weighted by the template.

    Parameters
    ----------
    search : ComponentSearch
        The search in which the components were found.
    factorizations : sequence of Factorization
        Factorizations of the spectrogram of the search.

    Returns
    -------
    list of ndarray, shape (components,)
        1 where the ratio of the channels is fixed in each bin, 0 where they have nothing in common or only
        one of them sounds; always 1 for a single channel.

    References
    ----------
    The magnitude-squared coherence of two signals (G. C. Carter, "Coherence and time delay estimation",
    Proceedings of the IEEE 75(2), 1987), of which the root is taken. For more than two channels, squares are
    averaged over the pairs.
    """
    if search.mixture.channels == 1:
        return [np.ones(one.rank) for one in factorizations]
    ranks = [one.rank for one in factorizations]
    covariances = np.split(_covariances(search, factorizations), np.cumsum(ranks)[:-1], axis=3)
    return [_mean_coherence(one.W, of_one) for one, of_one in zip(factorizations, covariances, strict=True)]


def _covariances(search: ComponentSearch, factorizations: Sequence[Factorization]) -> NDArray[np.complex128]:
    """Return the products of the channels in the components of all factorizations.

    Frames count in proportion to the activations, and points in proportion to the root of their energy,
    because a few loud ones would decide otherwise.

    Returns
    -------
    ndarray of complex, shape (channels, channels, bins, components of all factorizations)
    """
    mixture = search.mixture
    channels, bins = mixture.channels, mixture.stft.bins
    selected = evenly_spaced_frames(mixture, search.most_values)
    activations = np.concatenate(
        [one.H.reshape(one.rank, channels, -1).sum(axis=1) for one in factorizations]
    ).astype(np.complex64)

    def products(block: Spectrogram) -> NDArray[np.complex128]:
        first, last = np.searchsorted(selected, (block.start, block.stop))
        values = block.values[:, :, selected[first:last] - block.start]
        magnitudes = np.sqrt((np.abs(values) ** 2).sum(axis=0))
        relative = np.divide(values, magnitudes, out=np.zeros_like(values), where=magnitudes > 0)
        found = np.zeros((channels, channels, bins, len(activations)), np.complex128)
        for a in range(channels):
            for b in range(a, channels):
                of_pair = (values[a] * relative[b].conj()).astype(np.complex64)
                found[a, b] = of_pair @ activations[:, first:last].T
        return found

    sums = reduce(np.add, work_ahead(products, mixture))
    for a in range(channels):
        for b in range(a):
            sums[a, b] = sums[b, a].conj()
    return sums


def _mean_coherence(W: NDArray[np.floating], covariance: NDArray[np.complex128]) -> NDArray[np.float64]:
    """Return the mean coherence over the bins, shape (components,), from the covariances of the channels."""
    levels = np.einsum("aabk->abk", covariance).real
    possible = levels.sum(axis=0) ** 2 - (levels**2).sum(axis=0)
    common = (np.abs(covariance) ** 2).sum(axis=(0, 1)) - (levels**2).sum(axis=0)
    squares = np.divide(common, possible, out=np.zeros_like(possible), where=possible > 0)
    weights = W * levels.sum(axis=0)
    totals = weights.sum(axis=0)
    sums = (weights * np.sqrt(np.clip(squares, 0, 1))).sum(axis=0)
    return np.asarray(np.divide(sums, totals, out=np.ones_like(totals), where=totals > 0))
