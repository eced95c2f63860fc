"""What the header of an audio file says, without decoding the file."""

from __future__ import annotations

import os
from dataclasses import dataclass

import soundfile

from nmfaudio.sound.blocks import BLOCK_SECONDS, BLOCK_VALUES

_VALUES_PER_SAMPLE = 2  # complex values of a spectrogram for each sample: frames overlap by three quarters


@dataclass(frozen=True)
class Header:
    """Sample rate in Hz, number of channels, and samples per channel, as a header declares them.

    Attributes
    ----------
    sample_rate : int
    channels : int
    length : int
    """

    sample_rate: int
    channels: int
    length: int

    @property
    def values(self) -> int:
        """About how many complex values the spectrograms of all channels have."""
        return _VALUES_PER_SAMPLE * self.length * self.channels

    @property
    def block_values(self) -> int:
        """About how many complex values a block of these spectrograms has at most."""
        return min(
            self.values, BLOCK_VALUES, _VALUES_PER_SAMPLE * BLOCK_SECONDS * self.sample_rate * self.channels
        )


def read_header(path: str | os.PathLike[str]) -> Header | None:
    """Return what the header of a recording says; None where it cannot be read, or does not say all."""
    try:
        found = soundfile.info(os.fspath(path))
    except (OSError, RuntimeError):  # libsndfile does not know the file: another library may
        return None
    if not 0 < found.frames < 1 << 62:  # streams of unknown length
        return None
    return Header(int(found.samplerate), int(found.channels), int(found.frames))
