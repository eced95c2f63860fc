"""Properties shared by all stems of a mixture: sample rate, channels, length, encoding and tags."""

from __future__ import annotations

import contextlib
import io
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import soundfile

from nmfaudio.disk.partial_file import writing
from nmfaudio.disk.signals import DeferredSignals
from nmfaudio.errors import OutputError
from nmfaudio.sound.audio import Encoding

_LIMIT = (1 << 32) - (1 << 16)  # largest number of bytes of samples in a file whose header has 32-bit sizes
_COUNTED_IN_32_BITS = ("WAV", "WAVEX", "AIFF", "AU")


@dataclass(frozen=True)
class StemFormat:
    """Properties shared by all stems of a mixture.

    Attributes
    ----------
    sample_rate, channels, length : int
        Samples per second, number of channels, and samples per channel.
    encoding : Encoding
        Encoding of the stems.
    tags : mapping of str to str
        Tags such as `artist`, which are written if the format supports them.
    """

    sample_rate: int
    channels: int
    length: int
    encoding: Encoding
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        """Size of the samples of one stem in bytes; 0 if the format compresses them."""
        width = {"DOUBLE": 8, "FLOAT": 4}.get(self.encoding.subtype, (self.encoding.bits or 0) // 8)
        return 0 if self.encoding.format == "FLAC" else self.length * self.channels * width

    @property
    def format(self) -> str:
        """Format of the files: RF64 if a WAV file would be too large."""
        large = self.encoding.format in ("WAV", "WAVEX") and self.bytes > _LIMIT
        return "RF64" if large else self.encoding.format

    @property
    def described(self) -> str:
        """Description for messages."""
        return f"{self.channels} channels at {self.sample_rate} Hz as {self.format} {self.encoding.subtype}"

    def open(self, file: Any) -> Any:
        """Return a `soundfile.SoundFile` that writes stems of this format to a file."""
        return soundfile.SoundFile(
            file, "w", self.sample_rate, self.channels, subtype=self.encoding.subtype, format=self.format
        )

    def check(self, path: Path) -> None:
        """Raise OutputError if the format does not support the sample rate, the channels or the length."""
        with writing(path, f"{self.described}: resample it, or pass another format=..."), DeferredSignals():
            self.open(io.BytesIO()).close()
        if self.format in _COUNTED_IN_32_BITS and self.bytes > _LIMIT:
            size = f"{self.bytes / 1e9:.1f} GB of samples"
            raise OutputError(
                f"{path}: {size} do not fit into {self.format}, whose limit is 4 GB: pass format='wav' "
                "(which becomes RF64), 'w64' or 'flac'"
            )

    def check_room(self, folder: Path, stems: int) -> None:
        """Raise OutputError if the disk is too full for this number of stems."""
        needed = stems * self.bytes
        with contextlib.suppress(OSError):
            free = shutil.disk_usage(folder).free
            if needed > free:
                raise OutputError(
                    f"{folder}: {stems} stems need {needed / 1e9:.2f} GB, and {free / 1e9:.2f} GB are free: "
                    "free some space, choose another folder, or pass format='flac'"
                )
