"""Detection of the panning positions of the sources in a stereo mixture.

A pan pot distributes a source over the two channels in a constant proportion, which is an angle. At a point
of time and frequency where a source sounds alone, the covariance of the channels has a single direction. A
histogram of these directions over the whole mixture has a peak at the angle of each source.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d, uniform_filter1d

from nmfaudio.errors import OptionError
from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.progress import Progress
from nmfaudio.sound.spectrogram import Spectrogram
from nmfaudio.sound.stft import STFT

WINDOW_SECONDS = 0.046
MAX_POSITIONS = 8
MIN_DISTANCE = 4.0  # degrees between two sources
REACH = 3.0  # degrees on either side of an angle within which points count to it
# Limits above which angles are trusted: part of all points that have a single direction, and part of those
# that lie near one of the angles.
MIN_SINGLE_SOURCE_PART, MIN_CONFIDENCE = 0.25, 0.5

_STEP = 0.02  # width of a step of the histogram in degrees
_STEPS = round(180 / _STEP)
_BLUR = 0.8  # standard deviation in degrees of the smoothing, which joins what a little reverberation spreads
# Limits of the smaller eigenvalue relative to the larger one; lower values mean that a source is more alone.
_EIGENVALUE_RATIOS = (1e-2, 1e-3, 1e-4, 1e-5)
_WINDOWS = (1.0, 0.7, 0.5, 0.3)  # degrees around an angle whose points refine it, for each ratio
_NEIGHBOURS = 3  # frames in one covariance
_SILENT = 1e-8  # energy relative to the loudest point of a block below which points are ignored
# Least height of a peak relative to the highest peak; the lower limit is used where the number of sources is
# known. Then the part of the height by which a peak must stand out of its surroundings.
_MIN_PEAK, _MIN_KNOWN_PEAK, _PROMINENCE = 0.018, 0.004, 0.6

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Panning:
    """Angles of the sources in a stereo mixture, the angle with the highest peak first.

    Attributes
    ----------
    angles : ndarray, shape (sources,)
        Angles in degrees: 0 is left, 45 middle, 90 right; negative where the channels are in antiphase.
    masses : ndarray, shape (sources,)
        Part of the points with a single direction that lie within `REACH` of each angle.
    single_source_part : float
        Part of all points that have a single direction; points are weighted as in the histogram.

    Examples
    --------
    >>> Panning(np.array([45.0]), np.array([0.9]), 0.8)
    Panning(middle 90 %)
    """

    angles: Vector
    masses: Vector
    single_source_part: float

    @property
    def confidence(self) -> float:
        """Part of the points with a single direction that lie near one of the angles, 0 to 1."""
        return min(1.0, float(self.masses.sum()))

    @property
    def trusted(self) -> bool:
        """Whether the mixture seems to consist of two or more panned sources."""
        single = self.single_source_part >= MIN_SINGLE_SOURCE_PART
        return len(self.angles) > 1 and single and self.confidence >= MIN_CONFIDENCE

    def doubt(self, sources: int | None = None) -> str | None:
        """Return why so many sources should not be separated by panning; None where they should.

        Parameters
        ----------
        sources : int, optional
            Number of sources to separate; by default all that were found.
        """
        count = len(self.angles)
        if count < max(2, sources or 0):
            return f"{count or 'no'} panning position{'' if count == 1 else 's'} found"
        if self.trusted:
            return None
        if self.single_source_part < MIN_SINGLE_SOURCE_PART:
            return f"only {self.single_source_part:.0%} of the sound comes from a single position at a time"
        return (
            f"only {self.confidence:.0%} of the sound from single positions is near one of {count} positions"
        )

    def __repr__(self) -> str:
        positions = zip(self.angles, self.masses, strict=True)
        return f"Panning({', '.join(f'{place_name(a)} {100 * m:.0f} %' for a, m in positions)})"


def find_panning(mixture: Blocks, *, sources: int | None = None) -> Panning:
    """Find the panning angles of the sources of a stereo mixture, in one pass over the mixture.

    Parameters
    ----------
    mixture : Blocks
        Mixture of two channels.
    sources : int, optional
        Number of sources, if it is known. Where fewer clear peaks exist, lower peaks are accepted too.

    Returns
    -------
    Panning

    Raises
    ------
    OptionError
        When the mixture does not have two channels.

    References
    ----------
    A. Jourjine, S. Rickard and O. Yilmaz, "Blind separation of disjoint orthogonal signals: demixing N
    sources from 2 mixtures", ICASSP 2000 (the histogram). S. Arberet, R. Gribonval and F. Bimbot, "A robust
    method to count and locate audio sources in a multichannel underdetermined mixture", IEEE TSP 58(1), 2010
    (points where one source sounds alone).

    Examples
    --------
    >>> from nmfaudio import STFT, Audio, Blocks
    >>> sound = np.random.default_rng(0).standard_normal(8000) / 8
    >>> turns = np.concatenate([np.outer([0.9, 0.3], sound), np.outer([0.2, 0.8], sound)], axis=1)
    >>> np.sort(find_panning(Blocks(Audio(turns, 8000), STFT(512))).angles).round(1)
    array([18.4, 76. ])
    """
    if mixture.channels != 2:
        channels = f"{mixture.channels} channel{'' if mixture.channels == 1 else 's'}"
        raise OptionError(f"the mixture has {channels}: panning positions need two channels")
    histogram = _Histogram()
    mixture = mixture.with_stft(STFT.lasting(WINDOW_SECONDS, mixture.sample_rate))
    for start, stop in mixture.bounds:
        histogram.add(mixture.block(start, stop))
        mixture.report(Progress("finding panning positions", stop, mixture.frames))
    return histogram.panning(sources)


def place_name(angle: float) -> str:
    """Return the name of an angle in degrees, as on a mixing desk.

    Examples
    --------
    >>> [place_name(angle) for angle in (0, 22.5, 45, 67.4, -45)]
    ['left100', 'left50', 'middle', 'right50', 'antiphase']
    """
    if not 0 <= round(angle) <= 90:
        return "antiphase"
    percent = min(100, round(100 * abs(angle / 45 - 1)))
    return "middle" if percent < 3 else f"{'left' if angle < 45 else 'right'}{percent}"


class _Histogram:
    """Histogram of the angles of points with a single direction, one row for each eigenvalue ratio."""

    def __init__(self) -> None:
        shape = (len(_EIGENVALUE_RATIOS), _STEPS)
        self._weights, self._moments = np.zeros(shape), np.zeros(shape)
        self._total = 0.0

    def add(self, block: Spectrogram) -> None:
        """Add the points of a block.

        The weights compensate the lower energy of high bins, and loud points count little more than quiet
        ones.
        """
        angles, ratios, energies = directions(block)
        level = energies.max(initial=0.0)
        energies = np.where(energies > _SILENT * level, energies, 0)
        weights = (energies * block.frequencies[:, None]) ** 0.25
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

    def panning(self, sources: int | None) -> Panning:
        """Return the highest peaks, refined step by step on points at which a source is more alone."""
        weights = self._weights.sum(axis=0)
        single = float(weights.sum())
        if single == 0:
            return Panning(np.zeros(0), np.zeros(0), 0.0)
        smooth = gaussian_filter1d(weights, _BLUR / _STEP, mode="wrap")
        peaks = _peaks(smooth, _MIN_PEAK)[:MAX_POSITIONS]
        if sources and len(peaks) < sources:
            peaks = _peaks(smooth, _MIN_KNOWN_PEAK)[:sources]
        masses = [float(weights[_neighbourhood(peak, REACH)].sum()) / single for peak in peaks]
        angles = np.array([self._refined(peak) for peak in peaks])
        return Panning(angles, np.array(masses), single / self._total)

    def _refined(self, peak: int) -> float:
        """Return the mean angle around a peak, in ever narrower windows."""
        angle = peak * _STEP - 90
        for row, width in enumerate(_WINDOWS):
            near = _neighbourhood(round((angle + 90) / _STEP), width)
            weight = self._weights[row:, near].sum()
            if weight > 0:
                offsets = self._moments[row:, near] + self._weights[row:, near] * self._offsets(near, angle)
                angle += float(offsets.sum() / weight)
        return (angle + 90) % 180 - 90

    @staticmethod
    def _offsets(near: NDArray[np.intp], angle: float) -> Vector:
        """Return the signed circular distance of the lower edges of histogram steps from an angle."""
        return np.asarray((near * _STEP - 90 - angle + 90) % 180 - 90)


def directions(block: Spectrogram) -> tuple[Vector, Vector, Vector]:
    """Return the angle of each point in degrees, the ratio of its eigenvalues, and its energy.

    All have the shape (bins, frames). They come from the real part of the covariance of the two channels over
    a few frames. A delay between the channels, which a pan pot does not make, therefore gives a second
    direction. The ratio of the smaller eigenvalue to the larger one is 0 where a source sounds alone.
    """
    left, right = block.values
    products = (np.abs(left) ** 2, np.abs(right) ** 2, (left * right.conj()).real)
    a, b, cross = (uniform_filter1d(product, _NEIGHBOURS, axis=1, mode="nearest") for product in products)
    half, radius = (a + b) / 2, np.hypot((a - b) / 2, cross)
    angles = np.rad2deg(np.arctan2(2 * cross, a - b) / 2)
    ratios = np.divide(half - radius, half + radius, out=np.ones_like(half), where=half > 0)
    return angles, np.maximum(ratios, 0), 2 * half


def _peaks(smooth: Vector, min_height: float) -> list[int]:
    """Return the clear maxima of a circular histogram, the highest first, none close to a higher one.

    The result is that of `scipy.signal.find_peaks` on a circle; scipy.signal takes half a second to import.
    """
    maxima = np.flatnonzero((smooth > np.roll(smooth, 1)) & (smooth >= np.roll(smooth, -1)))
    limit = min_height * smooth.max()
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
