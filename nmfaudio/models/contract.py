"""What a separator is, and a helper that makes one from a function.

A separator is a frozen dataclass whose fields are its options. Its `fit` looks at the mixture, as often as it
needs, and returns a model; the model splits the mixture block by block. Reading, writing, overlapping, exact
sums, progress and cancelling are the spine's work (`nmfaudio.pipeline.separation`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from nmfaudio.errors import SeparatorError
from nmfaudio.models.masks import soft_masks
from nmfaudio.nmf import Factorization
from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.spectrogram import Spectrogram
from nmfaudio.sound.stft import STFT


@runtime_checkable
class Model(Protocol):
    """A mixture understood: it splits any block of it into sources.

    Attributes
    ----------
    sources : tuple of str
        Names of the stems, in order.
    stft : STFT
        The settings in which it takes blocks.
    context : int
        Frames that it wants to see on either side of the frames that are used.

    Examples
    --------
    >>> model = FunctionModel(STFT(), ("all",), lambda block: {"all": block.magnitude})
    >>> isinstance(model, Model)
    True
    """

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the stems, in order."""

    @property
    def stft(self) -> STFT:
        """The settings in which it takes blocks."""

    @property
    def context(self) -> int:
        """Frames that it wants to see on either side of the frames that are used."""

    def separate(self, block: Spectrogram) -> dict[str, Spectrogram]:
        """Return a spectrogram for each source; they sum to the block."""


@dataclass(frozen=True)
class ModelWrapper:
    """What models made of another one share: its sources, through its settings.

    Attributes
    ----------
    model : Model
    """

    model: Model

    @property
    def sources(self) -> tuple[str, ...]:
        """Those of the model."""
        return self.model.sources

    @property
    def stft(self) -> STFT:
        """Those of the model."""
        return self.model.stft

    @property
    def context(self) -> int:
        """That of the model."""
        return self.model.context


@runtime_checkable
class Separator(Protocol):
    """A way of separating: options in, model out.

    Examples
    --------
    >>> from nmfaudio import make
    >>> isinstance(make("blind"), Separator)
    True
    """

    def fit(self, mixture: Blocks) -> Model:
        """Look at the mixture and return a model of it."""


@dataclass(frozen=True)
class Components:
    """What a factorization found, for tables and pictures. A model may offer it as `components`.

    Attributes
    ----------
    factorization : Factorization
        Activations of several channels stand one after another, channel by channel.
    channels : int
    labels : ndarray of int, shape (components,)
        The source of each component, counted as in the model's `sources`.

    Examples
    --------
    >>> from nmfaudio import factorize
    >>> components = Components(factorize(np.eye(4), 2, iterations=9), 1, np.array([0, 1]))
    >>> components.activations.shape
    (1, 2, 4)
    """

    factorization: Factorization
    channels: int
    labels: NDArray[np.intp]

    @property
    def templates(self) -> NDArray[Any]:
        """W, shape (bins, components)."""
        return self.factorization.W

    @property
    def activations(self) -> NDArray[Any]:
        """Activations channel by channel, shape (channels, components, frames)."""
        H = self.factorization.H
        return H.reshape(len(H), self.channels, -1).swapaxes(0, 1)

    @property
    def shares(self) -> NDArray[np.float64]:
        """Part of the energy in each component, shape (components,); they sum to one."""
        W, H = self.templates.astype(np.float64), self.factorization.H
        power = (W**2).sum(axis=0) * np.einsum("kn,kn->k", H, H, dtype=np.float64)
        total = power.sum()
        return power / total if total > 0 else np.full(len(power), 1 / len(power))


Estimate = Callable[[Spectrogram], Mapping[str, NDArray[Any]]]


@dataclass(frozen=True)
class FunctionModel:
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
