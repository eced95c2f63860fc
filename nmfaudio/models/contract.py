"""The contract of separators and their models.

A separator is a frozen dataclass whose fields are its options (see `nmfaudio.models.options`). Its `fit`
reads the mixture as often as it needs and returns a model. The model separates the mixture block by block.
The pipeline (`nmfaudio.pipeline`) does everything else: reading, overlapping blocks, exact sums, writing,
progress, cancelling.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from nmfaudio.models.components import Components
from nmfaudio.models.labelled import LabelledFactorization
from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.spectrogram import Spectrogram
from nmfaudio.sound.stft import STFT

# What helps any separator where a stem is unsure.
MORE_KNOWLEDGE = (
    "give a recording of the source alone (dictionary=...), its notes (midi=...), or passages in which it "
    "sounds alone (solo=...)"
)


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
    factorization : LabelledFactorization or None
        The factorization that made the stems, for tables and the manifest. Default: None.
    messages, warnings : tuple of str
        Messages and warnings for the user. Default: none.
    unwritten : tuple of str
        Names of the stems that are not written to files. Default: none.
    parts : tuple of Model
        Models whose stems are averaged. Default: only the model itself.
    part_weights : tuple of float
        Weight of each of these models in the average. Default: equal weights.
    doubt : str
        Reason for which no stem of the model is sure, such as a melody that no voice sings. Default: none.
    way_out : str
        What the user can do where a stem is unsure.
    alternatives : tuple of Model
        Models that chance or a setting could have put in place of this one, such as one for each random
        start. How much their stems differ is evidence for how far the stems can be trusted. Default: none.

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
        def factorization(self) -> LabelledFactorization | None:
            """The factorization that made the stems."""

        @property
        def messages(self) -> tuple[str, ...]:
            """Messages for the user."""

        @property
        def warnings(self) -> tuple[str, ...]:
            """Warnings for the user."""

        @property
        def unwritten(self) -> tuple[str, ...]:
            """Names of the stems that are not written to files."""

        @property
        def doubt(self) -> str:
            """Reason for which no stem is sure."""

        @property
        def way_out(self) -> str:
            """What the user can do where a stem is unsure."""
    else:
        context, factorization, way_out = 0, None, MORE_KNOWLEDGE
        messages = warnings = unwritten = ()
        doubt = ""

    @property
    def parts(self) -> tuple[Model, ...]:
        """Models whose stems are averaged."""
        return (self,)

    @property
    def part_weights(self) -> tuple[float, ...]:
        """Weight of each of the models in `parts`."""
        return (1.0,) * len(self.parts)

    @property
    def alternatives(self) -> tuple[Model, ...]:
        """Models that chance or a setting could have put in place of this one."""
        return ()

    def find_components(self, mixture: Blocks) -> Components | None:  # noqa: ARG002
        """Return templates and activations of all frames of the mixture, or None where there are none.

        Parameters
        ----------
        mixture : Blocks
            The mixture with the settings of the model.
        """
        return None

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
