"""A model of any separator whose stems follow the regions that the user gave."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmfaudio.models.combination import Combination
from nmfaudio.models.contract import Model
from nmfaudio.models.wrappers import ModelWrapper, WithMessages
from nmfaudio.separators.regions.constraint import constrained, rectangles_on
from nmfaudio.separators.regions.evidence import Evidence, find_evidence
from nmfaudio.separators.regions.region import Regions
from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.spectrogram import Spectrogram


@dataclass(frozen=True)
class RegionModel(ModelWrapper):
    """A model whose stems are changed so that every region holds.

    Attributes
    ----------
    model : Model
        The other model.
    regions : Regions
    evidence : Evidence or None
        What the regions say about the rest of the mixture.
    """

    regions: Regions
    evidence: Evidence | None = None

    def separate(self, block: Spectrogram) -> dict[str, Spectrogram]:
        """Separate the block with the other model, then change the part of each stem at each point."""
        stems = self.model.separate(block)
        values = np.stack([stem.values for stem in stems.values()])
        old = _parts(np.abs(values))
        new = _parts(old * self.evidence.corrections(block)[:, None]) if self.evidence else old
        step = block.stft.hop_length / block.sample_rate
        rectangles = rectangles_on(self.regions, self.sources, block.frequencies, block.times, step)
        new = constrained(new, rectangles)
        values *= np.divide(new, old, out=np.zeros_like(old), where=old > 0)
        values += new * (block.values - values.sum(axis=0))
        return {name: block.with_values(stem) for name, stem in zip(stems, values, strict=True)}


def _parts(magnitudes: NDArray[Any]) -> NDArray[Any]:
    """Return the part of each source at each point; equal parts where all magnitudes are zero."""
    total = magnitudes.sum(axis=0)
    even = np.full_like(magnitudes, 1 / len(magnitudes))
    return np.asarray(np.divide(magnitudes, total, out=even, where=total > 0))


def with_regions(model: Model, mixture: Blocks, regions: Regions, seed: int) -> Model:
    """Return a model whose stems follow the regions, or the model itself where there are none.

    Parameters
    ----------
    model : Model
        A model of any separator.
    mixture : Blocks
    regions : Regions
        Regions of sources of the model.
    seed : int
        Seed of the random starts.

    Raises
    ------
    OptionError
        When a region names a source that the model does not have.
    """
    if not regions:
        return model
    regions.check(model.sources)
    messages = tuple(regions.messages(mixture.length / mixture.sample_rate))
    if len(model.sources) < 2:
        return WithMessages(model, (*model.messages, "the regions change nothing: there is only one stem"))
    parts = [
        RegionModel(part, regions, find_evidence(part, mixture.with_stft(part.stft), regions, seed))
        for part in model.parts
    ]
    changed = (
        parts[0]
        if len(parts) == 1
        else Combination(tuple(parts), model.messages, model.warnings, model.part_weights)
    )
    return WithMessages(changed, (*model.messages, *messages))
