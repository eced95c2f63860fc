"""Separator for sustained sounds (tones) and percussive sounds (beats)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nmfaudio.errors import OptionError
from nmfaudio.models.function import FunctionModel
from nmfaudio.models.options import Options, option, window_option
from nmfaudio.nmf.threads import share_out, workers
from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.spectrogram import Spectrogram
from nmfaudio.sound.stft import STFT

HARMONIC, PERCUSSIVE = NAMES = ("harmonic", "percussive")
RESIDUAL = "residual"


@dataclass(frozen=True)
class HarmonicPercussive(Options):
    """Separate sustained sounds (tones) from percussive ones (beats).

    In a spectrogram tones are horizontal lines and beats are vertical lines. A median over time keeps tones,
    and a median over frequency keeps beats. The separator is fast and handles recordings of any length. It
    gives a first impression of a song, or prepares it for other separators.

    Parameters
    ----------
    reach : int
        Width of the medians in frames and in bins; an odd number.
    window : float
        Length of the analysis window in seconds; the nearest power of two samples is used.
    mask_exponent : float
        Exponent of the masks; higher values separate more strongly.
    margin : float or tuple of float
        Factor by which one median must exceed the other, at least 1: one value for both stems, or a value
        for tones and a value for beats. Above 1, a third stem `residual` holds the sounds that are clearly
        neither, such as voices and noise.

    References
    ----------
    D. FitzGerald, "Harmonic/percussive separation using median filtering", DAFx 2010. J. Driedger, M. Mueller
    and S. Disch, "Extending harmonic-percussive separation of audio signals", ISMIR 2014 (margin and
    residual).

    Examples
    --------
    >>> from nmfaudio import Audio, separate
    >>> noise = Audio(np.random.default_rng(0).standard_normal((1, 8000)) / 8, 8000)
    >>> list(separate(noise, HarmonicPercussive(margin=(2.0, 3.0))).stems)
    ['harmonic', 'percussive', 'residual']
    """

    needs_whole: ClassVar[bool] = False

    reach: int = option(31, "width of the medians in frames and bins, an odd number", at_least=3)
    window: float = window_option(0.093)
    mask_exponent: float = option(
        2.0,
        "exponent of the masks; higher values separate more strongly",
        above=0,
        former_name="exponent",
    )
    margin: float | tuple[float, ...] = option(
        1.0,
        "factor by which tones must exceed beats, and beats tones; above 1 a stem `residual` holds the rest",
        at_least=1,
        flag="margin",
        metavar="NUMBER[,NUMBER]",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.reach % 2 == 0:
            raise OptionError(f"reach={self.reach}: it must be an odd number", option="reach")
        margins = self.margin if isinstance(self.margin, tuple) else (self.margin,)
        if len(margins) not in (1, 2) or not np.isfinite(margins).all():
            raise OptionError(f"margin={self.margin}: pass one or two finite numbers", option="margin")

    @property
    def margins(self) -> tuple[float, float]:
        """Margin of tones and margin of beats."""
        values = self.margin if isinstance(self.margin, tuple) else (self.margin,)
        return float(values[0]), float(values[-1])

    def fit(self, mixture: Blocks) -> FunctionModel:
        """Return a model of the medians, which learns nothing from the mixture."""
        stft = STFT.lasting(self.window, mixture.sample_rate)
        context = self.reach // 2
        if max(self.margins) > 1:
            return FunctionModel(stft, (*NAMES, RESIDUAL), self.masks, context=context)
        return FunctionModel(stft, NAMES, self.enhanced, context=context, mask_exponent=self.mask_exponent)

    def enhanced(self, block: Spectrogram) -> dict[str, NDArray[Any]]:
        """Return magnitudes in proportion to the two medians, each (channels, bins, frames)."""
        return dict(zip(NAMES, self._medians(block), strict=True))

    def masks(self, block: Spectrogram) -> dict[str, NDArray[Any]]:
        """Return the masks of tones, beats and the rest, each (channels, bins, frames); they sum to one."""
        from librosa.util import softmask

        tones, beats = self._medians(block)
        of_tones, of_beats = self.margins
        harmonic = softmask(tones, beats * of_tones, power=self.mask_exponent)
        percussive = softmask(beats, tones * of_beats, power=self.mask_exponent)
        rest = np.maximum(1 - harmonic - percussive, 0)
        return dict(zip((*NAMES, RESIDUAL), (harmonic, percussive, rest), strict=True))

    def _medians(self, block: Spectrogram) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return the median over time, which keeps tones, and the median over frequency, which keeps beats.

        `librosa.decompose.hpss` computes the same, but it imports scikit-learn, which takes most of a second.
        """
        from scipy.ndimage import median_filter

        magnitudes, sizes = block.magnitude, ((1, 1, self.reach), (1, self.reach, 1))
        with workers(None) as pool:
            tones, beats = share_out(lambda n: median_filter(magnitudes, sizes[n], mode="reflect"), 2, pool)
        return tones, beats
