"""A recording as a sequence of spectrograms."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmfaudio.disk.memory_budget import MemoryBudget, default_budget
from nmfaudio.errors import AudioFileError
from nmfaudio.sound.progress import Progress, ignore_progress
from nmfaudio.sound.source import SampleSource
from nmfaudio.sound.spectrogram import Spectrogram, frame_times
from nmfaudio.sound.stft import STFT

# Duration of a block, and its largest number of complex values: about 14 MB of spectrogram for two channels
# at 44.1 kHz. A model allocates about a dozen arrays of that size.
BLOCK_SECONDS, BLOCK_VALUES = 5, 1_000_000
_ARRAYS_OF_A_MODEL = 12


@dataclass(frozen=True)
class Blocks:
    """A mixture as a sequence of spectrograms, which a separator can read any number of times.

    Iterating yields consecutive blocks of a few seconds, which cover every frame once.

    Attributes
    ----------
    source : SampleSource
        Samples of the mixture.
    stft : STFT
        Settings of the transform.
    scale_exponent : int
        The samples are divided by two to this power, so that separators need not handle levels. Dividing by a
        power of two is exact.
    report : callable
        Function of a `Progress`. It may raise an exception to stop the work, so call it often.
    memory : int
        Number of bytes that all arrays as large as a spectrogram of the whole recording may use in memory
        together; 0 stands for a quarter of the available memory.

    Examples
    --------
    >>> from nmfaudio import Audio
    >>> mixture = Blocks(Audio(np.zeros((2, 44100 * 30)), 44100), STFT(2048))
    >>> [block.frames for block in mixture]
    [430, 430, 430, 430, 430, 430, 7]
    """

    source: SampleSource
    stft: STFT
    scale_exponent: int = 0
    report: Callable[[Progress], None] = field(default=ignore_progress, repr=False)
    memory: int = field(default=0, repr=False)
    _budget: MemoryBudget = field(default_factory=MemoryBudget, repr=False, compare=False)

    def __post_init__(self) -> None:
        values = self.channels * self.stft.bins
        if values > BLOCK_VALUES:  # a block of a single frame is larger than usual blocks
            self._check_memory(values * np.dtype(np.complex128).itemsize * _ARRAYS_OF_A_MODEL)

    def _check_memory(self, needed: int) -> None:
        budget = self.memory or default_budget()
        if needed > budget:
            raise AudioFileError(
                f"{self.source.name}: one frame of {self.channels} channels needs {needed / 1e9:.2f} GB of "
                f"memory, and the limit is {budget / 1e9:.2f} GB: separate fewer channels at once, or pass a "
                "larger memory=...; transpose the samples if their shape is (samples, channels)"
            )

    @property
    def sample_rate(self) -> int:
        """Samples per second."""
        return self.source.sample_rate

    @property
    def channels(self) -> int:
        """Number of channels."""
        return self.source.channels

    @property
    def length(self) -> int:
        """Samples per channel."""
        return self.source.length

    @property
    def frames(self) -> int:
        """Number of frames of the whole mixture."""
        return self.stft.frames(self.length)

    @property
    def times(self) -> NDArray[np.float64]:
        """Center of each frame in seconds from the start of the recording."""
        return frame_times(self.stft, self.sample_rate, 0, self.frames)

    @property
    def bounds(self) -> list[tuple[int, int]]:
        """First frame of each block, and the frame after its last."""
        limit = BLOCK_VALUES // (self.channels * self.stft.bins)
        size = max(1, min(BLOCK_SECONDS * self.sample_rate // self.stft.hop_length, limit))
        return [(start, min(start + size, self.frames)) for start in range(0, self.frames, size)]

    def evenly_spaced_bounds(self, most: int) -> list[tuple[int, int]]:
        """Return the bounds of at most so many blocks, from the first to the last one."""
        bounds = self.bounds
        return [bounds[n] for n in sorted({round(n) for n in np.linspace(0, len(bounds) - 1, most)})]

    def with_stft(self, stft: STFT) -> Blocks:
        """Return the same mixture with other settings of the transform."""
        return replace(self, stft=stft)

    def block(self, start: int, stop: int) -> Spectrogram:
        """Return the frames `start` to `stop`, without those that lie outside the recording."""
        start, stop = max(0, start), min(stop, self.frames)
        first = self.stft.first_sample(start)
        last = self.stft.first_sample(stop - 1) + self.stft.win_length
        available = self.source.read(min(max(first, 0), self.length), min(max(last, 0), self.length))
        missing = min(max(0, -first), last - first)
        scaled = np.ldexp(available, -self.scale_exponent)
        padded = np.pad(scaled, ((0, 0), (missing, last - first - missing - available.shape[1])))
        return Spectrogram(self.stft.analyse(padded), self.stft, self.sample_rate, start)

    def allocate(self, *shape: int, dtype: Any = np.float32) -> NDArray[Any]:
        """Return an uninitialized array: in memory if the budget allows it, else in a temporary file.

        All such arrays that are in use share the budget. Allocate all of them before the work begins, so that
        a disk that is too full is reported at once.

        Raises
        ------
        OutputError
            If the disk is too full.
        """
        return self._budget.allocate(shape, self.memory or default_budget(), dtype)

    def __iter__(self) -> Iterator[Spectrogram]:
        """Yield the blocks in order and report the progress after each."""
        for start, stop in self.bounds:
            yield self.block(start, stop)
            self.report(Progress("reading", stop, self.frames))

    def wide_blocks(self, context: int) -> Iterator[tuple[int, int, Spectrogram]]:
        """Yield the bounds of each block, and the block with so many more frames on either side."""
        for start, stop in self.bounds:
            yield start, stop, self.block(start - context, stop + context)

    def whole(self) -> Spectrogram:
        """Return all frames at once; beyond the budget they are stored in a temporary file.

        Raises
        ------
        OutputError
            If the disk is too full.
        """
        values = self.allocate(self.channels, self.frames, self.stft.bins, dtype=np.complex128).swapaxes(1, 2)
        for start, stop in self.bounds:
            values[:, :, start:stop] = self.block(start, stop).values
        return Spectrogram(values, self.stft, self.sample_rate)
