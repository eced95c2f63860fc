"""Separation of one panned source from a rest that has no position, such as a singer before an orchestra."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmfaudio.models.contract import Model
from nmfaudio.nmf import activate, factorize
from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.frames import complex_frames
from nmfaudio.sound.progress import Progress
from nmfaudio.sound.spectrogram import Spectrogram
from nmfaudio.sound.stft import STFT

SOURCE_TEMPLATES, REST_TEMPLATES = 12, 24
STARTS = 6  # random starts, whose estimates are averaged; with 3, stems gain 0.5 dB less
REST = "rest"

_LEARNED_FRAMES = 1200  # evenly spaced frames of the mixture from which templates are learned
_ITERATIONS = 40  # updates of the templates
_ACTIVATION_ITERATIONS = 10  # updates of the activations of a block; 30 are not better
_SEED_STRIDE = 1_000_003  # difference of the seeds of two starts: the seeds 0 and 1 share no start

Factor = NDArray[np.float32]


@dataclass(frozen=True)
class LoneSourceModel(Model):
    """A source at one panning position, and the rest.

    The channels are rotated, so that one new channel holds the sum at the position and the other one holds
    none of the source. Templates have two channels accordingly; those of the source are silent in the second.

    Attributes
    ----------
    stft : STFT
        Settings of the blocks that the model separates.
    angle : float
        Angle of the source in radians: 0 left, pi/4 middle, pi/2 right.
    starts : tuple of ndarray, shape (2 * bins, templates)
        Templates of each random start: those of the source, then those of the rest.
    sources : tuple of str
        Name of the position, and `rest`.
    messages : tuple of str
        What the user should know: the position.
    context : int
        Number of frames that the model needs on either side; 0.
    """

    stft: STFT
    angle: float
    starts: tuple[Factor, ...]
    sources: tuple[str, ...]
    messages: tuple[str, ...]
    context: int = 0

    def separate(self, block: Spectrogram) -> dict[str, Spectrogram]:
        """Mask the channel of the source; all that is not at the position belongs to the rest."""
        direct, _ = rotated = rotate(block.values, self.angle)
        source, rest = self._powers(np.concatenate(np.abs(rotated)).astype(np.float32))
        both = source + rest
        mask = np.divide(source, both, out=np.full_like(both, 0.5), where=both > 0)
        image = np.array([np.cos(self.angle), np.sin(self.angle)])[:, None, None] * (mask * direct)
        stems = image, block.values - image
        return {name: block.with_values(values) for name, values in zip(self.sources, stems, strict=True)}

    def _powers(self, V: Factor) -> tuple[Factor, Factor]:
        """Return the power of the source and of the rest at the position, each (bins, frames)."""
        totals = np.zeros((2, self.stft.bins, V.shape[1]), np.float32)
        for W in self.starts:
            H = activate(V, W, iterations=_ACTIVATION_ITERATIONS, tolerance=0, level=1.0).H
            for total, part in zip(totals, np.split(np.arange(W.shape[1]), [SOURCE_TEMPLATES]), strict=True):
                total += W[: self.stft.bins, part] @ H[part]
        return totals[0] ** 2, totals[1] ** 2


def rotate(values: NDArray[Any], angle: float) -> NDArray[Any]:
    """Return the sound at an angle and the sound across it, shape (2, bins, frames).

    Examples
    --------
    >>> middle = np.ones((2, 1, 1))
    >>> rotate(middle, np.pi / 4).ravel().round(3) + 0.0
    array([1.414, 0.   ])
    """
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.stack([cosine * values[0] + sine * values[1], cosine * values[1] - sine * values[0]])


def learn_lone_source(
    mixture: Blocks, angle: float, *, name: str, seed: int, message: str
) -> LoneSourceModel:
    """Learn templates of a source at one position and of the rest.

    Parameters
    ----------
    mixture : Blocks
        Mixture of two channels, with the STFT settings of the model.
    angle : float
        Angle of the source in radians.
    name : str
        Name of the stem of the source.
    seed : int
        Seed of the random starts.
    message : str
        What the user should know.

    Returns
    -------
    LoneSourceModel

    References
    ----------
    This combination is ours. A. Ozerov and C. Fevotte, "Multichannel nonnegative matrix factorization in
    convolutive mixtures for audio source separation", IEEE TASLP 18(3), 2010, factor channels together.
    """
    V = np.concatenate(np.abs(rotate(complex_frames(mixture, _LEARNED_FRAMES), angle))).astype(np.float32)
    rank = SOURCE_TEMPLATES + REST_TEMPLATES
    allowed = np.ones((len(V), rank), bool)
    allowed[mixture.stft.bins :, :SOURCE_TEMPLATES] = False
    starts = []
    for start in range(STARTS):
        mixture.report(Progress("learning templates", start, STARTS))
        factorization = factorize(
            V,
            rank,
            init="random",
            allowed=(allowed, None),
            iterations=_ITERATIONS,
            tolerance=0,
            seed=seed + _SEED_STRIDE * start,
        )
        starts.append(factorization.W.astype(np.float32))
    mixture.report(Progress("learning templates", STARTS, STARTS))
    return LoneSourceModel(mixture.stft, angle, tuple(starts), (name, REST), (message,))
