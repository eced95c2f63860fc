"""From blocks of spectrograms to samples: overlap-add, and the mean of several streams of stems."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.source import Samples
from nmfaudio.sound.spectrogram import Spectrogram

StemStream = Iterator[tuple[Samples, dict[str, Samples]]]  # pieces of the mixture, each with its stems


class OverlapAdd:
    """Joins the blocks of one stem to samples. A sample is given out once no later frame can reach it."""

    def __init__(self, mixture: Blocks) -> None:
        self._stft, self._frames, self._length = mixture.stft, mixture.frames, mixture.length
        self._tail = np.zeros((mixture.channels, 0))

    def add(self, block: Spectrogram) -> Samples:
        """Add the next frames and return the samples that are complete, shape (channels, samples)."""
        samples = self._stft.synthesise(block.values)
        samples[:, : self._tail.shape[1]] += self._tail
        is_last = block.stop == self._frames
        complete = samples.shape[1] if is_last else block.frames * self._stft.hop_length
        self._tail = samples[:, complete:]
        first = self._stft.first_sample(block.start)
        return samples[:, max(0, -first) : min(complete, max(0, self._length - first))]


def clipped_first_sample(mixture: Blocks, frame: int) -> int:
    """Return the first sample of a frame; frames begin before the recording, and end after it."""
    return min(max(0, mixture.stft.first_sample(frame)), mixture.length)


def bounds_reaching(mixture: Blocks, first: int, last: int) -> list[tuple[int, int]]:
    """Return the bounds of the blocks whose windows reach the samples `first` to `last`.

    With blocks from the first of these on, `OverlapAdd` gives these samples the same bits as with all blocks.
    """
    stft, bounds = mixture.stft, mixture.bounds
    starts = [clipped_first_sample(mixture, start) for start, _ in bounds]
    begun = [n for n, start in enumerate(starts) if start <= first]
    edge = stft.first_sample(bounds[begun[-1] if begun else 0][0])
    return [
        (start, stop)
        for (start, stop), begin in zip(bounds, starts, strict=True)
        if stft.first_sample(stop - 1) + stft.win_length > edge and (begin < last or last == mixture.length)
    ]


def averaged(streams: Sequence[StemStream], weights: Sequence[float] | None = None) -> StemStream:
    """Yield the mixture and the mean of each stem over several streams, whose pieces may differ in length.

    Parameters
    ----------
    streams : sequence of iterators
        Pieces of the mixture, each with its stems.
    weights : sequence of float, optional
        Weight of each stream in the mean. Default: equal weights.
    """
    pieces = [next(stream) for stream in streams]
    while True:
        length = min(mixture.shape[1] for mixture, _ in pieces)
        mean = {
            name: _mean([stems[name][:, :length] for _, stems in pieces], weights) for name in pieces[0][1]
        }
        yield pieces[0][0][:, :length], mean
        for number, (mixture, stems) in enumerate(pieces):
            pieces[number] = mixture[:, length:], {name: stem[:, length:] for name, stem in stems.items()}
            while not pieces[number][0].shape[1]:
                following = next(streams[number], None)
                if following is None:
                    return
                pieces[number] = following


def _mean(pieces: list[Samples], weights: Sequence[float] | None) -> Samples:
    if weights is None or len(set(weights)) == 1:
        return np.asarray(np.mean(pieces, axis=0))
    return np.asarray(np.average(pieces, axis=0, weights=weights))
