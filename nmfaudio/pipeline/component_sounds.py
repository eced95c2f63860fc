"""The sound of components: stems divided among their components, and added up to other stems.

Each point of a stem's spectrogram is divided among the components of the stem in proportion to their models.
So the components of a stem always add up to that stem, whatever made it, and the grouping that the separator
chose gives its stems back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmfaudio.models.components import Components
from nmfaudio.models.masks import masked_in_parts
from nmfaudio.pipeline.overlap_add import OverlapAdd, StemStream
from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.source import Samples, SampleSource

Groups = Mapping[str, Sequence[int]]


def regrouped(stems: Mapping[str, SampleSource], components: Components, groups: Groups) -> StemStream:
    """Yield pieces of the sum of all stems, and of new stems made of other groups of parts.

    Parameters
    ----------
    stems : mapping of str to SampleSource
        All stems of a run, by name.
    components : Components
        The components of these stems.
    groups : mapping of str to sequence of int
        Numbers of the parts that each new stem is made of. Each part must be in one group.

    Yields
    ------
    mixture : ndarray, shape (channels, samples)
    new_stems : dict of str to ndarray, shape (channels, samples)
    """
    dividers = [_Divider.of(stem, name, components, groups) for name, stem in stems.items()]
    blocks = Blocks(next(iter(stems.values())), components.stft)
    position = 0
    for start, stop in blocks.bounds:
        divided = [divider.pieces(start, stop, position) for divider in dividers]
        length = next(piece.shape[1] for pieces in divided for piece in pieces.values())
        new = {name: np.zeros((blocks.channels, length)) for name in groups}
        for pieces in divided:
            for name, piece in pieces.items():
                new[name] += piece
        yield np.sum([stem.read(position, position + length) for stem in stems.values()], axis=0), new
        position += length


def component_sounds(stems: Mapping[str, SampleSource], components: Components) -> StemStream:
    """Yield pieces of the sum of all stems, and of each part alone, by its name."""
    return regrouped(stems, components, {part.name: [part.number] for part in components.parts})


@dataclass(frozen=True)
class _Divider:
    """Divides one stem among the groups that have parts of it.

    Attributes
    ----------
    blocks : Blocks
        The stem.
    components : Components
    members : dict of str to list of int
        Indices of the components of the stem that each group has; empty where the group has the whole stem.
    adders : dict of str to OverlapAdd
        For each group, where the stem is divided.
    """

    blocks: Blocks
    components: Components
    members: dict[str, list[int]]
    adders: dict[str, OverlapAdd]

    @classmethod
    def of(cls, stem: SampleSource, source: str, components: Components, groups: Groups) -> _Divider:
        parts = {part.number: part for part in components.parts if part.source == source}
        own = {name: [parts[n] for n in numbers if n in parts] for name, numbers in groups.items()}
        members = {
            name: [part.component for part in some if part.component is not None]
            for name, some in own.items()
            if some
        }
        blocks = Blocks(stem, components.stft)
        divided = members if len(members) > 1 else {}
        return cls(blocks, components, members, {name: OverlapAdd(blocks) for name in divided})

    def pieces(self, start: int, stop: int, position: int) -> dict[str, Samples]:
        """Return what the frames `start` to `stop` complete of the stem for each group."""
        if not self.adders:
            (name,) = self.members
            last = self.blocks.length
            if stop < self.blocks.frames:
                last = max(0, self.blocks.stft.first_sample(stop))
            return {name: self.blocks.source.read(position, min(last, self.blocks.length))}
        block = self.blocks.block(start, stop)
        divided = masked_in_parts(block, tuple(self.members), partial(self._masks, start, stop))
        return {name: self.adders[name].add(piece) for name, piece in divided.items()}

    def _masks(self, start: int, stop: int, part: slice) -> NDArray[Any]:
        """Return a weight for each group, shape (groups, 1 or channels, frames, bins)."""
        first, last = start + part.start, min(start + part.stop, stop)
        weights = np.stack([self._weight(members, first, last) for members in self.members.values()])
        silent = weights.sum(axis=0) <= 0
        counts = np.array([len(members) for members in self.members.values()], np.float32)
        return np.where(silent, counts[:, None, None, None], weights)

    def _weight(self, members: list[int], start: int, stop: int) -> NDArray[np.float32]:
        """Return the sum of the models of some components, shape (1 or channels, frames, bins)."""
        exponent = self.components.mask_exponent
        if exponent == 1:
            return self.components.sum_of_models(members, start, stop).swapaxes(1, 2)
        total: NDArray[np.float32] = np.zeros((1, stop - start, self.components.stft.bins), np.float32)
        for component in members:
            total = total + self.components.model(component, start, stop).swapaxes(1, 2) ** np.float32(
                exponent
            )
        return total


def in_memory(stream: StemStream, names: Sequence[str]) -> dict[str, Samples]:
    """Return the whole stems of a stream."""
    pieces: dict[str, list[Samples]] = {name: [] for name in names}
    for _, stems in stream:
        for name in names:
            pieces[name].append(stems[name])
    return {name: np.concatenate(some, axis=1) for name, some in pieces.items()}
