"""The multichannel Wiener filter: it refines stems made by masks with the spatial position of each source.

A mask scales each channel separately. Sources at different positions also differ in the relations between
their channels. A mask cannot use these relations, but a filter across channels can: it separates even
sources that sound at the same time and the same frequency.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nmfaudio.errors import SeparatorError
from nmfaudio.nmf.threads import share_out, work_ahead, workers
from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.progress import Progress
from nmfaudio.sound.spectrogram import Spectrogram

ROUNDS = 2
SMOOTHING = 31  # bins over which covariances are averaged: positions hardly change from bin to bin
# Least difference between the positions of two sources (0: the same position, 1: one left and one right) for
# which the filter improves the stems.
LEAST_DIFFERENCE = 0.05

_LOADING = 1e-9  # part of the trace of the mixture's covariance that is added to its diagonal for inversion
_FRAMES = 48  # frames that are filtered at a time, so that intermediate arrays stay in the cache

Complex = NDArray[np.complex128]
Real = NDArray[np.float64]
Masked = Callable[[Spectrogram], Mapping[str, Spectrogram]]


@dataclass(frozen=True)
class WienerFilter:
    """A multichannel Wiener filter with fixed spatial covariances, applied block by block.

    Attributes
    ----------
    rounds : tuple of ndarray of complex, shape (sources, bins, channels, channels)
        Spatial covariances of the sources for each round; the trace of each is the number of channels.

    Examples
    --------
    >>> from nmfaudio import STFT, Spectrogram
    >>> covariances = np.zeros((2, 9, 2, 2), complex)
    >>> covariances[0, :, 0, 0] = covariances[1, :, 1, 1] = 2  # one source left, one source right
    >>> block = Spectrogram(np.ones((2, 9, 1), complex), STFT(16), 44100)
    >>> half = block.with_values(block.values / 2)
    >>> stems = WienerFilter((covariances,)).refined(block, {"left": half, "right": half})
    >>> stems["left"].values[:, 0, 0].real.round(6)
    array([1., 0.])
    """

    rounds: tuple[Complex, ...]

    def refined(self, block: Spectrogram, stems: Mapping[str, Spectrogram]) -> dict[str, Spectrogram]:
        """Filter a block.

        Parameters
        ----------
        block : Spectrogram
            Block of the mixture.
        stems : mapping of str to Spectrogram
            Stems of the block that were made by masks.

        Returns
        -------
        dict of str to Spectrogram
            The refined stems; they sum to `block`.
        """
        if not self.rounds:
            return dict(stems)
        spectra = np.stack([stem.values for stem in stems.values()])
        for covariances in self.rounds:
            spectra = wiener_filter(block.values, variances(spectra), covariances)
        return {name: block.with_values(values) for name, values in zip(stems, spectra, strict=True)}


def learn_filter(
    mixture: Blocks,
    masked: Masked,
    *,
    rounds: int = ROUNDS,
    smoothing: int = SMOOTHING,
    context: int = 0,
    least_difference: float = LEAST_DIFFERENCE,
) -> WienerFilter | None:
    """Learn the spatial covariances of the sources from their stems by masks.

    Each round reads the mixture once and is one round of expectation-maximisation, in the form in which the
    spatial covariance of a source is the covariance of its stem, weighted by its power.

    Parameters
    ----------
    mixture : Blocks
    masked : callable
        Function that takes a block and returns a stem for each source, as `soft_masks` does.
    rounds : int
        Number of rounds; each applies the filters of all earlier rounds and learns new covariances.
    smoothing : int
        Number of bins over which spatial covariances are averaged.
    context : int
        Number of frames that `masked` needs on either side of the frames that are used.
    least_difference : float
        Least difference between the positions of two sources, from 0 (the same position) to 1 (one left and
        one right), for which a filter is returned.

    Returns
    -------
    WienerFilter or None
        None where a filter would not help: for one channel, for one source, or when all sources have nearly
        the same position.

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
    covariances: tuple[Complex, ...] = ()
    for number in range(rounds):
        sums = _CovarianceSums(smoothing)
        earlier = WienerFilter(covariances)

        def products(block: tuple[int, int, Spectrogram], earlier: WienerFilter = earlier) -> Complex:
            start, stop, wide = block
            stems = earlier.refined(wide, masked(wide))
            return np.stack([_products(stem.cut(start, stop).values) for stem in stems.values()])

        blocks = mixture.wide_blocks(context)
        for (_, stop), of_block in zip(mixture.bounds, work_ahead(products, blocks), strict=True):
            sums.add(of_block)
            mixture.report(Progress(f"locating the sources, round {number + 1}", stop, mixture.frames))
        if number == 0 and sums.greatest_difference() < least_difference:
            return None
        covariances = (*covariances, sums.covariances())
    return WienerFilter(covariances)


