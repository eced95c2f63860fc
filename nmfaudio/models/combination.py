"""Several models of one mixture, with different windows, whose stems are averaged sample by sample."""

from __future__ import annotations

from dataclasses import dataclass

from nmfaudio.errors import SeparatorError
from nmfaudio.models.contract import Components, Model
from nmfaudio.sound.spectrogram import Spectrogram
from nmfaudio.sound.stft import STFT


@dataclass(frozen=True)
class Combination(Model):
    """A model made of several models, which may use different STFT settings.

    Each model makes stems of its own. The stem of a name is the mean of all models' stems of that name.
    Errors that the models do not share become smaller in the mean; stems that sum to the mixture still do.

    Parameters
    ----------
    models : tuple of Model
        All models have the same sources in the same order.
    messages, warnings : tuple of str
        What the user should read.

    Raises
    ------
    SeparatorError
        When there is no model, or when sources differ.

    Examples
    --------
    >>> from nmfaudio import STFT, FunctionModel
    >>> views = [FunctionModel(STFT(n), ("all",), lambda block: {"all": block.magnitude}) for n in (64, 512)]
    >>> Combination(tuple(views)).sources
    ('all',)
    """

    models: tuple[Model, ...]
    messages: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.models or any(m.sources != self.models[0].sources for m in self.models):
            raise SeparatorError(
                f"models with sources {[m.sources for m in self.models]} cannot be combined: "
                "they must have the same sources in the same order"
            )

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the stems, in order."""
        return self.models[0].sources

    @property
    def stft(self) -> STFT:
        """Settings of the first model."""
        return self.models[0].stft

    @property
    def context(self) -> int:
        """Number of frames that the first model needs on either side."""
        return self.models[0].context

    @property
    def components(self) -> Components | None:
        """Templates and activations of the first model."""
        return self.models[0].components

    @property
    def parts(self) -> tuple[Model, ...]:
        """Models whose stems are averaged."""
        return tuple(part for model in self.models for part in model.parts)

    def separate(self, block: Spectrogram) -> dict[str, Spectrogram]:
        """Return the stems of the model that has the settings of the block."""
        for model in self.models:
            if model.stft == block.stft:
                return model.separate(block)
        raise SeparatorError(f"no model of this combination has the settings {block.stft}")
