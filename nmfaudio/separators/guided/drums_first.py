"""Separation of a song in two steps: the drums by their typical sound, then the rest by timbre."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmfaudio.matching import best_pairs
from nmfaudio.models.combination import Combination
from nmfaudio.models.contract import Model
from nmfaudio.models.masks import masked_in_parts
from nmfaudio.models.spatially_filtered import with_spatial_filter
from nmfaudio.nmf.threads import work_ahead
from nmfaudio.separators.blind.agreement import agreement_of_starts
from nmfaudio.separators.blind.search import SEED_STRIDE, ComponentSearch
from nmfaudio.separators.blind.separator import Blind
from nmfaudio.separators.drums.separator import OTHER, Drums, DrumsModel
from nmfaudio.separators.guided.grouping import Guide, guided_model, timbre_model
from nmfaudio.separators.guided.likeness import likeness
from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.frames import stacked_channels
from nmfaudio.sound.progress import Progress
from nmfaudio.sound.spectrogram import Spectrogram
from nmfaudio.sound.stft import STFT

DRUMS = "drums"
# Templates of one frame for the other instruments while the drums are found. With 24, some of them learn the
# drums: a rock trio lost 2 dB in the drums and 3 dB in the rest.
OTHER_TEMPLATES = 10
# Random starts of the templates for other instruments, over which the drums are averaged: in one of five
# starts, these templates learned a drum of a song, or a drum learned the notes of the bass. Means over three
# starts of few updates are better than one start of 40 updates, and hardly worse than three of these.
DRUM_STARTS, DRUM_ITERATIONS = 3, 25
# Random starts of the components in each of the two models. With six, eight songs gained as much in the mean
# (from 1.1 dB less to 0.3 dB more) and took longer.
COMPONENT_STARTS = 3
# Least and greatest weight of the model whose components the drums group, and the agreement of its random
# starts up to which and from which on they apply; the model in two steps has the rest. Compared with equal
# weights, 11 separations of songs gained 0.15 dB more in the mean. 14 others, most of which hold too little
# percussion to be taken for songs, gained 0.05 dB more in the mean; one lost 0.5 dB.
GUIDED_WEIGHTS, AGREEMENTS = (0.3, 0.5), (0.90, 0.95)

Part = Callable[[Spectrogram], Spectrogram]


@dataclass(frozen=True)
class _PartOfMixture(Blocks):
    """A part of a mixture as a sequence of spectrograms, made from the blocks of the mixture."""

    part: Part = field(default=lambda block: block, repr=False)

    @classmethod
    def of(cls, mixture: Blocks, part: Part) -> _PartOfMixture:
        """Return the part that a function makes of each block."""
        return cls(**{one.name: getattr(mixture, one.name) for one in fields(mixture)}, part=part)

    def block(self, start: int, stop: int) -> Spectrogram:
        """Return the part in the frames `start` to `stop`."""
        return self.part(super().block(start, stop))

    def __iter__(self) -> Iterator[Spectrogram]:
        """Yield the blocks in order and report the progress after each."""
        whole = (super(_PartOfMixture, self).block(start, stop) for start, stop in self.bounds)
        for block in work_ahead(self.part, whole):
            yield block
            self.report(Progress("reading", block.stop, self.frames))


@dataclass(frozen=True)
class AllDrums(Model):
    """The sum of all drums, and the other instruments: means over several models of the drums.

    Attributes
    ----------
    drums : tuple of DrumsModel
        Models of single drums and, as the last source, of `other`; with the same STFT settings.
    """

    drums: tuple[DrumsModel, ...]
    sources: tuple[str, ...] = (DRUMS, OTHER)

    @property
    def stft(self) -> STFT:
        """STFT settings of the blocks that the model takes."""
        return self.drums[0].stft

    def separate(self, block: Spectrogram) -> dict[str, Spectrogram]:
        """Return the drums and the other instruments."""
        masks = [model.masks(block) for model in self.drums]

        def mean_masks(part: slice) -> NDArray[Any]:
            other = reduce(np.add, (mask(part)[-1] for mask in masks)) / len(masks)
            return np.stack([1 - other, other])

        return masked_in_parts(block, self.sources, mean_masks)

    def others(self, block: Spectrogram) -> Spectrogram:
        """Return the other instruments alone."""
        return self.separate(block)[OTHER]


@dataclass(frozen=True)
class DrumsFirstModel(Model):
    """The drums of a mixture, and sources of the rest.

    Attributes
    ----------
    drums : AllDrums
    rest : Model
        A model of what `drums` leaves.
    order : tuple of int
        Numbers of the sources of the rest, in the order of the stems.
    sources : tuple of str
        Names of the stems: drums, then the sources of the rest.
    """

    drums: AllDrums
    rest: Model
    order: tuple[int, ...]
    sources: tuple[str, ...]

    @property
    def stft(self) -> STFT:
        """STFT settings of the blocks that the model takes."""
        return self.drums.stft

    def separate(self, block: Spectrogram) -> dict[str, Spectrogram]:
        """Split off the drums, then separate what is left."""
        first = self.drums.separate(block)
        of_rest = list(self.rest.separate(first[OTHER]).values())
        stems = [first[DRUMS], *(of_rest[number] for number in self.order)]
        return dict(zip(self.sources, stems, strict=True))


def song_model(search: ComponentSearch, sources: int) -> Model:
    """Return a model of a song: drums and other instruments, at least three sources together.

    Two models are averaged, because their errors differ. In one, the drums are split off and the rest is
    separated by timbre. In the other, these drums decide which blind components belong to the drums; it
    counts less where its random starts do not agree.

    Parameters
    ----------
    search : ComponentSearch
        Search for blind components in the mixture.
    sources : int
        Number of stems, at least 3; the first one is `drums`.

    References
    ----------
    C.-W. Wu and A. Lerch, "Drum transcription using partially fixed non-negative matrix factorization with
    template adaptation", ISMIR 2015 (templates for other instruments beside those of drums).
    """
    mixture, seed, window = search.mixture, search.seed, Blind().window
    starts = [
        Drums(
            others=OTHER_TEMPLATES,
            seed=seed + SEED_STRIDE * start,
            iterations=DRUM_ITERATIONS,
            window=window,
        )
        for start in range(DRUM_STARTS)
    ]
    mixture = starts[0].transformed(mixture)
    V = stacked_channels(mixture)
    drums = AllDrums(tuple(start.adapted(mixture, V) for start in starts))
    guided = guided_model(Guide(drums, DRUMS), search, sources, starts=COMPONENT_STARTS)
    rest = _PartOfMixture.of(mixture, drums.others)
    found = timbre_model(Blind(seed=seed).search(rest), sources - 1, COMPONENT_STARTS)
    in_steps = DrumsFirstModel(drums, found, tuple(range(sources - 1)), guided.sources)
    of_rest = likeness(guided, in_steps, mixture)[1:, 1:]
    in_steps = replace(in_steps, order=tuple(best_pairs(of_rest)[1].tolist()))
    weight = float(np.interp(agreement_of_starts(guided.model.starts), AGREEMENTS, GUIDED_WEIGHTS))
    return Combination(
        tuple(with_spatial_filter(one, mixture, rough=True) for one in (guided, in_steps)),
        weights=(weight, 1 - weight),
    )
