"""Models whose stems are refined by a Wiener filter across the channels."""

from __future__ import annotations

from dataclasses import dataclass

from nmfaudio.models.contract import Model
from nmfaudio.models.wiener import LEAST_DIFFERENCE, WienerFilter, learn_filter
from nmfaudio.models.wrappers import ModelWrapper
from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.spectrogram import Spectrogram

# Weight of the filtered stems where components were grouped blindly; the stems by masks have the rest. The
# filter learns from stems that hold much of each other: on eleven stereo mixtures, stems by masks gained
# 9.3 dB, filtered ones 9.4 dB, and their means 9.7 dB.
_ROUGH_STEMS_WEIGHT = 0.5


@dataclass(frozen=True)
class SpatiallyFilteredModel(ModelWrapper):
    """A model whose stems are refined by a Wiener filter across the channels.

    Attributes
    ----------
    filter : WienerFilter
    messages, warnings : tuple of str
    weight : float
        Weight of the filtered stems, from 0 to 1; those of the model have the rest.
    """

    filter: WienerFilter
    messages: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    weight: float = 1.0

    def separate(self, block: Spectrogram) -> dict[str, Spectrogram]:
        """Split the block with the other model, then filter the stems."""
        stems = self.model.separate(block)
        filtered = self.filter.refined(block, stems)
        if self.weight == 1:
            return filtered
        return {
            name: block.with_values(self.weight * filtered[name].values + (1 - self.weight) * stem.values)
            for name, stem in stems.items()
        }


def with_spatial_filter(
    model: Model, mixture: Blocks, *, rough: bool = False, least_difference: float = LEAST_DIFFERENCE
) -> Model:
    """Return a model with a Wiener filter across channels, where positions differ enough; else the model.

    Parameters
    ----------
    model : Model
    mixture : Blocks
    rough : bool
        Whether the stems of the model hold much of each other, as those of components that were learned from
        the mixture do. Then the new stems are the means of filtered and unfiltered ones.
    least_difference : float
        Least difference between the positions of two sources for which there is a filter.
    """
    if mixture.channels == 1 or len(model.sources) == 1:
        return model
    wiener_filter = learn_filter(
        mixture.with_stft(model.stft),
        model.separate,
        context=model.context,
        least_difference=least_difference,
    )
    if wiener_filter is None:
        return model
    weight = _ROUGH_STEMS_WEIGHT if rough else 1.0
    return SpatiallyFilteredModel(model, wiener_filter, model.messages, model.warnings, weight)
