"""A model made of a function from a spectrogram to estimates of the sources."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmfaudio.errors import SeparatorError
from nmfaudio.models.contract import Model
from nmfaudio.models.masks import soft_masks
from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.spectrogram import Spectrogram
from nmfaudio.sound.stft import STFT

Estimate = Callable[[Spectrogram], Mapping[str, NDArray[Any]]]


@dataclass(frozen=True)
class FunctionModel(Model):
    """A model made of a function from a spectrogram to an estimate of each source.

    Parameters
    ----------
    stft : STFT
        Of the mixture: `mixture.stft`.
    sources : tuple of str
        Names of the stems.
    estimate : callable
        Takes a `Spectrogram`; returns non-negative arrays (channels, bins, frames), one for each source.
    context : int
        Frames that the function must see on either side to be right in between.
    mask_exponent : float
        Of the masks; see `soft_masks`.

    Examples
    --------
    >>> def halves(block):
    ...     low = (block.frequencies < 500)[:, None]
    ...     return {"low": block.magnitude * low, "high": block.magnitude * ~low}
    >>> FunctionModel(STFT(), ("low", "high"), halves).sources
    ('low', 'high')
    """

    stft: STFT
    sources: tuple[str, ...]
    estimate: Estimate
    context: int = 0
    mask_exponent: float = 1.0

    @classmethod
    def of_whole(
        cls, mixture: Blocks, sources: tuple[str, ...], estimate: Estimate, *, mask_exponent: float = 1.0
    ) -> FunctionModel:
        """Make a model of a function that must see the whole mixture at once.

        The spectrogram that it is given, of 16 bytes a value, and its estimates, kept in float32, stay within
        the budget of memory; beyond it they lie in temporary files. What the function makes itself is up to
        it: where recordings may be long, let it fill arrays of `mixture.allocate` from one `whole.cut(...)`
        after another.
        """
        found = dict(estimate(mixture.whole()))
        kept = {name: _kept(mixture, found.pop(name)) for name in tuple(found)}

        def cut(block: Spectrogram) -> dict[str, NDArray[Any]]:
            return {name: e[:, :, block.start : block.stop] for name, e in kept.items()}

        return cls(mixture.stft, sources, cut, mask_exponent=mask_exponent)

    def separate(self, block: Spectrogram) -> dict[str, Spectrogram]:
        """Mask the block by the function's estimates."""
        estimates = self.estimate(block)
        if set(estimates) != set(self.sources):
            raise SeparatorError(f"estimates for {sorted(estimates)}, but the sources are {self.sources}")
        return soft_masks(
            block, {name: estimates[name] for name in self.sources}, mask_exponent=self.mask_exponent
        )


def _kept(mixture: Blocks, estimate: NDArray[Any]) -> NDArray[np.float32]:
    """Return an estimate of the whole in float32, where the budget allows it; frame follows frame."""
    channels, bins, frames = np.shape(estimate)
    kept = mixture.allocate(channels, frames, bins).swapaxes(1, 2)
    for start, stop in mixture.bounds:
        kept[:, :, start:stop] = estimate[:, :, start:stop]
    return kept
