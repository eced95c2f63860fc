"""Where sources stand in a stereo mixture, as a pan-pot places them.

A source that a pan-pot places fills the two channels in one proportion, an angle. Where it sounds alone, the
covariance of the channels has one direction only. Those points of time and frequency, collected over the
whole mixture, pile up at the angles of its sources.
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
MOST = 8  # places
APART = 4.0  # degrees between two sources, at least
REACH = 3.0  # degrees around a place within which points count as its own
# For angles to be trusted: of all points, the part that must have one direction; and of those, the part that
# must lie near a place.
ALONE, TRUSTED = 0.25, 0.5

_STEP = 0.02  # degrees of the histogram
_STEPS = round(180 / _STEP)
_BLUR = 0.8  # degrees: bridges what a little reverberation spreads
_PURITIES = (1e-2, 1e-3, 1e-4, 1e-5)  # smaller over greater eigenvalue: from nearly to quite alone
_WINDOWS = (1.0, 0.7, 0.5, 0.3)  # degrees around an angle that refine it, at each purity
_NEIGHBOURS = 3  # frames in one covariance
_SILENT = 1e-8  # of the loudest point of a block
# A place is a peak so high, relative to the highest, and so much of it above its surroundings; the lower
# limit serves where it is known how many there are.
_LEAST_PEAK, _KNOWN_PEAK, _PROMINENCE = 0.018, 0.004, 0.6

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Panning:
    """Angles at which sources stand, the most frequent first.

    Attributes
    ----------
    angles : ndarray, shape (sources,)
        In degrees: 0 left, 45 middle, 90 right; negative where the channels are in antiphase.
    masses : ndarray, shape (sources,)
        Part of the points with one direction that lies within `REACH` of each angle.
    alone : float
        Part of all points, weighed as in the histogram, that have one direction.

    Examples
    --------
    >>> Panning(np.array([45.0]), np.array([0.9]), 0.8)
    Panning(middle 90 %)
    """

    angles: Vector
    masses: Vector
    alone: float

    @property
    def confidence(self) -> float:
        """Part of the points with one direction that lies near a place, 0 to 1."""
        return min(1.0, float(self.masses.sum()))

    @property
    def trusted(self) -> bool:
        """Whether the mixture seems to be made of two panned sources or more."""
        return len(self.angles) > 1 and self.alone >= ALONE and self.confidence >= TRUSTED

    def doubt(self, sources: int | None = None) -> str | None:
        """Return why so many sources should not be separated by their places, or None."""
        found = len(self.angles)
        if found < max(2, sources or 0):
            return f"{found or 'no'} place{'' if found == 1 else 's'} found between the channels"
        if self.trusted:
            return None
        if self.alone < ALONE:
            return f"sources stand alone in {self.alone:.0%} of the sound only"
        return f"{self.confidence:.0%} only of what sounds alone stands at one of {found} places"

    def __repr__(self) -> str:
        found = zip(self.angles, self.masses, strict=True)
        return f"Panning({', '.join(f'{place_name(a)} {100 * m:.0f} %' for a, m in found)})"


def find_panning(mixture: Blocks, *, sources: int | None = None) -> Panning:
    """Find the angles at which the sources of a stereo mixture stand, in one pass over it.

    Parameters
    ----------
    mixture : Blocks
        Of two channels.
    sources : int, optional
        How many there are, if that is known: where fewer places show, they are looked for more keenly.

    Returns
    -------
    Panning

    Raises
    ------
    OptionError
        For a mixture that has not two channels.

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
        raise OptionError(f"{mixture.channels} channels: places are found between two")
    histogram = _Histogram()
    mixture = mixture.with_stft(STFT.lasting(WINDOW_SECONDS, mixture.sample_rate))
    for start, stop in mixture.bounds:
        histogram.add(mixture.block(start, stop))
        mixture.report(Progress("looking where sources stand", stop, mixture.frames))
    return histogram.panning(sources)


