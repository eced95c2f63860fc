"""Models made of several models of one mixture, such as models with different windows."""

from __future__ import annotations

from dataclasses import dataclass

from nmfaudio.errors import SeparatorError
from nmfaudio.models.components import Components
from nmfaudio.models.contract import Model
from nmfaudio.models.labelled import LabelledFactorization
from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.spectrogram import Spectrogram
from nmfaudio.sound.stft import STFT


@dataclass(frozen=True)
class SeveralModels(Model):
    """Base of models made of several models with the same sources.

    Members that a subclass does not define are those of the first model.

    Attributes
    ----------
    models : tuple of Model
        Models with the same sources in the same order.
    """

    models: tuple[Model, ...]

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the stems, in order."""
        return self.models[0].sources

    @property
    def stft(self) -> STFT:
        """STFT settings of the first model."""
        return self.models[0].stft

    @property
    def context(self) -> int:
        """Number of frames that the first model needs on either side of a block."""
        return self.models[0].context

    @property
    def factorization(self) -> LabelledFactorization | None:
        """The factorization of the first model."""
        return self.models[0].factorization

    def find_components(self, mixture: Blocks) -> Components | None:
        """Return the components of the first model."""
        return self.models[0].find_components(mixture.with_stft(self.models[0].stft))

    @property
    def doubt(self) -> str:
        """Reason for which no stem of the first model is sure."""
        return self.models[0].doubt

    @property
    def way_out(self) -> str:
        """What helps where a stem of the first model is unsure."""
        return self.models[0].way_out

    def check_weights(self, weights: tuple[float, ...]) -> None:
        """Raise an error unless there is one positive weight for each model."""
        if len(weights) != len(self.models) or min(weights) <= 0:
            raise SeparatorError(
                f"weights={weights}: give one positive weight for each of the {len(self.models)} models"
            )


@dataclass(frozen=True)
class Combination(SeveralModels):
    """A model made of several models, which may use different STFT settings.

    Each model makes its own stems. The resulting stems are the weighted means over all models, sample by
    sample. Errors that the models do not share become smaller in the mean. The means also sum to the mixture.

    Parameters
    ----------
    models : tuple of Model
        Models with the same sources in the same order.
    messages, warnings : tuple of str
        Messages and warnings for the user.
    weights : tuple of float
        Positive weight of each model in the mean; empty for equal weights.

    Raises
    ------
    SeparatorError
        When there is no model, when the sources differ, or when a weight is missing or not positive.

    Examples
    --------
    >>> from nmfaudio import STFT, FunctionModel
    >>> views = [FunctionModel(STFT(n), ("all",), lambda block: {"all": block.magnitude}) for n in (64, 512)]
    >>> Combination(tuple(views)).sources
    ('all',)
    """

    messages: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    weights: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not self.models or any(m.sources != self.models[0].sources for m in self.models):
            raise SeparatorError(
                f"models with sources {[m.sources for m in self.models]} cannot be combined: "
                "they must have the same sources in the same order"
            )
        if self.weights:
            self.check_weights(self.weights)

    @property
    def parts(self) -> tuple[Model, ...]:
        """Models whose stems are averaged."""
        return tuple(part for model in self.models for part in model.parts)

    @property
    def part_weights(self) -> tuple[float, ...]:
        """Weight of each model, shared among its own parts."""
        weights = self.weights or (1.0,) * len(self.models)
        return tuple(
            weight * own / (sum(model.part_weights) if self.weights else 1.0)
            for model, weight in zip(self.models, weights, strict=True)
            for own in model.part_weights
        )

    def separate(self, block: Spectrogram) -> dict[str, Spectrogram]:
        """Return the stems of the model whose STFT settings are those of the block."""
        for model in self.models:
            if model.stft == block.stft:
                return model.separate(block)
        raise SeparatorError(f"no model of this combination has the STFT settings {block.stft}")
