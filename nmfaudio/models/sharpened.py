"""The mean of several models with the same STFT settings, made as sharp as its parts are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nmfaudio.errors import SeparatorError
from nmfaudio.models.combination import SeveralModels
from nmfaudio.models.contract import Model
from nmfaudio.models.masks import masked_in_parts, normalised_masks
from nmfaudio.sound.spectrogram import Spectrogram


@dataclass(frozen=True)
class SharpenedMean(SeveralModels):
    """The weighted mean of the stems of several models, masked once more.

    Where models differ, the mean of their masks lies nearer to equal parts than each mask. The second mask of
    a source is the magnitude of its mean stem to a power, relative to the sum over all sources. A power above
    1 undoes some of this. Where the models agree that a point belongs to one source, it changes nothing.

    Attributes
    ----------
    models : tuple of Model
        Models with the same sources in the same order and the same STFT settings. The components, the doubt
        and the alternatives are those of the first.
    weights : tuple of float
        Positive weight of each model in the mean.
    exponent : float
        Exponent of the second mask, which applies to magnitudes; with 1 or less, nothing becomes sharper.

    Raises
    ------
    SeparatorError
        When the sources or the STFT settings differ, or when a weight is missing or not positive.

    Examples
    --------
    >>> from nmfaudio import STFT, FunctionModel
    >>> views = [
    ...     FunctionModel(STFT(16), ("a", "b"), lambda block, level=level: {"a": block.magnitude * level,
    ...                                                                    "b": block.magnitude})
    ...     for level in (3.0, 1.0)
    ... ]
    >>> block = Spectrogram(np.ones((1, 9, 1), complex), STFT(16), 44100)
    >>> SharpenedMean(tuple(views), (1.0, 1.0), 2.0).separate(block)["a"].values[0, 0, 0].real.round(3)
    np.float64(0.735)
    """

    weights: tuple[float, ...]
    exponent: float

    def __post_init__(self) -> None:
        alike = {(model.sources, model.stft) for model in self.models}
        if len(alike) != 1:
            raise SeparatorError(
                f"models with the sources and STFT settings {sorted(map(str, alike))} have no common mean: "
                "they must have the same sources in the same order and the same settings"
            )
        self.check_weights(self.weights)

    @property
    def context(self) -> int:
        """Largest number of frames that a model needs on either side of a block."""
        return max(model.context for model in self.models)

    @property
    def alternatives(self) -> tuple[Model, ...]:
        """Alternatives of the first model."""
        return self.models[0].alternatives

    def separate(self, block: Spectrogram) -> dict[str, Spectrogram]:
        """Average the stems of all models, then mask the block by the magnitudes of these means."""
        means = self._means(block)

        def masks(part: slice) -> NDArray[np.float32]:
            magnitudes = np.abs(means[..., part]).astype(np.float32).swapaxes(2, 3)
            return np.asarray(normalised_masks(magnitudes, self.exponent, by_root=True))

        return masked_in_parts(block, self.sources, masks)

    def _means(self, block: Spectrogram) -> NDArray[np.complex128]:
        """Return the mean stems, shape (sources, channels, bins, frames)."""
        frames_first = np.zeros((len(self.sources), *block.values.swapaxes(1, 2).shape), np.complex128)
        means = frames_first.swapaxes(2, 3)  # the memory order of spectrograms
        for model, weight in zip(self.models, self.weights, strict=True):
            for mean, stem in zip(means, model.separate(block).values(), strict=True):
                mean += weight / sum(self.weights) * stem.values
        return means
