"""Evidence of panning positions: histograms of the directions of all points of a stereo mixture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nmfaudio.sound.spectrogram import Spectrogram

REACH = 3.0  # degrees on either side of an angle within which points count to it
MIN_DISTANCE = 4.0  # degrees between two sources

_STEP = 0.02  # width of a step of the histogram in degrees
_STEPS = round(180 / _STEP)
_COARSE = 50  # steps of the histogram in one step of the histogram of each bin, which is one degree wide
_BLUR = 0.8  # standard deviation in degrees of the smoothing, which joins what a little reverberation spreads
# Limits of the smaller eigenvalue relative to the larger one; lower values mean that a source is more alone.
_EIGENVALUE_RATIOS = (1e-2, 1e-3, 1e-4, 1e-5)
_WINDOWS = (1.0, 0.7, 0.5, 0.3)  # degrees around an angle whose points refine it, for each ratio
_NEIGHBOURS = 3  # frames in one covariance
_SILENT = 1e-8  # energy relative to the loudest point of a block below which points are ignored
# Least height of a peak relative to the highest peak, then the part of the height by which it must stand out
# of its surroundings.
_MIN_PEAK, _PROMINENCE = 0.018, 0.6

Vector = NDArray[np.float64]


class DirectionHistogram:
    """Histogram of the angles of points with a single direction, one row for each eigenvalue ratio.

    Points count twice: by weights in which loud points count little more than quiet ones, and by their
    amplitude. The first kind finds sources that are quiet, the second kind sources of a few loud partials.
    """

    def __init__(self, bins: int) -> None:
        shape = (len(_EIGENVALUE_RATIOS), _STEPS)
        self._weights, self._moments = np.zeros(shape), np.zeros(shape)
        self._amplitudes, self._all_amplitudes = np.zeros(_STEPS), np.zeros(_STEPS)
        self._bins = np.zeros((bins, _STEPS // _COARSE))
        self._total = 0.0

    @classmethod
    def of(cls, block: Spectrogram) -> DirectionHistogram:
        """Return the histogram of the points of a block."""
        histogram = cls(block.values.shape[1])
        histogram._count(block)
        return histogram

    def add(self, other: DirectionHistogram) -> None:
        """Add the points of another histogram."""
        self._weights += other._weights
        self._moments += other._moments
        self._amplitudes += other._amplitudes
        self._all_amplitudes += other._all_amplitudes
        self._bins += other._bins
        self._total += other._total

    def _count(self, block: Spectrogram) -> None:
        """Add the points of a block; the weights compensate the lower energy of high bins."""
        angles, ratios, energies = directions(block)
        level = energies.max(initial=0.0)
        energies = np.where(energies > _SILENT * level, energies, 0)
        weights = (energies * block.frequencies[:, None]) ** 0.25
        amplitudes = np.sqrt(energies)
        self._total += float(weights.sum())
        scaled = (angles + 90) / _STEP
        steps = np.floor(scaled).astype(np.intp)
        bins, remainders = steps % _STEPS, (scaled - steps) * _STEP
        rank = np.digitize(ratios, _EIGENVALUE_RATIOS[::-1])
        for row in range(len(_EIGENVALUE_RATIOS)):
            chosen = (rank == len(_EIGENVALUE_RATIOS) - 1 - row) & (weights > 0)
            position, weight = bins[chosen], weights[chosen]
            self._weights[row] += np.bincount(position, weight, _STEPS)
            self._moments[row] += np.bincount(position, weight * remainders[chosen], _STEPS)
        self._add_amplitudes(bins, amplitudes, ratios < _EIGENVALUE_RATIOS[0])

    def _add_amplitudes(self, steps: NDArray[np.intp], amplitudes: Vector, single: NDArray[np.bool_]) -> None:
        """Add the amplitude of all points, and of those with a single direction also for each bin."""
        self._all_amplitudes += np.bincount(steps.ravel(), amplitudes.ravel(), _STEPS)
        self._amplitudes += np.bincount(steps[single], amplitudes[single], _STEPS)
        count = self._bins.shape[1]
        cells = (np.arange(len(steps))[:, None] * count + steps // _COARSE)[single]
        self._bins += np.bincount(cells, amplitudes[single], self._bins.size).reshape(self._bins.shape)

    @property
    def single_source_part(self) -> float:
        """Part of all points that have a single direction, 0 to 1."""
        return float(self._weights.sum()) / self._total if self._total > 0 else 0.0

    def peaks(self) -> list[int]:
        """Return the steps of the clear peaks, the highest first."""
        weights = self._weights.sum(axis=0)
        if not weights.any():
            return []
        from scipy.ndimage import gaussian_filter1d  # here, because loading it takes 0.1 s

        both = weights / weights.sum() + self._amplitudes / self._amplitudes.sum()
        return clear_peaks(gaussian_filter1d(both, _BLUR / _STEP, mode="wrap"))

    def mass(self, peak: int) -> float:
        """Return the part of the points with a single direction that lie near a peak.

        It is the mean of the parts by weight and by amplitude.
        """
        near, weights = _neighbourhood(peak, REACH), self._weights.sum(axis=0)
        parts = [float(kind[near].sum() / kind.sum()) for kind in (weights, self._amplitudes)]
        return (parts[0] + parts[1]) / 2

    def purity(self, peak: int) -> float:
        """Return the part of the amplitude near a peak that comes from points with a single direction."""
        near = _neighbourhood(peak, REACH)
        total = float(self._all_amplitudes[near].sum())
        return float(self._amplitudes[near].sum()) / total if total > 0 else 0.0

    def breadth(self, peak: int) -> float:
        """Return the effective number of bins of the points near a peak that have a single direction.

        A steady partial has some direction even in a room, but it fills only a few bins.
        """
        spectrum = self._spectrum(peak)
        squares = float((spectrum**2).sum())
        return float(spectrum.sum()) ** 2 / squares if squares > 0 else 0.0

    def _spectrum(self, peak: int) -> Vector:
        """Return the amplitude in each bin of the points near a peak that have a single direction."""
        reach = np.arange(-round(REACH), round(REACH) + 1)
        return np.asarray(self._bins[:, (peak // _COARSE + reach) % self._bins.shape[1]].sum(axis=1))

    def rest(self, peaks: list[int]) -> float:
        """Return the part of the amplitude of all points that is not near one of the peaks."""
        total = float(self._all_amplitudes.sum())
        near = sum(float(self._all_amplitudes[_neighbourhood(peak, REACH)].sum()) for peak in peaks)
        return max(0.0, 1 - near / total) if total > 0 else 0.0

    def overlap(self, peaks: list[int]) -> float:
        """Return how little the frequency alone tells at which peak a point lies, 0 to 1.

        It is the mean probability that two points of the same bin lie near different peaks, relative to the
        probability for two points of any bins.
        """
        masses = np.stack([self._spectrum(peak) for peak in peaks])
        same_bin, any_bin = _differing(masses), _differing(masses.sum(axis=1, keepdims=True))
        return same_bin / any_bin if any_bin > 0 else 0.0

    def refined(self, peak: int) -> float:
        """Return the mean angle around a peak in ever narrower windows, in degrees from -45 to 135."""
        angle = peak * _STEP - 90
        for row, width in enumerate(_WINDOWS):
            near = _neighbourhood(round((angle + 90) / _STEP), width)
            weight = self._weights[row:, near].sum()
            if weight > 0:
                offsets = self._moments[row:, near] + self._weights[row:, near] * self._offsets(near, angle)
                angle += float(offsets.sum() / weight)
        return (angle + 45) % 180 - 45

    @staticmethod
    def _offsets(near: NDArray[np.intp], angle: float) -> Vector:
        """Return the signed circular distance of the lower edges of histogram steps from an angle."""
        return np.asarray((near * _STEP - 90 - angle + 90) % 180 - 90)


def _differing(masses: Vector) -> float:
    """Return the mass of points times the probability that another point of the bin has another peak."""
    totals = masses.sum(axis=0)
    same = np.divide((masses**2).sum(axis=0), totals, out=np.zeros_like(totals), where=totals > 0)
    return float((totals - same).sum())


def directions(block: Spectrogram) -> tuple[Vector, Vector, Vector]:
    """Return the angle of each point in degrees, the ratio of its eigenvalues, and its energy.

    All have the shape (bins, frames). They come from the real part of the covariance of the two channels over
    a few frames. A delay between the channels, which a pan pot does not make, therefore gives a second
    direction. The ratio of the smaller eigenvalue to the larger one is 0 where a source sounds alone.
    """
    from scipy.ndimage import uniform_filter1d  # here, because loading it takes 0.1 s

    left, right = block.values
    products = (np.abs(left) ** 2, np.abs(right) ** 2, (left * right.conj()).real)
    a, b, cross = (uniform_filter1d(product, _NEIGHBOURS, axis=1, mode="nearest") for product in products)
    half, radius = (a + b) / 2, np.hypot((a - b) / 2, cross)
    angles = np.rad2deg(np.arctan2(2 * cross, a - b) / 2)
    ratios = np.divide(half - radius, half + radius, out=np.ones_like(half), where=half > 0)
    return angles, np.maximum(ratios, 0), 2 * half


def clear_peaks(smooth: Vector) -> list[int]:
    """Return the clear maxima of a circular histogram, the highest first, none close to a higher one.

    The result is that of `scipy.signal.find_peaks` on a circle; scipy.signal takes half a second to import.
    """
    maxima = np.flatnonzero((smooth > np.roll(smooth, 1)) & (smooth >= np.roll(smooth, -1)))
    limit = _MIN_PEAK * smooth.max()
    peaks: list[int] = []
    for step in maxima[np.argsort(-smooth[maxima], kind="stable")].tolist():
        distances = np.abs(np.array(peaks) - step)
        distances = np.minimum(distances, _STEPS - distances)
        if smooth[step] >= limit and (distances >= MIN_DISTANCE / _STEP).all():
            peaks.append(step)
    return [peak for peak in peaks if _prominence(smooth, peak) >= _PROMINENCE * smooth[peak]]


def _prominence(smooth: Vector, peak: int) -> float:
    """Return the height of a peak above the higher one of the lowest points towards higher peaks."""
    rotated = np.roll(smooth, -peak)
    higher = np.flatnonzero(rotated > rotated[0])
    if not len(higher):
        return float(rotated[0] - rotated.min())
    return float(rotated[0] - max(rotated[: higher[0]].min(), rotated[higher[-1] :].min()))


def _neighbourhood(step: int, degrees: float) -> NDArray[np.intp]:
    """Return the steps of the histogram within some degrees of a step."""
    reach = round(degrees / _STEP)
    return np.arange(step - reach, step + reach + 1) % _STEPS
