"""The contract of separators and their models.

A separator is a frozen dataclass whose fields are its options (see `nmfaudio.models.options`). Its `fit`
reads the mixture as often as it needs and returns a model. The model separates the mixture block by block.
The pipeline (`nmfaudio.pipeline`) does everything else: reading, overlapping blocks, exact sums, writing,
progress, cancelling.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from nmfaudio.nmf import Factorization
from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.spectrogram import Spectrogram
from nmfaudio.sound.stft import STFT


class Model(ABC):
    """A model of one mixture: it separates any block of the mixture into sources.

    A subclass must define `sources`, `stft` and `separate`. The other members have defaults.

    Attributes
    ----------
    sources : tuple of str
        Names of the stems, in order.
    stft : STFT
        STFT settings of the blocks that the model takes.
    context : int
        Number of frames that the model needs on either side of the frames that are used. Default: 0.
    components : Components or None
        Templates and activations, for tables and pictures. Default: None.
    messages, warnings : tuple of str
        Messages and warnings for the user. Default: none.
    unwritten : tuple of str
        Names of the stems that are not written to files. Default: none.
    parts : tuple of Model
        Models whose stems are averaged. Default: only the model itself.

    Examples
    --------
    >>> from nmfaudio import FunctionModel
    >>> model = FunctionModel(STFT(), ("all",), lambda block: {"all": block.magnitude})
    >>> isinstance(model, Model), model.context, model.messages
    (True, 0, ())
    """

    if TYPE_CHECKING:  # read-only members: dataclasses define them as fields, other classes as properties

        @property
        def sources(self) -> tuple[str, ...]:
            """Names of the stems, in order."""

        @property
        def stft(self) -> STFT:
            """STFT settings of the blocks that the model takes."""

        @property
        def context(self) -> int:
            """Number of frames that the model needs on either side of a block."""

        @property
        def components(self) -> Components | None:
            """Templates and activations, for tables and pictures."""

        @property
        def messages(self) -> tuple[str, ...]:
            """Messages for the user."""

        @property
        def warnings(self) -> tuple[str, ...]:
            """Warnings for the user."""

        @property
        def unwritten(self) -> tuple[str, ...]:
            """Names of the stems that are not written to files."""
    else:
        context, components = 0, None
        messages = warnings = unwritten = ()

    @property
    def parts(self) -> tuple[Model, ...]:
        """Models whose stems are averaged."""
        return (self,)

    @abstractmethod
    def separate(self, block: Spectrogram) -> dict[str, Spectrogram]:
        """Return a spectrogram for each source; they sum to the block."""


@runtime_checkable
class Separator(Protocol):
    """A method of separation: a frozen dataclass of options whose `fit` returns a model.

    Examples
    --------
    >>> from nmfaudio import make
    >>> isinstance(make("blind"), Separator)
    True
    """

    def fit(self, mixture: Blocks) -> Model:
        """Read the mixture and return a model of it."""


@dataclass(frozen=True)
class Components:
    """Templates and activations of a factorization, for tables and pictures.

    Attributes
    ----------
    factorization : Factorization
        Factorization of the spectrograms of all channels, joined along the frames.
    channels : int
        Number of channels.
    labels : ndarray of int, shape (components,)
        Index of each component's source in the model's `sources`.

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
        """Templates W, shape (bins, components)."""
        return self.factorization.W

    @property
    def activations(self) -> NDArray[Any]:
        """Activations of each channel, shape (channels, components, frames)."""
        H = self.factorization.H
        return H.reshape(len(H), self.channels, -1).swapaxes(0, 1)

    @property
    def shares(self) -> NDArray[np.float64]:
        """Part of the total energy that each component has, shape (components,); the parts sum to one."""
        W, H = self.templates.astype(np.float64), self.factorization.H
        power = (W**2).sum(axis=0) * np.einsum("kn,kn->k", H, H, dtype=np.float64)
        total = power.sum()
        return power / total if total > 0 else np.full(len(power), 1 / len(power))
