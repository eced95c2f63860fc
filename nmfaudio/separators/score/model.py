"""The model of a recording and its score: each part explains a share of the recording."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmfaudio.models.components import Components, from_factors
from nmfaudio.models.contract import Model
from nmfaudio.models.labelled import LabelledFactorization
from nmfaudio.models.masks import soft_masks
from nmfaudio.nmf import factorize
from nmfaudio.separators.score.plan import Plan
from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.spectrogram import Spectrogram
from nmfaudio.sound.stft import STFT

_ACTIVATION_ITERATIONS = 10  # updates for each block of a long recording; more do not separate better


@dataclass(frozen=True)
class ScoreModel(Model):
    """A recording as the sum of the parts of its score.

    Attributes
    ----------
    stft : STFT
    sources : tuple of str
        Names of the parts.
    mask_exponent : float
        Exponent of the masks.
    factorization : LabelledFactorization
        Templates, and activations in the frames from which they were learned.
    messages, warnings : tuple of str
    plan : Plan or None
        None where the components have the activations of all frames. Otherwise those of each block are
        computed when the block is separated.
    context : int
        Number of frames needed on either side of a block.
    """

    stft: STFT
    sources: tuple[str, ...]
    mask_exponent: float
    factorization: LabelledFactorization
    messages: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    plan: Plan | None = None
    context: int = 0

    @property
    def doubt(self) -> str:
        """Says where the score hardly matches the recording."""
        return "the score hardly matches the recording" if self.warnings else ""

    @property
    def way_out(self) -> str:
        """What helps where a stem is unsure."""
        return (
            "check that the score has all notes that sound, at their times; notes that it lacks go to wrong "
            "stems"
        )

    def find_components(self, mixture: Blocks) -> Components:
        """Return the templates of all notes, which are the components, sorted by part."""
        one = self.factorization.factorization
        H = np.concatenate([self._activations(block) for block in mixture], axis=2)
        return from_factors(
            self.sources,
            self.factorization.labels,
            one.W,
            H,
            sample_rate=mixture.sample_rate,
            stft=self.stft,
            channels=mixture.channels,
            mask_exponent=self.mask_exponent,
            beta=one.divergence.beta,
            objectives=one.objective,
            iterations=one.measured_iterations,
        )

    def separate(self, block: Spectrogram) -> dict[str, Spectrogram]:
        """Mask the block by what the notes of each part explain of it."""
        activations = self._activations(block)
        members = [self.factorization.labels == j for j in range(len(self.sources))]
        estimates: dict[str, Any] = {
            name: self.factorization.templates[:, m] @ activations[:, m]
            for name, m in zip(self.sources, members, strict=True)
        }
        return soft_masks(block, estimates, mask_exponent=self.mask_exponent)

    def _activations(self, block: Spectrogram) -> NDArray[Any]:
        """Return the activations in a block, (channels, components, frames); frames are independent."""
        if self.plan is None:
            return self.factorization.activations[:, :, block.start : block.stop]
        factorization, V = self.factorization.factorization, block.magnitude.astype(np.float32)
        stacked = np.ascontiguousarray(V.swapaxes(1, 2)).reshape(-1, V.shape[1]).T
        H = factorize(
            stacked,
            factorization.rank,
            init=(factorization.W, first_activations(stacked, self.plan.windows(block.times))),
            frozen=factorization.W,
            solver="mu",  # extrapolation would make frames depend on each other
            iterations=_ACTIVATION_ITERATIONS,
            tolerance=0,
        ).H
        return H.reshape(len(H), block.channels, -1).swapaxes(0, 1)


def first_activations(V: NDArray[np.float32], windows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return activations that share the level of each frame among all templates that may be active.

    Parameters
    ----------
    V : ndarray, shape (bins, channels * frames)
    windows : ndarray, shape (templates, frames)
        How likely each template is active, in each channel.
    """
    level = V.sum(axis=0, dtype=np.float64).reshape(-1, windows.shape[1])
    # The sum counts as at least 1, so that low starts stay low where no other template is active.
    share = level / np.maximum(windows.sum(axis=0), 1)
    H = np.empty((len(windows), *level.shape), np.float32)
    for row, window in zip(H, windows, strict=True):
        np.multiply(share, window, out=row, casting="same_kind")
    return H.reshape(len(H), -1)
