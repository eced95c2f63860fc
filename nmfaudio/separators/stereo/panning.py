"""Detection of the panning positions of the sources in a stereo mixture.

A pan pot distributes a source over the two channels in a constant proportion, which is an angle. At a point
of time and frequency where a source sounds alone, the covariance of the channels has a single direction. A
histogram of these directions over the whole mixture has a peak at the angle of each source.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nmfaudio.errors import OptionError
from nmfaudio.nmf.threads import work_ahead
from nmfaudio.separators.stereo.evidence import DirectionHistogram
from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.progress import Progress
from nmfaudio.sound.stft import STFT

WINDOW_SECONDS = 0.046
MAX_POSITIONS = 8
# Limits above which an angle is a position: part of the points with a single direction that lie near it, part
# of the amplitude near it that comes from such points, and their effective number of bins. In a room or
# before spaced microphones, hardly any angle passes: points near it by chance have no single direction, and
# a steady partial fills few bins.
MIN_MASS, MIN_PURITY, MIN_BREADTH = 0.02, 0.3, 6.0
# Limits above which positions are trusted: part of all points that have a single direction, part of those
# that lie near one of the positions, and how little the frequency alone tells the position.
MIN_SINGLE_SOURCE_PART, MIN_CONFIDENCE, MIN_OVERLAP = 0.25, 0.5, 0.05
# Limits above which a single position is one source over a rest that has no position: mass and purity of the
# position, and part of the amplitude that is not near it.
MIN_LONE_MASS, MIN_LONE_PURITY, MIN_REST = 0.3, 0.55, 0.3
_BEYOND = 2.0  # degrees beyond the left or right channel that still count to it

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Panning:
    """Angles of the sources in a stereo mixture, the angle with the highest peak first.

    Attributes
    ----------
    angles : ndarray, shape (sources,)
        Angles in degrees from -45 to 135: 0 is left, 45 middle, 90 right; the channels of other angles are in
        antiphase.
    masses : ndarray, shape (sources,)
        Part of the points with a single direction that lie within `REACH` of each angle; the mean of the
        parts by number and by amplitude.
    purities : ndarray, shape (sources,)
        Part of the amplitude within `REACH` of each angle that comes from points with a single direction.
    single_source_part : float
        Part of all points that have a single direction; points are weighted as in the histogram.
    overlap : float
        How little the frequency alone tells at which angle a point lies, 0 to 1. It is near 0 where an
        instrument sounds from several directions, each with frequencies of its own.
    rest : float
        Part of the amplitude that is not within `REACH` of one of the angles.

    Examples
    --------
    >>> Panning(np.array([45.0]), np.array([0.9]), np.array([0.8]), 0.8)
    Panning(middle 90 %)
    """

    angles: Vector
    masses: Vector
    purities: Vector
    single_source_part: float
    overlap: float = 1.0
    rest: float = 0.0

    @property
    def confidence(self) -> float:
        """Part of the points with a single direction that lie near one of the angles, 0 to 1."""
        return min(1.0, float(self.masses.sum()))

    @property
    def trusted(self) -> bool:
        """Whether the mixture seems to consist of two or more panned sources."""
        single = self.single_source_part >= MIN_SINGLE_SOURCE_PART
        clear = self.confidence >= MIN_CONFIDENCE and self.overlap >= MIN_OVERLAP
        return len(self.angles) > 1 and single and clear

    @property
    def is_lone(self) -> bool:
        """Whether the mixture seems to consist of one panned source and a rest that has no position."""
        if len(self.angles) != 1 or self.rest < MIN_REST:
            return False
        return bool(self.masses[0] >= MIN_LONE_MASS and self.purities[0] >= MIN_LONE_PURITY)

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
        if self.confidence < MIN_CONFIDENCE:
            part = f"{self.confidence:.0%} of the sound from single positions"
            return f"only {part} is near one of {count} positions"
        return f"the {count} panning positions found differ by frequency, not by source"

    def __repr__(self) -> str:
        positions = zip(self.angles, self.masses, strict=True)
        return f"Panning({', '.join(f'{place_name(a)} {100 * m:.0f} %' for a, m in positions)})"


def find_panning(mixture: Blocks) -> Panning:
    """Find the panning angles of the sources of a stereo mixture, in one pass over the mixture.

    An angle counts only if there is evidence of this angle itself: enough of the points with a single
    direction lie near it, in enough bins, and enough of the amplitude near it comes from such points.

    Parameters
    ----------
    mixture : Blocks
        Mixture of two channels.

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
    mixture = mixture.with_stft(STFT.lasting(WINDOW_SECONDS, mixture.sample_rate))
    histogram = DirectionHistogram(mixture.stft.bins)
    blocks = (mixture.block(start, stop) for start, stop in mixture.bounds)
    histograms = work_ahead(DirectionHistogram.of, blocks)
    for (_, stop), of_block in zip(mixture.bounds, histograms, strict=True):
        histogram.add(of_block)
        mixture.report(Progress("finding panning positions", stop, mixture.frames))
    return _panning(histogram)


def _panning(histogram: DirectionHistogram) -> Panning:
    """Return the peaks that have evidence of their own."""
    peaks = [peak for peak in histogram.peaks() if _is_position(histogram, peak)][:MAX_POSITIONS]
    angles = np.array([histogram.refined(peak) for peak in peaks])
    masses = np.array([histogram.mass(peak) for peak in peaks])
    purities = np.array([histogram.purity(peak) for peak in peaks])
    overlap = histogram.overlap(peaks) if len(peaks) > 1 else 1.0
    part, rest = histogram.single_source_part, histogram.rest(peaks)
    return Panning(angles, masses, purities, part, overlap, rest)


def _is_position(histogram: DirectionHistogram, peak: int) -> bool:
    """Whether there is evidence of a source at this peak."""
    clear = histogram.mass(peak) >= MIN_MASS and histogram.purity(peak) >= MIN_PURITY
    return clear and histogram.breadth(peak) >= MIN_BREADTH


def place_name(angle: float) -> str:
    """Return the name of an angle in degrees, as on a mixing desk.

    Examples
    --------
    >>> [place_name(angle) for angle in (0, 22.5, 45, 67.4, -89.6, -45)]
    ['left100', 'left50', 'middle', 'right50', 'right100', 'antiphase']
    """
    angle = (angle + 45) % 180 - 45
    if not -_BEYOND <= angle <= 90 + _BEYOND:
        return "antiphase"
    percent = min(100, round(100 * abs(angle / 45 - 1)))
    return "middle" if percent < 3 else f"{'left' if angle < 45 else 'right'}{percent}"