def wiener_filter(mixture: Complex, variances: NDArray[np.floating], covariances: Complex) -> Complex:
    """Separate a mixture by the power and the spatial covariance of each source.

    The stem of source j is ``v_j R_j (sum_i v_i R_i)^-1 x``. Rounding and diagonal loading leave a small
    remainder, which is divided equally among the stems, so that they sum to the mixture.

    Parameters
    ----------
    mixture : ndarray of complex, shape (channels, bins, frames)
        Spectrogram of the mixture, x above.
    variances : ndarray, shape (sources, bins, frames)
        Power of each source, v above; not negative.
    covariances : ndarray of complex, shape (sources, bins, channels, channels)
        Spatial covariances, R above; Hermitian.

    Returns
    -------
    ndarray of complex, shape (sources, channels, bins, frames)

    Raises
    ------
    SeparatorError
        When the shapes do not fit together.

    References
    ----------
    Duong, Vincent and Gribonval 2010, as for `learn_filter`.

    Examples
    --------
    >>> covariances = np.array([[[[2, 0], [0, 0]]], [[[1, 1], [1, 1]]]], complex)  # left and centre
    >>> x = np.array([3.0, 1.0], complex).reshape(2, 1, 1)
    >>> wiener_filter(x, np.ones((2, 1, 1)), covariances)[:, :, 0, 0].real.round(6)
    array([[2., 0.],
           [1., 1.]])
    """
    channels, bins, frames = mixture.shape
    sources = len(variances)
    expected = (sources, bins, channels, channels)
    if variances.shape[1:] != (bins, frames) or covariances.shape != expected:
        raise SeparatorError(
            f"variances of shape {variances.shape} and covariances of shape {covariances.shape} do not fit a "
            f"mixture of shape {mixture.shape}: pass shapes (sources, {bins}, {frames}) and {expected}"
        )
    split = _split_two if channels == 2 else _split_any
    # The memory order of spectrograms: frame by frame.
    stems = np.empty((sources, channels, frames, bins), np.complex128).swapaxes(2, 3)

    def fill(number: int) -> None:
        part = np.s_[..., number * _FRAMES : (number + 1) * _FRAMES]
        stems_of_part = split(mixture[part], variances[part].astype(np.float64), covariances)
        stems_of_part += (mixture[part] - stems_of_part.sum(axis=0)) / sources
        stems[part] = stems_of_part

    with workers(None) as pool:
        share_out(fill, -(-frames // _FRAMES), pool)
    return stems


def variances(stems: Complex) -> Real:
    """Return the mean power over the channels of each stem, shape (sources, bins, frames)."""
    return np.asarray(np.mean(stems.real**2 + stems.imag**2, axis=1))


def difference(a: Complex, b: Complex) -> float:
    """Return one minus the cosine similarity of two spatial covariances.

    The result is 0 for the same position and 1 for positions without a common direction.
    """
    product = float(np.real(np.vdot(a, b)))
    size = float(np.linalg.norm(a) * np.linalg.norm(b))
    return 1 - product / size if size > 0 else 0.0


def _split_two(x: Complex, v: Real, covariances: Complex) -> Complex:
    """Filter two channels with the closed form of the inverse of a 2 x 2 matrix."""
    left, right = (covariances[:, :, c, c].real[:, :, None] for c in (0, 1))
    across = covariances[:, :, 0, 1][:, :, None]
    a, d, b = (v * left).sum(axis=0), (v * right).sum(axis=0), (v * across).sum(axis=0)
    loading = _LOADING * (a + d)
    a, d = a + loading, d + loading
    determinant = a * d - (b.real**2 + b.imag**2)
    inverse = np.divide(1, determinant, out=np.zeros_like(a), where=determinant > 0)
    first = (d * x[0] - b * x[1]) * inverse
    second = (a * x[1] - b.conj() * x[0]) * inverse
    return np.stack([v * (left * first + across * second), v * (across.conj() * first + right * second)], 1)


def _split_any(x: Complex, v: Real, covariances: Complex) -> Complex:
    """Filter any number of channels."""
    model = np.einsum("jfn,jfcd->fncd", v, covariances)
    trace = np.trace(model, axis1=2, axis2=3).real
    loading = np.where(trace > 0, _LOADING * trace, 1)[:, :, None, None] * np.eye(len(x))
    whitened = np.linalg.solve(model + loading, x.transpose(1, 2, 0)[..., None])[..., 0]
    return np.asarray(np.einsum("jfn,jfcd,fnd->jcfn", v, covariances, whitened))


def _products(stem: Complex) -> Complex:
    """Return the sums over frames of outer products of channels, shape (bins, channels, channels).

    The stem has the shape (channels, bins, frames).
    """
    rows = np.ascontiguousarray(stem.swapaxes(0, 1))
    return np.asarray(rows @ rows.conj().swapaxes(1, 2))


class _CovarianceSums:
    """Sums of outer products over frames, from which the spatial covariances of the sources are computed."""

    def __init__(self, smoothing: int) -> None:
        self._smoothing = smoothing
        self._sums: Complex = np.zeros((1, 1, 1, 1), np.complex128)

    def add(self, products: Complex) -> None:
        """Add what `_products` returns for the stems of a block."""
        self._sums = self._sums + products

    def covariances(self) -> Complex:
        """Return the covariance of each source in each bin; the identity where the source is silent."""
        from scipy.ndimage import uniform_filter1d  # here, because loading it takes 0.1 s

        smooth = uniform_filter1d(self._sums, self._smoothing, axis=1, mode="nearest")
        channels = smooth.shape[2]
        trace = np.trace(smooth, axis1=2, axis2=3).real[:, :, None, None]
        identity = np.broadcast_to(np.eye(channels), smooth.shape).astype(np.complex128)
        return np.asarray(np.divide(channels * smooth, trace, out=identity, where=trace > 0))

    def greatest_difference(self) -> float:
        """Return the difference between the two sources that differ most, over all bins together."""
        total = self._sums.sum(axis=1)
        return max((difference(a, b) for i, a in enumerate(total) for b in total[:i]), default=0.0)
