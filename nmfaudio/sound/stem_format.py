"""What all stems of one mixture have in common: sample rate, channels, length, encoding and tags."""

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

_LIMIT = (1 << 32) - (1 << 16)  # bytes of samples that 32-bit sizes in a header can count


_COUNTED_IN_32_BITS = ("WAV", "WAVEX", "AIFF", "AU")


@dataclass(frozen=True)
class StemFormat:
    """What all stems of a mixture have in common.

    Attributes
    ----------
    sample_rate, channels, length : int
        Of the mixture.
    encoding : Encoding
        Of the stems.
    tags : mapping of str to str
        Such as `artist`; written where the format has a place for them.
    """

    sample_rate: int
    channels: int
    length: int
    encoding: Encoding
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        """Size of one stem's samples; 0 where the format compresses them."""
        width = {"DOUBLE": 8, "FLOAT": 4}.get(self.encoding.subtype, (self.encoding.bits or 0) // 8)
        return 0 if self.encoding.format == "FLAC" else self.length * self.channels * width

    @property
    def format(self) -> str:
        """The container: RF64 where a WAV file would be too large."""
        large = self.encoding.format in ("WAV", "WAVEX") and self.bytes > _LIMIT
        return "RF64" if large else self.encoding.format

    @property
    def described(self) -> str:
        """What it is, for messages."""
        return f"{self.channels} channels at {self.sample_rate} Hz as {self.format} {self.encoding.subtype}"

    def open(self, file: Any) -> Any:
        """Return a libsndfile writer of this form into a file."""
        return soundfile.SoundFile(
            file, "w", self.sample_rate, self.channels, subtype=self.encoding.subtype, format=self.format
        )

    def check(self, path: Path) -> None:
        """Raise OutputError where the format does not know such channels, rates or lengths."""
        with writing(path, f"{self.described}: resample it, or use another --format"), DeferredSignals():
            self.open(io.BytesIO()).close()
        if self.format in _COUNTED_IN_32_BITS and self.bytes > _LIMIT:
            size = f"{self.bytes / 1e9:.1f} GB of samples"
            raise OutputError(
                f"{path}: {size} do not fit into {self.format}, which counts 4 GB: use --format wav (which "
                "becomes RF64), w64 or flac"
            )

    def check_room(self, folder: Path, stems: int) -> None:
        """Raise OutputError where so many stems surely do not fit on the disk."""
        needed = stems * self.bytes
        with contextlib.suppress(OSError):
            free = shutil.disk_usage(folder).free
            if needed > free:
                raise OutputError(
                    f"{folder}: {stems} stems need {needed / 1e9:.2f} GB, and {free / 1e9:.2f} GB are free: "
                    "make room, choose another folder, or use --format flac"
                )
