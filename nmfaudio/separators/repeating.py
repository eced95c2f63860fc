"""Separator for a repeating background and a foreground that does not repeat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nmfaudio.models.function import FunctionModel
from nmfaudio.models.options import Options, option, window_option
from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.frames import channel_frames
from nmfaudio.sound.progress import Progress
from nmfaudio.sound.spectrogram import Spectrogram
from nmfaudio.sound.stft import STFT

_PIECE = 256  # frames that are compared with other frames at once
_ROWS = 32  # frames among these whose peaks are found at once


@dataclass(frozen=True)
class Repeating(Options):
    """Separate a repeating background from a foreground that does not repeat (REPET-SIM).

    For each frame, the separator finds the most similar frames in the recording, or in some minutes around
    the frame. Their median is the background, because the foreground differs from one frame to the next. Use
    it for a voice, a solo or speech over a loop, a vamp or steady noise. It does not factorize.

    Parameters
    ----------
    similar : int
        Largest number of frames in a median.
    apart : float
        Smallest distance in seconds between any two frames in a median.
    within : float
        Length in seconds of the part of the recording, around a frame, in which similar frames are searched.
        The computing time is proportional to the length of the recording times this length. For a recording
        that is shorter than this, it is proportional to the square of the recording's length.
    window : float
        Length of the analysis window in seconds; the nearest power of two samples is used.
    mask_exponent : float
        Exponent of the masks; higher values separate more strongly.

    References
    ----------
    Z. Rafii and B. Pardo, "Music/voice separation using the similarity matrix", ISMIR 2012.
    """

    needs_whole: ClassVar[bool] = True

    similar: int = option(20, "largest number of frames in a median", at_least=1)
    apart: float = option(
        1.0, "smallest distance in seconds between frames in a median", above=0, at_most=600, unit="seconds"
    )
    within: float = option(
        600.0,
        "seconds around a frame in which similar frames are searched",
        above=0,
        at_most=86400,
        unit="seconds",
    )
    window: float = window_option(0.046)
    mask_exponent: float = option(
        1.0,
        "exponent of the masks; higher values separate more strongly",
        above=0,
        former_name="exponent",
    )

    def fit(self, mixture: Blocks) -> FunctionModel:
        """Compute the repeating background of the whole mixture."""
        mixture = mixture.with_stft(STFT.lasting(self.window, mixture.sample_rate))
        background = self._background(mixture)

        def estimate(block: Spectrogram) -> dict[str, NDArray[Any]]:
            medians = background[:, block.start : block.stop].swapaxes(1, 2)
            magnitude = block.magnitude
            repeating = np.minimum(medians, magnitude)
            return {"repeating": repeating, "foreground": magnitude - repeating}

        return FunctionModel(
            mixture.stft, ("repeating", "foreground"), estimate, mask_exponent=self.mask_exponent
        )

    def _background(self, mixture: Blocks) -> NDArray[np.float32]:
        """Return the median of the frames that are most similar to each frame, (channels, frames, bins)."""
        frames, shape = mixture.frames, (mixture.channels, mixture.frames, mixture.stft.bins)
        background, spectra = mixture.allocate(*shape), mixture.allocate(*shape[1:])
        V = channel_frames(mixture, 1).reshape(shape)
        _fill_unit_spectra(spectra, V)
        frame_rate = mixture.sample_rate / mixture.stft.hop_length
        apart, within = round(self.apart * frame_rate), round(self.within * frame_rate)
        for start in range(0, frames, _PIECE):
            first = max(0, min(start - within // 2, frames - _PIECE - within))
            similarity = spectra[start : start + _PIECE] @ spectra[first : first + _PIECE + within].T
            for frame, chosen in enumerate(_most_similar(similarity, self.similar, apart), start):
                background[:, frame] = _median(V[:, first + chosen])
            mixture.report(Progress("finding similar frames", min(start + _PIECE, frames), frames))
        return background


def _fill_unit_spectra(spectra: NDArray[np.float32], V: NDArray[np.float32]) -> None:
    """Fill an array (frames, bins) with the mean over channels of each frame, scaled to unit norm."""
    for start in range(0, len(spectra), _PIECE):
        mean = V[:, start : start + _PIECE].mean(axis=0)
        norms = np.linalg.norm(mean, axis=1, keepdims=True)
        spectra[start : start + _PIECE] = np.divide(mean, norms, out=np.zeros_like(mean), where=norms > 0)


def _median(frames: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the median over frames, (channels, bins); sorting takes a third of the time of `numpy.median`.

    Examples
    --------
    >>> _median(np.array([[[3], [9], [1], [2]]], np.float32))
    array([[2.5]], dtype=float32)
    """
    ordered, count = np.sort(frames, axis=1), frames.shape[1]
    lower, upper = ordered[:, (count - 1) // 2], ordered[:, count // 2]
    return np.asarray((lower + upper) / np.float32(2))


def _most_similar(similarity: NDArray[np.float32], count: int, apart: int) -> list[NDArray[np.intp]]:
    """Return the columns of the highest peaks of each row: at most `count`, no two within `apart` columns.

    Examples
    --------
    >>> _most_similar(np.array([[0.2, 1.0, 0.9, 0.1, 0.8]]), 2, 1)[0].tolist()
    [1, 4]
    """
    from scipy.ndimage import maximum_filter1d  # here, because loading it takes 0.1 s

    highest = []
    for number, row in enumerate(similarity):
        if number % _ROWS == 0:
            part = similarity[number : number + _ROWS]
            peaks = (part == maximum_filter1d(part, 2 * apart + 1, axis=1)) & (part > 0)
        columns = np.flatnonzero(peaks[number % _ROWS])
        columns = columns[np.argsort(-row[columns], kind="stable")][:count]
        highest.append(np.sort(columns) if len(columns) else np.array([0], np.intp))
    return highest
