"""Take tones and beats apart."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nmfaudio.errors import OptionError
from nmfaudio.models.function import FunctionModel
from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.spectrogram import Spectrogram
from nmfaudio.sound.stft import STFT


@dataclass(frozen=True)
class HarmonicPercussive:
    """Take what sounds on (tones) and what strikes (beats) apart.

    In a spectrogram tones are horizontal, beats vertical lines: a median over time keeps the ones, a median
    over frequency the others. Fast, and of any length; a first look at a song, or a first stage of others.

    Parameters
    ----------
    reach : int
        Frames, and bins, that the medians look at; odd.
    window : float
        Seconds of the analysis window; its length is the nearest power of two.
    mask_exponent : float
        Of the masks: higher ones separate harder.

    References
    ----------
    D. FitzGerald, "Harmonic/percussive separation using median filtering", DAFx 2010.
    """

    needs_whole: ClassVar[bool] = False

    reach: int = field(default=31, metadata={"help": "frames, and bins, that the medians look at"})
    window: float = field(default=0.093, metadata={"help": "seconds of the analysis window"})
    mask_exponent: float = field(default=2.0, metadata={"help": "of the masks: higher ones separate harder"})

    def __post_init__(self) -> None:
        if self.reach < 3 or self.reach % 2 == 0:
            raise OptionError(f"reach={self.reach}: it must be odd, and at least 3")
        for name in ("window", "mask_exponent"):
            if not 0 < getattr(self, name) < np.inf:
                raise OptionError(f"{name}={getattr(self, name)}: it must be above 0")

    def fit(self, mixture: Blocks) -> FunctionModel:
        """Nothing is learned: the medians look at each block and a little around it."""
        stft = STFT.lasting(self.window, mixture.sample_rate)
        names = ("harmonic", "percussive")
        return FunctionModel(
            stft, names, self.enhanced, context=self.reach // 2, mask_exponent=self.mask_exponent
        )

    def enhanced(self, block: Spectrogram) -> dict[str, NDArray[Any]]:
        """Return the medians over time and over frequency, each (channels, bins, frames)."""
        import librosa

        magnitude = block.magnitude
        # Masks of exponent 1 times the magnitude are in the ratio of the medians themselves.
        parts = librosa.decompose.hpss(magnitude, kernel_size=self.reach, power=1.0)
        return dict(zip(("harmonic", "percussive"), parts, strict=True))
