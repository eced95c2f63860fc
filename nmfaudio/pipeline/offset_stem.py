"""Give the offset that was taken out of a mixture back to one stem, so that the stems still sum to it."""

from __future__ import annotations

import numpy as np

from nmfaudio.models.contract import Model
from nmfaudio.pipeline.checking import checked_stems
from nmfaudio.pipeline.overlap_add import StemStream
from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.source import SampleSource

_LOW_HZ = 150.0  # the stem with most energy below this frequency gets the offset
_BLOCKS = 3  # of the mixture, evenly spaced, that are compared


def lowest_stem(mixture: Blocks, model: Model) -> str:
    """Return the source with the most energy in low bins: the one that an offset disturbs least."""
    part = model.parts[0]
    mixture = mixture.with_stft(part.stft)
    low = mixture.stft.frequencies(mixture.sample_rate) <= _LOW_HZ
    energies = dict.fromkeys(model.sources, 0.0)
    for start, stop in mixture.evenly_spaced_bounds(_BLOCKS):
        wide = mixture.block(start - part.context, stop + part.context)
        for name, stem in checked_stems(part, wide).items():
            energies[name] += float((np.abs(stem.cut(start, stop).values[:, low]) ** 2).sum())
    return max(energies, key=lambda name: energies[name])


def with_offset(stream: StemStream, original: SampleSource, stem: str, position: int = 0) -> StemStream:
    """Yield pieces of the original mixture; the stem gets what was taken out of them.

    The stream begins at the sample `position`.
    """
    for cleaned, stems in stream:
        mixture = original.read(position, position + cleaned.shape[1])
        position += cleaned.shape[1]
        yield mixture, {**stems, stem: stems[stem] + (mixture - cleaned)}
