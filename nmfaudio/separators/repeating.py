"""Take what repeats and what does not apart."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d

from nmfaudio.errors import OptionError
from nmfaudio.separators.blind import collect
from nmfaudio.separators.contract import FunctionModel
from nmfaudio.sound.stft import STFT, Blocks, Progress, Spectrogram

_PIECE = 256  # frames that are compared with all others at a time


@dataclass(frozen=True)
class Repeating:
    """Take a background that repeats and a foreground that does not apart (REPET-SIM).

    For each frame the frames most like it are found, anywhere in the recording; their median is background,
    for what the foreground adds differs from one to the next. For a voice, a solo or speech over a loop, a
    vamp or steady noise. No factorization.

    Parameters
    ----------
    similar : int
        Frames in a median, at most.
    apart : float
        Seconds between any two of them, at least.
    window : float
        Seconds of the analysis window; its length is the nearest power of two.
    exponent : float
        Of the masks: higher ones separate harder.

    References
    ----------
    Z. Rafii and B. Pardo, "Music/voice separation using the similarity matrix", ISMIR 2012.
    """

    needs_whole: ClassVar[bool] = True

    similar: int = field(default=20, metadata={"help": "frames in a median, at most"})
    apart: float = field(default=1.0, metadata={"help": "seconds between any two of them, at least"})
    window: float = field(default=0.046, metadata={"help": "seconds of the analysis window"})
    exponent: float = field(default=1.0, metadata={"help": "of the masks: higher ones separate harder"})

    def __post_init__(self) -> None:
        if self.similar < 1:
            raise OptionError(f"similar={self.similar}: it must be at least 1")
        for name in ("apart", "window", "exponent"):
            if not 0 < getattr(self, name) < np.inf:
                raise OptionError(f"{name}={getattr(self, name)}: it must be above 0")

    def fit(self, mixture: Blocks) -> FunctionModel:
        """Find what repeats."""
        mixture = mixture.with_stft(STFT.lasting(self.window, mixture.sample_rate))
        V = collect(mixture, 1).reshape(mixture.channels, mixture.frames, -1)
        background = self._background(V, mixture)

        def estimate(block: Spectrogram) -> dict[str, NDArray[Any]]:
            part = background[:, block.start : block.stop].swapaxes(1, 2)
            magnitude = block.magnitude
            repeated = np.minimum(part, magnitude)
            return {"repeating": repeated, "foreground": magnitude - repeated}

        return FunctionModel(mixture.stft, ("repeating", "foreground"), estimate, exponent=self.exponent)

    def _background(self, V: NDArray[np.float32], mixture: Blocks) -> NDArray[np.float32]:
        """Return the median over the frames most like each frame, (channels, frames, bins)."""
        frames = V.shape[1]
        spectra = V.mean(axis=0)
        norms = np.linalg.norm(spectra, axis=1, keepdims=True)
        spectra = np.divide(spectra, norms, out=np.zeros_like(spectra), where=norms > 0)
        apart = round(self.apart * mixture.sample_rate / mixture.stft.hop_length)
        background = np.empty_like(V)
        for start in range(0, frames, _PIECE):
            likeness = spectra[start : start + _PIECE] @ spectra.T
            for frame, chosen in enumerate(_most_like(likeness, self.similar, apart), start):
                background[:, frame] = np.median(V[:, chosen], axis=1)
            mixture.report(Progress("looking for what repeats", min(start + _PIECE, frames), frames))
        return background


def _most_like(likeness: NDArray[np.float32], count: int, apart: int) -> list[NDArray[np.intp]]:
    """Return, for each row, where its highest peaks stand, at most `count`, no two within `apart` columns.

    Examples
    --------
    >>> _most_like(np.array([[0.2, 1.0, 0.9, 0.1, 0.8]]), 2, 1)[0].tolist()
    [1, 4]
    """
    peaks = (likeness == maximum_filter1d(likeness, 2 * apart + 1, axis=1)) & (likeness > 0)
    found = []
    for row, peak in zip(likeness, peaks, strict=True):
        at = np.flatnonzero(peak)
        at = at[np.argsort(-row[at], kind="stable")][:count]
        found.append(np.sort(at) if len(at) else np.array([0], np.intp))
    return found
