"""The multichannel Wiener filter: from stems by masks to stems that also know where each source stands.

A mask scales each channel by itself. Sources that stand in different places differ in how they fill the
channels together, which a mask cannot use and a filter across channels can: two that sound at the same time
and frequency still come apart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from nmfaudio.errors import SeparatorError
from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.progress import Progress
from nmfaudio.sound.spectrogram import Spectrogram

ROUNDS = 2
SMOOTHING = 31  # bins over which places are averaged: they hardly change from bin to bin
# How far two sources' places must differ (0: the same place, 1: one left, one right) for the filter to help.
DIFFERENT = 0.02

_LOADING = 1e-9  # of the mixture's model, on its diagonal: keeps it invertible
_FRAMES = 48  # filtered at once, so that intermediate arrays stay in the cache

Complex = NDArray[np.complex128]
Real = NDArray[np.float64]
Masked = Callable[[Spectrogram], Mapping[str, Spectrogram]]


@dataclass(frozen=True)
class WienerFilter:
    """Where each source of a mixture stands, ready to be applied block by block.

    Attributes
    ----------
    rounds : tuple of ndarray of complex, shape (sources, bins, channels, channels)
        Spatial covariances for each round; their trace is the number of channels.

    Examples
    --------
    >>> from nmfaudio import STFT, Spectrogram
    >>> places = np.zeros((2, 9, 2, 2), complex)
    >>> places[0, :, 0, 0] = places[1, :, 1, 1] = 2  # one left, one right
    >>> block = Spectrogram(np.ones((2, 9, 1), complex), STFT(16), 44100)
    >>> half = block.with_values(block.values / 2)
    >>> stems = WienerFilter((places,)).refined(block, {"left": half, "right": half})
    >>> stems["left"].values[:, 0, 0].real.round(6)
    array([1., 0.])
    """

    rounds: tuple[Complex, ...]

    def refined(self, block: Spectrogram, stems: Mapping[str, Spectrogram]) -> dict[str, Spectrogram]:
        """Filter a block.

        Parameters
        ----------
        block : Spectrogram
            Of the mixture.
        stems : mapping of str to Spectrogram
            What masks make of it.

        Returns
        -------
        dict of str to Spectrogram
            The stems; they sum to `block`.
        """
        found = np.stack([stem.values for stem in stems.values()])
        for places in self.rounds:
            found = wiener_filter(block.values, variances(found), places)
        return {name: block.with_values(values) for name, values in zip(stems, found, strict=True)}


def learn_filter(
    mixture: Blocks, masked: Masked, *, rounds: int = ROUNDS, smoothing: int = SMOOTHING, context: int = 0
) -> WienerFilter | None:
    """Learn where each source stands from its stems by masks, in one pass over the mixture a round.

    Each round is one of expectation-maximisation, in the form in which the spatial covariance of a source is
    that of its stem, weighed by its power.

    Parameters
    ----------
    mixture : Blocks
    masked : callable
        Takes a block; returns a stem for each source, such as `soft_masks` does.
    rounds : int
        How often the filter is applied and the places are learned anew.
    smoothing : int
        Bins over which spatial covariances are averaged.
    context : int
        Frames that `masked` must see on either side of those that are used.

    Returns
    -------
    WienerFilter or None
        None where a filter would not help: one channel, one source, or sources all in the same place.

    References
    ----------
    N. Q. K. Duong, E. Vincent and R. Gribonval, "Under-determined reverberant audio source separation using a
    full-rank spatial covariance model", IEEE TASLP 18(7), 2010. A. Liutkus and F.-R. Stoter, norbert, 2019
    (the simplified form).

    Examples
    --------
    >>> from nmfaudio import STFT, Audio, Blocks
    >>> noise = np.random.default_rng(0).standard_normal((2, 8000)) / 8  # one source left, one right
    >>> def masked(block):
    ...     keep = np.array([0.9, 0.1])[:, None, None]
    ...     values = {"left": block.values * keep, "right": block.values * (1 - keep)}
    ...     return {name: block.with_values(v) for name, v in values.items()}
    >>> learn_filter(Blocks(Audio(noise, 8000), STFT(256)), masked).rounds[0].shape
    (2, 129, 2, 2)
    """
    if mixture.channels == 1:
        return None
    places: tuple[Complex, ...] = ()
    for number in range(rounds):
        found = _Places(smoothing)
        for start, stop in mixture.bounds:
            wide = mixture.block(start - context, stop + context)
            stems = WienerFilter(places).refined(wide, masked(wide))
            found.add(np.stack([stem.cut(start, stop).values for stem in stems.values()]))
            mixture.report(Progress(f"finding places, round {number + 1}", stop, mixture.frames))
        if number == 0 and found.differ() < DIFFERENT:
            return None
        places = (*places, found.covariances())
    return WienerFilter(places)


def wiener_filter(mixture: Complex, variances: NDArray[np.floating], places: Complex) -> Complex:
    """Split a mixture by the power and the place of each source.

    The stem of source j is ``v_j R_j (sum_i v_i R_i)^-1 x``; what rounding and loading leave over is shared
    out, so that stems sum to the mixture.

    Parameters
    ----------
    mixture : ndarray of complex, shape (channels, bins, frames)
        x above.
    variances : ndarray, shape (sources, bins, frames)
        Power of each source, v above; not negative.
    places : ndarray of complex, shape (sources, bins, channels, channels)
        Spatial covariances, R above; Hermitian.

    Returns
    -------
    ndarray of complex, shape (sources, channels, bins, frames)

    Raises
    ------
    SeparatorError
        For shapes that do not fit together.

    References
    ----------
    Duong, Vincent and Gribonval 2010, as for `learn_filter`.

    Examples
    --------
    >>> places = np.array([[[[2, 0], [0, 0]]], [[[1, 1], [1, 1]]]], complex)  # left, and the middle
    >>> x = np.array([3.0, 1.0], complex).reshape(2, 1, 1)
    >>> wiener_filter(x, np.ones((2, 1, 1)), places)[:, :, 0, 0].real.round(6)
    array([[2., 0.],
           [1., 1.]])
    """
    channels, bins, frames = mixture.shape
    sources = len(variances)
    expected = (sources, bins, channels, channels)
    if variances.shape[1:] != (bins, frames) or places.shape != expected:
        raise SeparatorError(
            f"variances {variances.shape} and places {places.shape} do not fit a mixture of {mixture.shape}: "
            f"pass (sources, {bins}, {frames}) and {expected}"
        )
    split = _split_two if channels == 2 else _split_any
    stems = np.empty((sources, channels, frames, bins), np.complex128).swapaxes(2, 3)  # as mixtures are
    for start in range(0, frames, _FRAMES):
        part = np.s_[..., start : start + _FRAMES]
        found = split(mixture[part], variances[part].astype(np.float64), places)
        found += (mixture[part] - found.sum(axis=0)) / sources
        stems[part] = found
    return stems


def variances(stems: Complex) -> Real:
    """Return the power of each stem, mean over its channels, shape (sources, bins, frames)."""
    return np.asarray(np.mean(stems.real**2 + stems.imag**2, axis=1))


def difference(a: Complex, b: Complex) -> float:
    """Return how far two spatial covariances differ: 0 for one place, 1 for places that share nothing."""
    likeness = float(np.real(np.vdot(a, b)))
    size = float(np.linalg.norm(a) * np.linalg.norm(b))
    return 1 - likeness / size if size > 0 else 0.0


def _split_two(x: Complex, v: Real, places: Complex) -> Complex:
    """Filter two channels, with the adjugate in place of a general inverse."""
    left, right = (places[:, :, c, c].real[:, :, None] for c in (0, 1))
    across = places[:, :, 0, 1][:, :, None]
    a, d, b = (v * left).sum(axis=0), (v * right).sum(axis=0), (v * across).sum(axis=0)
    loading = _LOADING * (a + d)
    a, d = a + loading, d + loading
    determinant = a * d - (b.real**2 + b.imag**2)
    inverse = np.divide(1, determinant, out=np.zeros_like(a), where=determinant > 0)
    first = (d * x[0] - b * x[1]) * inverse
    second = (a * x[1] - b.conj() * x[0]) * inverse
    return np.stack([v * (left * first + across * second), v * (across.conj() * first + right * second)], 1)


def _split_any(x: Complex, v: Real, places: Complex) -> Complex:
    """Filter any number of channels."""
    model = np.einsum("jfn,jfcd->fncd", v, places)
    trace = np.trace(model, axis1=2, axis2=3).real
    loading = np.where(trace > 0, _LOADING * trace, 1)[:, :, None, None] * np.eye(len(x))
    whitened = np.linalg.solve(model + loading, x.transpose(1, 2, 0)[..., None])[..., 0]
    return np.asarray(np.einsum("jfn,jfcd,fnd->jcfn", v, places, whitened))


class _Places:
    """Sums over frames that spatial covariances are made of."""

    def __init__(self, smoothing: int) -> None:
        self._smoothing = smoothing
        self._sums: Complex = np.zeros((1, 1, 1, 1), np.complex128)

    def add(self, stems: Complex) -> None:
        """Add the stems of a block, shape (sources, channels, bins, frames)."""
        rows = np.ascontiguousarray(stems.transpose(0, 2, 1, 3))
        self._sums = self._sums + rows @ rows.conj().swapaxes(2, 3)

    def covariances(self) -> Complex:
        """Return those of each source and bin; a source that is silent there is taken to be everywhere."""
        smooth = uniform_filter1d(self._sums, self._smoothing, axis=1, mode="nearest")
        channels = smooth.shape[2]
        trace = np.trace(smooth, axis1=2, axis2=3).real[:, :, None, None]
        anywhere = np.broadcast_to(np.eye(channels), smooth.shape).astype(np.complex128)
        return np.asarray(np.divide(channels * smooth, trace, out=anywhere, where=trace > 0))

    def differ(self) -> float:
        """Return how far the two sources that differ most do, over all bins."""
        whole = self._sums.sum(axis=1)
        return max((difference(a, b) for i, a in enumerate(whole) for b in whole[:i]), default=0.0)
