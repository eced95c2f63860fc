"""Properties shared by all stems of a mixture: sample rate, channels, length, encoding and tags."""

from __future__ import annotations

import contextlib
import io
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from nmfaudio.disk.signals import DeferredSignals
from nmfaudio.errors import OutputError
from nmfaudio.sound.encoding import LOSSLESS_FORMATS, limit_reason, stem_encoding
from nmfaudio.sound.metadata import CHUNK_NAMES, Metadata
from nmfaudio.sound.metadata_reading import read_metadata
from nmfaudio.sound.source import Encoding
from nmfaudio.sound.stem_writer import StemWriter, has_layout

_LIMIT = (1 << 32) - (1 << 16)  # largest number of bytes of samples in a file whose header has 32-bit sizes
_COUNTED_IN_32_BITS = ("WAV", "WAVEX", "AIFF", "AU")

# Losses that the user is warned of: speakers, and what places the samples on a timeline.
_IMPORTANT = (
    "speakers",
    *(CHUNK_NAMES[n] for n in (b"bext", b"cue ", b"LIST", b"smpl")),
)


@dataclass(frozen=True)
class StemFormat:
    """Properties shared by all stems of a mixture.

    Attributes
    ----------
    sample_rate, channels, length : int
        Samples per second, number of channels, and samples per channel.
    encoding : Encoding
        Encoding of the stems.
    metadata : Metadata
        Metadata of the mixture, which stems inherit as far as their format supports it.
    """

    sample_rate: int
    channels: int
    length: int
    encoding: Encoding
    metadata: Metadata = field(default_factory=Metadata)

    @property
    def bytes(self) -> int:
        """Size of the samples of one stem in bytes; 0 if the format compresses them."""
        return 0 if self.encoding.format == "FLAC" else self.bytes_as_wav

    @property
    def bytes_as_wav(self) -> int:
        """Size of the samples of one stem in an uncompressed file, in bytes."""
        width = {"DOUBLE": 8, "FLOAT": 4}.get(self.encoding.subtype, (self.encoding.bits or 0) // 8)
        return self.length * self.channels * width

    @property
    def bits(self) -> int | None:
        """Number of bits of an integer sample; None if samples are not integers."""
        return self.encoding.bits

    @property
    def format(self) -> str:
        """Format of the files: RF64 if a WAV file would be too large, WAVEX if speakers are declared."""
        if self.encoding.format not in ("WAV", "WAVEX"):
            return self.encoding.format
        if self.bytes + self.metadata.size > _LIMIT:
            return "RF64"
        extensible = soundfile.check_format("WAVEX", self.encoding.subtype)
        return "WAVEX" if extensible and has_layout(self.metadata, self.channels) else self.encoding.format

    @cached_property
    def losses(self) -> tuple[str, ...]:
        """Names of what the metadata of the mixture contains and stems in this format lack."""
        if self.metadata == Metadata():
            return ()
        readable = self._readable(self.inherited) or Metadata()
        return tuple(_differences(self.metadata.of_stem(), readable, self.channels))

    @cached_property
    def inherited(self) -> Metadata:
        """Metadata of the stems, without damaged parts that would make the files unreadable."""
        metadata = self.metadata.of_stem()
        if metadata == Metadata() or self._readable(metadata) is not None:
            return metadata
        chunks = tuple(c for c in metadata.chunks if self._readable(Metadata(chunks=(c,))) is not None)
        reduced = (
            replace(metadata, chunks=chunks),
            replace(metadata, chunks=chunks, pictures=()),
            replace(metadata, chunks=(), pictures=()),
            Metadata(chunks=chunks),
        )
        return next((m for m in reduced if self._readable(m) is not None), Metadata())

    def _readable(self, metadata: Metadata) -> Metadata | None:
        """Write one sample with metadata to memory; return what can be read of it, or None if nothing can."""
        if limit_reason(self.encoding, self.sample_rate, self.channels):
            return None
        content = io.BytesIO()
        try:
            with DeferredSignals():
                writer = StemWriter(content, self, metadata)
                writer.write(np.zeros((1, self.channels)))
                writer.close()
                content.seek(0)
                with soundfile.SoundFile(content) as file:
                    return read_metadata(content, file)
        except (OSError, RuntimeError, TypeError, ValueError, AssertionError):
            return None

    @property
    def warnings(self) -> tuple[str, ...]:
        """Loss of speakers and of positions on the timeline, which the user should know."""
        lost = [name for name in self.losses if name.startswith(_IMPORTANT)]
        if not lost:
            return ()
        return (
            f"{self.format} files cannot contain {', '.join(lost)} of the mixture: the stems do not have it",
        )

    @property
    def described(self) -> str:
        """Description for messages."""
        channels = "1 channel" if self.channels == 1 else f"{self.channels} channels"
        return f"{channels} at {self.sample_rate} Hz as {self.format} {self.encoding.subtype}"

    @property
    def unsupported(self) -> str:
        """The reason why the format does not support the sample rate or the channels; empty if it does."""
        if reason := limit_reason(self.encoding, self.sample_rate, self.channels):
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

    def check_free_space(self, folder: Path, stems: int) -> None:
        """Raise OutputError if the disk is too full for this number of stems."""
        needed = stems * self.bytes
        with contextlib.suppress(OSError):
            free = shutil.disk_usage(folder).free
            if needed > free:
                raise OutputError(
                    f"{folder}: {stems} stems need {needed / 1e9:.2f} GB, and {free / 1e9:.2f} GB are free: "
                    "free some space, choose another folder, or pass format='flac'"
                )


def _differences(metadata: Metadata, readable: Metadata, channels: int) -> Iterator[str]:
    """Yield the names of what is in `metadata` and not in `readable`."""
    if has_layout(metadata, channels) and metadata.channel_mask != readable.channel_mask:
        yield f"speakers ({metadata.speakers})"
    readable_chunks = dict(readable.chunks)
    yield from (
        CHUNK_NAMES[name]
        for name, content in metadata.chunks
        if readable_chunks.get(name, b"").rstrip(b"\0") != content.rstrip(b"\0")
    )
    for tag, value in metadata.tags.items():
        if readable.tags.get(tag) != value:
            yield f"tag {tag!r}"
    if len(readable.pictures) < len(metadata.pictures):
        yield "pictures"
    yield from metadata.not_read
