"""Separator for steady noise and the sounds above it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from nmfaudio.errors import OptionError
from nmfaudio.models.combination import Combination
from nmfaudio.models.contract import Model
from nmfaudio.models.masks import soft_masks
from nmfaudio.models.options import Options, option, window_option
from nmfaudio.separators.blind.agreement import agreement_of_starts
from nmfaudio.separators.blind.separator import MEAN_EXPONENT, Blind
from nmfaudio.separators.guided.grouping import Guide, guided_model
from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.frames import channel_frames
from nmfaudio.sound.spectrogram import Spectrogram
from nmfaudio.sound.stft import STFT

_MEASURED_VALUES = 1 << 22  # values of the evenly spaced frames in which the noise is measured
NOISE, SOUND = "noise", "sound"
# Least spread of the parts of noise in the components of a mixture. Measured: at most 0.14 for recordings of
# noise alone, and at least 0.24 for noise with other sounds.
_LEAST_SPREAD = 0.2
# Least and greatest weight of the stems by components, and the agreement of the random starts up to which
# and from which on they apply. On 30 mixtures of sounds and noise, the agreement was 0.74 to 0.99. These
# weights and the exponent of the mean of the masks together gained 0.4 dB in the mean; speech in white noise
# lost 0.5 dB.
_WEIGHTS, _AGREEMENTS = (0.5, 0.75), (0.92, 0.97)
_CONTEXT = 4  # frames on either side that the smoothing needs


@dataclass(frozen=True)
class Noise(Options):
    """Separate steady noise from the sounds above it, such as speech over an engine.

    If the sounds pause now and then, the quiet frames of each frequency contain only noise. Their level gives
    the mean power of the noise, and a Wiener mask divides each point between the noise and the power above
    it. The mask also decides which components of a blind factorization are noise; these follow a sound more
    cleanly than the mask does. The stems are the mean of both; the more the random starts of the components
    agree, the more those by components count. The separator does not suit noise that comes
    and goes.

    Parameters
    ----------
    quantile : float
        Part of the frames that contain only noise, in each bin; lower where the sounds hardly pause.
    smoothing : float
        Standard deviation, in bins and frames, of the smoothing of powers before they are compared with the
        noise; higher values leave fewer chirps.
    window : float
        Length of the analysis window of the mask in seconds; the nearest power of two samples is used.
    refine : bool
        Whether to use the components of a blind factorization too, which takes most of the time.
    seed : int
        Seed of the random starts of the components.

    References
    ----------
    V. Stahl, A. Fischer and R. Bippus, "Quantile based noise estimation for spectral subtraction and Wiener
    filtering", ICASSP 2000.
    """

    needs_whole: ClassVar[bool] = False

    quantile: float = option(0.2, "part of the frames that contain only noise", above=0)
    smoothing: float = option(
        1.0, "standard deviation of the smoothing of powers, in bins and frames", at_least=0, at_most=1
    )
    window: float = window_option(0.064)
    refine: bool = option(True, "whether components of a blind factorization refine the stems")
    seed: int = option(0, "seed of the random starts of the components", at_least=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.quantile >= 1:
            raise OptionError(f"quantile={self.quantile}: it must be below 1", option="quantile")

    def fit(self, mixture: Blocks) -> Model:
        """Measure the mean power of the noise, and find components."""
        mask = self._mask(mixture, self.window)
        if not self.refine:
            return mask
        guide = self._mask(mixture, Blind().window)
        search = Blind(seed=self.seed).search(mixture)
        refined = guided_model(Guide(guide, NOISE), search, mean_exponent=MEAN_EXPONENT)
        if refined.spread < _LEAST_SPREAD:
            return mask
        weight = float(np.interp(agreement_of_starts(refined.model.starts), _AGREEMENTS, _WEIGHTS))
        return Combination((refined, mask), weights=(weight, 1 - weight))

    def _mask(self, mixture: Blocks, window: float) -> NoiseModel:
        """Measure the mean power of the noise with a window of so many seconds."""
        mixture = mixture.with_stft(STFT.lasting(window, mixture.sample_rate))
        frames = channel_frames(mixture, 2, _MEASURED_VALUES)
        powers = frames.reshape(mixture.channels, -1, mixture.stft.bins)
        quiet = np.quantile(powers, self.quantile, axis=1)
        # Powers of Gaussian noise have an exponential distribution; this is its mean, given its quantile.
        return NoiseModel(mixture.stft, quiet / -np.log1p(-self.quantile), self.smoothing)


@dataclass(frozen=True)
class NoiseModel(Model):
    """A model of steady noise of known power.

    Attributes
    ----------
    stft : STFT
        Settings of the blocks that the model separates.
    power : ndarray, shape (channels, bins)
        Mean power of the noise.
    smoothing : float
        Standard deviation of the smoothing of powers, in bins and frames.
    sources, messages, context
        As for every model.
    """

    stft: STFT
    power: NDArray[np.float64]
    smoothing: float
    sources: tuple[str, ...] = (NOISE, SOUND)
    messages: tuple[str, ...] = ()
    context: int = _CONTEXT

    @property
    def way_out(self) -> str:
        """What helps where a stem is unsure."""
        return (
            "the noise must be steady; learn other noise from a passage in which it is alone "
            "(solo='noise=0:00-0:03')"
        )

    def separate(self, block: Spectrogram) -> dict[str, Spectrogram]:
        """Mask the block by the power of the noise and the power above it."""
        from scipy.ndimage import gaussian_filter  # here, because loading it takes 0.1 s

        noise = np.broadcast_to(self.power[:, :, None], block.values.shape)
        deviations = (0, self.smoothing, self.smoothing)
        powers = gaussian_filter(block.magnitude**2, deviations, mode="nearest", truncate=_CONTEXT)
        return soft_masks(block, {NOISE: noise, SOUND: np.maximum(powers - noise, 0)})
