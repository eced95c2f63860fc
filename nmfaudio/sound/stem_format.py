"""Properties shared by all stems of a mixture: sample rate, channels, length, encoding and tags."""

from __future__ import annotations

import contextlib
import io
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from nmfaudio.disk.signals import DeferredSignals
from nmfaudio.errors import OutputError
from nmfaudio.sound.audio import Encoding
from nmfaudio.sound.encoding import LOSSLESS_FORMATS, crash_reason, stem_encoding

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

    @property
    def unsupported(self) -> str:
        """The reason why the format does not support the sample rate or the channels; empty if it does."""
        if reason := crash_reason(self.encoding, self.sample_rate, self.channels):
            return reason
        try:
            with DeferredSignals():
                written = self._trial()
        except (OSError, RuntimeError, TypeError, ValueError, AssertionError) as error:
            return str(getattr(error, "error_string", error)).strip().rstrip(".")
        if written != (self.sample_rate, self.channels):
            return f"the file would declare {written[0]} Hz and {written[1]} channels"
        return ""

    def _trial(self) -> tuple[int, int]:
        """Write one sample to memory; return the sample rate and the channels that the file declares."""
        content = io.BytesIO()
        with self.open(content) as file:
            file.write(np.zeros((1, self.channels)))  # the FLAC encoder checks the sample rate here
        content.seek(0)
        with soundfile.SoundFile(content) as file:
            file.read(1)  # fails for DWVW, which libsndfile 1.2 cannot write although it offers to
            return int(file.samplerate), int(file.channels)

    @property
    def alternatives(self) -> tuple[str, ...]:
        """Lossless formats that support the sample rate and the channels."""
        encodings = {name: stem_encoding(self.encoding, format=name) for name in LOSSLESS_FORMATS}
        return tuple(name for name, e in encodings.items() if not replace(self, encoding=e).unsupported)

    def open(self, file: Any) -> Any:
        """Return a `soundfile.SoundFile` that writes stems of this format to a file."""
        return soundfile.SoundFile(
            file, "w", self.sample_rate, self.channels, subtype=self.encoding.subtype, format=self.format
        )

    def check(self, path: Path) -> None:
        """Raise OutputError if the format does not support the sample rate, the channels or the length."""
        if reason := self.unsupported:
            others = ", ".join(repr(name) for name in self.alternatives)
            raise OutputError(
                f"{path}: cannot be written with {self.described} ({reason}): resample it, or pass another "
                f"format=...; these formats support it: {others}"
            )
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
