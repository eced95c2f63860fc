"""Take what repeats and what does not apart."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d

from nmfaudio.errors import OptionError
from nmfaudio.models.function import FunctionModel
from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.frames import channel_frames
from nmfaudio.sound.progress import Progress
from nmfaudio.sound.spectrogram import Spectrogram
from nmfaudio.sound.stft import STFT

_PIECE = 256  # frames that are compared with others at a time
_ROWS = 32  # of these, those that peaks are looked for among at a time


@dataclass(frozen=True)
class Repeating:
    """Take a background that repeats and a foreground that does not apart (REPET-SIM).

    For each frame the frames most like it are found, in all of the recording or in some minutes around it;
    their median is background, for what the foreground adds differs from one to the next. For a voice, a solo
    or speech over a loop, a vamp or steady noise. No factorization.

    Parameters
    ----------
    similar : int
        Frames in a median, at most.
    apart : float
        Seconds between any two of them, at least.
    within : float
        Seconds of the recording, around a frame, in which frames like it are looked for. Time grows with the
        recording's length times this, and where the recording is shorter, with its length squared.
    window : float
        Seconds of the analysis window; its length is the nearest power of two.
    mask_exponent : float
        Of the masks: higher ones separate harder.

    References
    ----------
    Z. Rafii and B. Pardo, "Music/voice separation using the similarity matrix", ISMIR 2012.
    """

    needs_whole: ClassVar[bool] = True

    similar: int = field(default=20, metadata={"help": "frames in a median, at most"})
    apart: float = field(default=1.0, metadata={"help": "seconds between any two of them, at least"})
    within: float = field(
        default=600.0, metadata={"help": "seconds around a frame in which frames like it are looked for"}
    )
    window: float = field(default=0.046, metadata={"help": "seconds of the analysis window"})
    mask_exponent: float = field(default=1.0, metadata={"help": "of the masks: higher ones separate harder"})

    def __post_init__(self) -> None:
        if self.similar < 1:
            raise OptionError(f"similar={self.similar}: it must be at least 1")
        for name in ("apart", "within", "window", "mask_exponent"):
            if not 0 < getattr(self, name) < np.inf:
                raise OptionError(f"{name}={getattr(self, name)}: it must be above 0")

    def fit(self, mixture: Blocks) -> FunctionModel:
        """Find what repeats."""
        mixture = mixture.with_stft(STFT.lasting(self.window, mixture.sample_rate))
        background = self._background(mixture)

        def estimate(block: Spectrogram) -> dict[str, NDArray[Any]]:
            part = background[:, block.start : block.stop].swapaxes(1, 2)
            magnitude = block.magnitude
            repeated = np.minimum(part, magnitude)
            return {"repeating": repeated, "foreground": magnitude - repeated}

        return FunctionModel(
            mixture.stft, ("repeating", "foreground"), estimate, mask_exponent=self.mask_exponent
        )

    def _background(self, mixture: Blocks) -> NDArray[np.float32]:
        """Return the median over the frames most like each frame, (channels, frames, bins)."""
        frames, shape = mixture.frames, (mixture.channels, mixture.frames, mixture.stft.bins)
        background, spectra = mixture.allocate(*shape), mixture.allocate(*shape[1:])
        V = channel_frames(mixture, 1).reshape(shape)
        _directions(V, spectra)
        frame_rate = mixture.sample_rate / mixture.stft.hop_length
        apart, reach = round(self.apart * frame_rate), round(self.within * frame_rate)
        for start in range(0, frames, _PIECE):
            first = max(0, min(start - reach // 2, frames - _PIECE - reach))
            likeness = spectra[start : start + _PIECE] @ spectra[first : first + _PIECE + reach].T
            for frame, chosen in enumerate(_most_like(likeness, self.similar, apart), start):
                background[:, frame] = _median(V[:, first + chosen])
            mixture.report(Progress("looking for what repeats", min(start + _PIECE, frames), frames))
        return background


def _directions(V: NDArray[np.float32], spectra: NDArray[np.float32]) -> None:
    """Fill in the mean over channels of each frame, of length one, (frames, bins)."""
    for start in range(0, len(spectra), _PIECE):
        mean = V[:, start : start + _PIECE].mean(axis=0)
        norms = np.linalg.norm(mean, axis=1, keepdims=True)
        spectra[start : start + _PIECE] = np.divide(mean, norms, out=np.zeros_like(mean), where=norms > 0)


def _median(frames: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the median over frames, (channels, bins); to sort so few takes a third of numpy's time.

    Examples
    --------
    >>> _median(np.array([[[3], [9], [1], [2]]], np.float32))
    array([[2.5]], dtype=float32)
    """
    ordered, count = np.sort(frames, axis=1), frames.shape[1]
    return np.asarray((ordered[:, (count - 1) // 2] + ordered[:, count // 2]) / np.float32(2))


def _most_like(likeness: NDArray[np.float32], count: int, apart: int) -> list[NDArray[np.intp]]:
    """Return, for each row, where its highest peaks stand, at most `count`, no two within `apart` columns.

    Examples
    --------
    >>> _most_like(np.array([[0.2, 1.0, 0.9, 0.1, 0.8]]), 2, 1)[0].tolist()
    [1, 4]
    """
    found = []
    for number, row in enumerate(likeness):
        if number % _ROWS == 0:
            part = likeness[number : number + _ROWS]
            peaks = (part == maximum_filter1d(part, 2 * apart + 1, axis=1)) & (part > 0)
        at = np.flatnonzero(peaks[number % _ROWS])
        at = at[np.argsort(-row[at], kind="stable")][:count]
        found.append(np.sort(at) if len(at) else np.array([0], np.intp))
    return found
