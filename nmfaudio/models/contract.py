"""What a separator and its model are.

A separator is a frozen dataclass whose fields are its options (see `nmfaudio.models.options`). Its `fit`
reads the mixture as often as it needs and returns a model. The model splits the mixture block by block. The
pipeline (`nmfaudio.pipeline`) does the rest: reading, overlapping blocks, exact sums, writing, progress,
cancelling.
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
    """A model of one mixture: it splits any block of the mixture into sources.

    `sources`, `stft` and `separate` must be given, as fields or properties. The other members have defaults.

    Attributes
    ----------
    sources : tuple of str
        Names of the stems, in order.
    stft : STFT
        Settings of the blocks that the model takes.
    context : int
        Number of frames that the model needs on either side of the frames that are used; 0.
    components : Components or None
        Templates and activations, for tables and pictures; None.
    messages, warnings : tuple of str
        What the user should read; empty.
    unwritten : tuple of str
        Stems that are not to be written; empty.
    parts : tuple of Model
        Models whose stems are averaged; only the model itself, unless it combines several.

    Examples
    --------
    >>> from nmfaudio import FunctionModel
    >>> model = FunctionModel(STFT(), ("all",), lambda block: {"all": block.magnitude})
    >>> isinstance(model, Model), model.context, model.messages
    (True, 0, ())
    """

    if TYPE_CHECKING:  # read-only members, which a dataclass gives as fields and other classes as properties

        @property
        def sources(self) -> tuple[str, ...]:
            """Names of the stems, in order."""

        @property
        def stft(self) -> STFT:
            """Settings of the blocks that the model takes."""

        @property
        def context(self) -> int:
            """Number of frames that the model needs on either side."""

        @property
        def components(self) -> Components | None:
            """Templates and activations, for tables and pictures."""

        @property
        def messages(self) -> tuple[str, ...]:
            """What the user should know."""

        @property
        def warnings(self) -> tuple[str, ...]:
            """What the user should beware of."""

        @property
        def unwritten(self) -> tuple[str, ...]:
            """Stems that are not to be written."""
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
    """A way of separating: a frozen dataclass of options whose `fit` returns a model.

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
