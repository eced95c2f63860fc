"""Models whose stems are refined by a Wiener filter across the channels."""

from __future__ import annotations

from dataclasses import dataclass

from nmfaudio.models.contract import Model
from nmfaudio.models.wiener import WienerFilter, learn_filter
from nmfaudio.models.wrappers import ModelWrapper
from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.spectrogram import Spectrogram


@dataclass(frozen=True)
class SpatiallyFilteredModel(ModelWrapper):
    """A model whose stems are refined by a Wiener filter across the channels."""

    filter: WienerFilter
    messages: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def separate(self, block: Spectrogram) -> dict[str, Spectrogram]:
        """Split the block with the other model, then filter the stems."""
        return self.filter.refined(block, self.model.separate(block))


def with_spatial_filter(model: Model, mixture: Blocks) -> Model:
    """Return a model with a Wiener filter across channels, where positions differ enough; else the model."""
    if mixture.channels == 1 or len(model.sources) == 1:
        return model
    wiener_filter = learn_filter(mixture.with_stft(model.stft), model.separate, context=model.context)
    if wiener_filter is None:
        return model
    return SpatiallyFilteredModel(model, wiener_filter, model.messages, model.warnings)
