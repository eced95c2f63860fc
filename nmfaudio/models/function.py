"""A model made of a function from a spectrogram to estimates of the sources."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmfaudio.errors import SeparatorError
from nmfaudio.models.contract import Model
from nmfaudio.models.masks import check_estimate, soft_masks
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
        STFT settings of the blocks that the function takes, such as `mixture.stft`.
    sources : tuple of str
        Names of the stems.
    estimate : callable
        Function that takes a `Spectrogram` and returns a non-negative array (channels, bins, frames) for each
        source.
    context : int
        Number of frames on either side of a block that the function needs for a correct estimate.
    mask_exponent : float
        Exponent of the masks; see `soft_masks`.

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
        """Make a model of a function that needs the whole mixture at once.

        The spectrogram that the function receives (16 bytes for each value) and the stored estimates
        (float32) stay within the memory budget; what exceeds it is stored in temporary files. Arrays that the
        function makes itself are its own responsibility. For long recordings it can process one
        `whole.cut(...)` after another and write the results to arrays of `mixture.allocate`.

        Parameters
        ----------
        mixture : Blocks
        sources, estimate, mask_exponent
            As for `FunctionModel`.
        """
        whole = mixture.whole()
        estimates = _named(estimate(whole), sources)
        for name in sources:
            check_estimate(name, estimates[name], whole)
        del whole
        stored = {name: _stored(mixture, estimates.pop(name)) for name in sources}

        @wraps(estimate, assigned=(), updated=())  # an error names the file and line of the function
        def cut(block: Spectrogram) -> dict[str, NDArray[Any]]:
            return {name: e[:, :, block.start : block.stop] for name, e in stored.items()}

        return cls(mixture.stft, sources, cut, mask_exponent=mask_exponent)

    def separate(self, block: Spectrogram) -> dict[str, Spectrogram]:
        """Apply masks made of the function's estimates to the block."""
        estimates = _named(self.estimate(block), self.sources)
        return soft_masks(block, estimates, mask_exponent=self.mask_exponent)


def _named(returned: Any, sources: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    """Return what the function returned as an array for each source, in the order of the sources."""
    if not isinstance(returned, Mapping):
        kind = type(returned).__name__
        raise SeparatorError(f"the function returned {kind}: it must return a dict of an array by source")
    if set(returned) != set(sources):
        names = sorted(map(str, returned))
        raise SeparatorError(f"the function returned estimates for {names}, but the sources are {sources}")
    return {name: np.asarray(returned[name]) for name in sources}


def _stored(mixture: Blocks, estimate: NDArray[Any]) -> NDArray[np.float32]:
    """Copy an estimate of the whole mixture to a float32 array of the memory budget, frame by frame."""
    channels, bins, frames = estimate.shape
    stored = mixture.allocate(channels, frames, bins).swapaxes(1, 2)
    for start, stop in mixture.bounds:
        stored[:, :, start:stop] = estimate[:, :, start:stop]
    return stored