def place_name(angle: float) -> str:
    """Name an angle in degrees as a mixing desk does.

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
    """Weights of points with one direction, by angle and purity."""

    def __init__(self) -> None:
        shape = (len(_PURITIES), _STEPS)
        self._weights, self._moments = np.zeros(shape), np.zeros(shape)
        self._total = 0.0

    def add(self, block: Spectrogram) -> None:
        """Add a block's points; high bins count as much as low ones, loud ones little more than soft ones."""
        angles, purities, energies = directions(block)
        level = energies.max(initial=0.0)
        energies = np.where(energies > _SILENT * level, energies, 0)
        weights = (energies * block.frequencies[:, None]) ** 0.25
        self._total += float(weights.sum())
        turned = (angles + 90) / _STEP
        steps = np.floor(turned).astype(np.intp)
        bins, beyond = steps % _STEPS, (turned - steps) * _STEP
        rank = np.digitize(purities, _PURITIES[::-1])
        for row in range(len(_PURITIES)):
            chosen = (rank == len(_PURITIES) - 1 - row) & (weights > 0)
            at, weight = bins[chosen], weights[chosen]
            self._weights[row] += np.bincount(at, weight, _STEPS)
            self._moments[row] += np.bincount(at, weight * beyond[chosen], _STEPS)

    def panning(self, sources: int | None) -> Panning:
        """Return the clearest peaks, refined on ever purer points."""
        weights = self._weights.sum(axis=0)
        alone = float(weights.sum())
        if alone == 0:
            return Panning(np.zeros(0), np.zeros(0), 0.0)
        smooth = gaussian_filter1d(weights, _BLUR / _STEP, mode="wrap")
        peaks = _peaks(smooth, _LEAST_PEAK)[:MOST]
        if sources and len(peaks) < sources:
            peaks = _peaks(smooth, _KNOWN_PEAK)[:sources]
        masses = [float(weights[_around(peak, REACH)].sum()) / alone for peak in peaks]
        angles = np.array([self._refined(peak) for peak in peaks])
        return Panning(angles, np.array(masses), alone / self._total)

    def _refined(self, peak: int) -> float:
        angle = peak * _STEP - 90
        for row, width in enumerate(_WINDOWS):
            near = _around(round((angle + 90) / _STEP), width)
            weight = self._weights[row:, near].sum()
            if weight > 0:
                offsets = self._moments[row:, near] + self._weights[row:, near] * self._offsets(near, angle)
                angle += float(offsets.sum() / weight)
        return (angle + 90) % 180 - 90

    @staticmethod
    def _offsets(near: NDArray[np.intp], angle: float) -> Vector:
        """Return how far the lower edges of histogram steps lie from an angle, the short way round."""
        return np.asarray((near * _STEP - 90 - angle + 90) % 180 - 90)


def directions(block: Spectrogram) -> tuple[Vector, Vector, Vector]:
    """Return the angle of each point in degrees, how far it has others beside it, and its energy.

    Each is of shape (bins, frames), from the real part of the covariance of the two channels over a few
    frames: a delay between them counts as another direction, as a pan-pot makes none.
    """
    left, right = block.values
    parts = (np.abs(left) ** 2, np.abs(right) ** 2, (left * right.conj()).real)
    a, b, across = (uniform_filter1d(part, _NEIGHBOURS, axis=1, mode="nearest") for part in parts)
    half, radius = (a + b) / 2, np.hypot((a - b) / 2, across)
    angles = np.rad2deg(np.arctan2(2 * across, a - b) / 2)
    purities = np.divide(half - radius, half + radius, out=np.ones_like(half), where=half > 0)
    return angles, np.maximum(purities, 0), 2 * half


def _peaks(smooth: Vector, least: float) -> list[int]:
    """Return the clear maxima of a circular histogram, highest first, none near a higher one.

    As scipy's `find_peaks` would on such a circle; loading that takes half a second.
    """
    tops = np.flatnonzero((smooth > np.roll(smooth, 1)) & (smooth >= np.roll(smooth, -1)))
    found: list[int] = []
    for top in tops[np.argsort(-smooth[tops], kind="stable")].tolist():
        away = np.abs(np.array(found) - top)
        if smooth[top] >= least * smooth.max() and (np.minimum(away, _STEPS - away) >= APART / _STEP).all():
            found.append(top)
    return [top for top in found if _prominence(smooth, top) >= _PROMINENCE * smooth[top]]


def _prominence(smooth: Vector, top: int) -> float:
    """Return how far one must come down from a maximum of a circle on the way to a higher one."""
    onwards = np.roll(smooth, -top)
    higher = np.flatnonzero(onwards > onwards[0])
    if not len(higher):
        return float(onwards[0] - onwards.min())
    return float(onwards[0] - max(onwards[: higher[0]].min(), onwards[higher[-1] :].min()))


def _around(step: int, degrees: float) -> NDArray[np.intp]:
    reach = round(degrees / _STEP)
    return np.arange(step - reach, step + reach + 1) % _STEPS
