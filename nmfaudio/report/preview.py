"""The passage of a run that its report plays: all of a short recording, the loudest minute of a long one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from nmfaudio.errors import InputError
from nmfaudio.sound.source import SampleSource

# A browser keeps decoded sound as 32-bit floats: this many values take 23 MB for each stem.
_MOST_VALUES = 60 * 2 * 48_000
_MOST_SECONDS = 600.0
_FEWEST_SECONDS = 0.01
_TOLERANCE_SECONDS = 1e-6


@dataclass(frozen=True)
class Preview:
    """The samples `start` to `stop` of all stems.

    Attributes
    ----------
    start, stop : int
        First sample, and the sample after the last one.
    sample_rate : int
        Samples per second.
    length : int
        Number of samples of the whole stems.
    """

    start: int
    stop: int
    sample_rate: int
    length: int

    @property
    def is_whole(self) -> bool:
        """Whether the preview is the whole recording."""
        return self.start == 0 and self.stop == self.length

    @property
    def seconds(self) -> tuple[float, float]:
        """Start and end in seconds."""
        return self.start / self.sample_rate, self.stop / self.sample_rate


def choose_preview(
    stems: Mapping[str, SampleSource], start: float | None = None, end: float | None = None
) -> Preview:
    """Return the passage that a report plays.

    Parameters
    ----------
    stems : mapping of str to SampleSource
        All stems of a run.
    start, end : float, optional
        Times in seconds; negative times are counted from the end. By default the whole recording, or the
        loudest passage of the longest duration that a report plays (60 s of stereo at 48 kHz).

    Raises
    ------
    InputError
        When the passage is empty, outside the recording, or longer than a report plays.
    """
    source = next(iter(stems.values()))
    rate, length = source.sample_rate, source.length
    most = max(1, min(_MOST_VALUES // min(source.channels, 2), int(_MOST_SECONDS * rate), length))
    if start is None and end is None:
        first = 0 if most == length else _loudest(stems, most)
        return Preview(first, first + most, rate, length)
    duration = length / rate
    first_time = _position(start, duration, 0.0)
    last_time = _position(end, duration, min(duration, first_time + most / rate))
    if not -_TOLERANCE_SECONDS <= first_time < last_time <= duration + _TOLERANCE_SECONDS:
        raise InputError(
            f"the passage from {first_time:.2f} s to {last_time:.2f} s must lie within the "
            f"{duration:.2f} s of the stems: choose another start or end"
        )
    first, last = max(0, round(first_time * rate)), min(length, round(last_time * rate))
    if last - first > most:
        raise InputError(
            f"the passage from {first_time:.2f} s to {last_time:.2f} s is longer than the "
            f"{most / rate:.0f} s that a report plays: choose a later start or an earlier end"
        )
    if last - first < min(length, _FEWEST_SECONDS * rate):
        raise InputError(f"the passage from {first_time:.2f} s to {last_time:.2f} s is too short to play")
    return Preview(first, last, rate, length)


def _position(time: float | None, duration: float, default: float) -> float:
    if time is None:
        return default
    return duration + time if time < 0 or (time == 0 and math.copysign(1, time) < 0) else time


def _loudest(stems: Mapping[str, SampleSource], count: int) -> int:
    """Return the first sample of the passage of `count` samples with the most energy, on whole seconds."""
    source = next(iter(stems.values()))
    rate, length = source.sample_rate, source.length
    energies = []
    for position in range(0, length, rate):
        stop = min(position + rate, length)
        total = np.sum([stem.read(position, stop) for stem in stems.values()], axis=0)
        energies.append(float((total**2).sum()))
    sums = np.concatenate([[0.0], np.cumsum(energies)])
    window = count // rate
    first = int(np.argmax(sums[window:] - sums[: len(sums) - window])) * rate
    return min(first, length - count)
