"""Take steady noise away from what sounds over it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from nmfaudio.errors import OptionError
from nmfaudio.models.contract import Model
from nmfaudio.models.masks import soft_masks
from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.frames import channel_frames
from nmfaudio.sound.spectrogram import Spectrogram
from nmfaudio.sound.stft import STFT

_VALUES = 1 << 22  # of the spectrogram that the noise is measured in: evenly spread frames
_CONTEXT = 4  # frames that smoothing reaches to either side


@dataclass(frozen=True)
class Noise:
    """Take steady noise away: the noise, and what sounds over it, such as speech over an engine.

    Where a sound pauses now and then, the quieter moments of each frequency are noise. Their level tells the
    noise's mean power, and a Wiener mask shares each point out between that and what is above it. Not for
    noise that comes and goes.

    Parameters
    ----------
    quantile : float
        Part of the frames that is taken to be noise alone, in each bin: less where sounds hardly pause.
    smoothing : float
        Of powers before they are compared, in bins and frames: more leaves fewer chirps.
    window : float
        Seconds of the analysis window; its length is the nearest power of two.

    References
    ----------
    V. Stahl, A. Fischer and R. Bippus, "Quantile based noise estimation for spectral subtraction and Wiener
    filtering", ICASSP 2000.
    """

    quantile: float = field(default=0.2, metadata={"help": "part of the frames that is noise alone"})
    smoothing: float = field(default=1.0, metadata={"help": "of powers, in bins and frames"})
    window: float = field(default=0.064, metadata={"help": "seconds of the analysis window"})

    def __post_init__(self) -> None:
        if not 0 < self.quantile < 1:
            raise OptionError(f"quantile={self.quantile}: it must lie within 0 and 1")
        if not 0 < self.window < np.inf:
            raise OptionError(f"window={self.window}: it must be above 0")
        if not 0 <= self.smoothing <= 1:
            raise OptionError(f"smoothing={self.smoothing}: it must lie within 0 and 1")

    def fit(self, mixture: Blocks) -> NoiseModel:
        """Measure the noise."""
        mixture = mixture.with_stft(STFT.lasting(self.window, mixture.sample_rate))
        powers = channel_frames(mixture, 2, _VALUES).reshape(mixture.channels, -1, mixture.stft.bins)
        quiet = np.quantile(powers, self.quantile, axis=1)
        # Powers of Gaussian noise are spread exponentially: this is their mean, given their quantile.
        return NoiseModel(mixture.stft, quiet / -np.log1p(-self.quantile), self.smoothing)


@dataclass(frozen=True)
class NoiseModel(Model):
    """The mean power of the noise, shape (channels, bins)."""

    stft: STFT
    power: NDArray[np.float64]
    smoothing: float
    sources: tuple[str, ...] = ("noise", "sound")
    messages: tuple[str, ...] = ()
    context: int = _CONTEXT

    def separate(self, block: Spectrogram) -> dict[str, Spectrogram]:
        """Mask the block by the noise's power and what is above it."""
        noise = np.broadcast_to(self.power[:, :, None], block.values.shape)
        blur = (0, self.smoothing, self.smoothing)
        powers = gaussian_filter(block.magnitude**2, blur, mode="nearest", truncate=_CONTEXT)
        return soft_masks(block, {"noise": noise, "sound": np.maximum(powers - noise, 0)})
