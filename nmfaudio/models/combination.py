"""Several models of one mixture, through different windows, whose stems are averaged sample by sample."""

from __future__ import annotations

from dataclasses import dataclass

from nmfaudio.errors import SeparatorError
from nmfaudio.models.contract import Components, Model
from nmfaudio.sound.spectrogram import Spectrogram
from nmfaudio.sound.stft import STFT


@dataclass(frozen=True)
class Combination:
    """A model made of several, which may see the mixture through different settings.

    Each makes stems of its own, and the mean of the stems of a name is the stem of that name. Errors that the
    models do not share shrink in the mean; stems that sum to the mixture still do.

    Parameters
    ----------
    models : tuple of Model
        All with the same sources in the same order.
    notes, warnings : tuple of str
        What to tell the user.

    Raises
    ------
    SeparatorError
        When there is no model, or sources differ.

    Examples
    --------
    >>> from nmfaudio import STFT, FunctionModel
    >>> views = [FunctionModel(STFT(n), ("all",), lambda block: {"all": block.magnitude}) for n in (64, 512)]
    >>> Combination(tuple(views)).sources
    ('all',)
    """

    models: tuple[Model, ...]
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.models or any(m.sources != self.models[0].sources for m in self.models):
            raise SeparatorError(
                f"models with sources {[m.sources for m in self.models]} cannot be combined: "
                "they must have the same in the same order"
            )

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the stems, in order."""
        return self.models[0].sources

    @property
    def stft(self) -> STFT:
        """The settings of the first model."""
        return self.models[0].stft

    @property
    def context(self) -> int:
        """Frames that the first model wants to see on either side."""
        return self.models[0].context

    @property
    def components(self) -> Components | None:
        """Those of the first model, for tables and pictures."""
        return getattr(self.models[0], "components", None)

    def separate(self, block: Spectrogram) -> dict[str, Spectrogram]:
        """Ask the model that sees the mixture as the block does."""
        for model in self.models:
            if model.stft == block.stft:
                return model.separate(block)
        raise SeparatorError(f"no model of this combination has the settings {block.stft}")
