"""Models that change another model, and an adapter for plugins' models that do not inherit from `Model`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from nmfaudio.errors import SeparatorError
from nmfaudio.models.components import Components
from nmfaudio.models.contract import Model
from nmfaudio.models.labelled import LabelledFactorization
from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.spectrogram import Spectrogram
from nmfaudio.sound.stft import STFT


@dataclass(frozen=True)
class ModelWrapper(Model):
    """Base of models that change another model.

    Members that a subclass does not define are those of the other model.

    Attributes
    ----------
    model : Model
        The other model.
    """

    model: Model

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the stems, in order."""
        return self.model.sources

    @property
    def stft(self) -> STFT:
        """Settings of the blocks that the model takes."""
        return self.model.stft

    @property
    def context(self) -> int:
        """Number of frames that the model needs on either side."""
        return self.model.context

    @property
    def factorization(self) -> LabelledFactorization | None:
        """The factorization of the other model."""
        return self.model.factorization

    def find_components(self, mixture: Blocks) -> Components | None:
        """Return the components of the other model."""
        return self.model.find_components(mixture)

    @property
    def messages(self) -> tuple[str, ...]:
        """Messages of the other model."""
        return self.model.messages

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warnings of the other model."""
        return self.model.warnings

    @property
    def unwritten(self) -> tuple[str, ...]:
        """Stems of the other model that are not to be written."""
        return self.model.unwritten

    @property
    def doubt(self) -> str:
        """Reason for which no stem of the other model is sure."""
        return self.model.doubt

    @property
    def way_out(self) -> str:
        """What helps where a stem of the other model is unsure."""
        return self.model.way_out

    @property
    def parts(self) -> tuple[Model, ...]:
        """The model itself, or each part of the other model with the same change."""
        parts = self.model.parts
        return (self,) if len(parts) == 1 else tuple(replace(self, model=part) for part in parts)

    @property
    def part_weights(self) -> tuple[float, ...]:
        """Weights of the parts of the other model."""
        return self.model.part_weights

    @property
    def alternatives(self) -> tuple[Model, ...]:
        """Alternatives of the other model, each with the same change."""
        return tuple(replace(self, model=model) for model in self.model.alternatives)

    def separate(self, block: Spectrogram) -> dict[str, Spectrogram]:
        """Return the stems of the other model."""
        return self.model.separate(block)


@dataclass(frozen=True)
class WithMessages(ModelWrapper):
    """A model with other messages.

    Attributes
    ----------
    messages : tuple of str
        The new messages.
    """

    messages: tuple[str, ...] = ()


@dataclass(frozen=True)
class AdaptedModel(Model):
    """Adapter for a plugin's model that has the required members but does not inherit from `Model`.

    Attributes
    ----------
    original : object
        The plugin's model.
    """

    original: Any
    sources: tuple[str, ...]
    stft: STFT
    context: int

    def separate(self, block: Spectrogram) -> dict[str, Spectrogram]:
        """Return the stems of the plugin's model."""
        stems: dict[str, Spectrogram] = self.original.separate(block)
        return stems


def as_model(returned: Any) -> Model:
    """Return the object that the `fit` of a separator returned as a `Model`.

    Raises
    ------
    SeparatorError
        When the object lacks a member that every model needs.
    """
    missing = [name for name in ("sources", "stft", "context", "separate") if not hasattr(returned, name)]
    if missing:
        raise SeparatorError(f"returned {type(returned).__name__} without {', '.join(missing)} from fit")
    if isinstance(returned, Model):
        return returned
    return AdaptedModel(returned, tuple(returned.sources), returned.stft, returned.context)
