"""Write the samples and the metadata of one stem.

libsndfile writes samples and a few tags, but no other metadata. These are inserted near the start of the file
while libsndfile writes it, and the sizes in its header are corrected at the end.
"""

from __future__ import annotations

import contextlib
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nmfaudio.sound import aiff, flac_metadata, id3, ogg_channels
from nmfaudio.sound.inserting_file import InsertingFile, Insertion, WritableFile
from nmfaudio.sound.metadata import Metadata
from nmfaudio.sound.metadata_reading import STANDARD_TAGS
from nmfaudio.sound.riff import chunk_list, packed


class WriterSettings(Protocol):
    """The properties of a `StemFormat` that are used here."""

    @property
    def format(self) -> str:
        """File format, named as in libsndfile."""

    @property
    def sample_rate(self) -> int:
        """Samples per second."""

    @property
    def channels(self) -> int:
        """Number of channels."""

    @property
    def length(self) -> int:
        """Samples per channel."""

    @property
    def bits(self) -> int | None:
        """Number of bits of an integer sample."""

    @property
    def bytes_as_wav(self) -> int:
        """Size of the samples in an uncompressed file, in bytes."""

    def open(self, file: Any) -> Any:
        """Return a `soundfile.SoundFile` that writes to a file."""


class StemWriter:
    """Writes samples and metadata to a file.

    Parameters
    ----------
    file : WritableFile
        Empty file. It is not closed.
    stem_format : StemFormat
        Format of the file.
    metadata : Metadata
        Metadata to write, as far as the format supports it.
    """

    def __init__(self, file: WritableFile, stem_format: WriterSettings, metadata: Metadata) -> None:
        self._file, self._stem_format, self._metadata = file, stem_format, metadata
        self._insertion = insertion_for(metadata, stem_format)
        self._order = ogg_channels.to_ogg(stem_format.channels) if stem_format.format == "OGG" else None
        content = self._insertion.content
        self._writer = stem_format.open(InsertingFile(file, self._insertion) if content else file)
        if not self._insertion.has_tags:
            for tag, value in metadata.tags.items():
                if tag in STANDARD_TAGS:
                    with contextlib.suppress(RuntimeError):  # the format does not support this tag
                        setattr(self._writer, tag, value)

    def write(self, values: NDArray[Any]) -> None:
        """Append values (samples, channels): integers of 32 bits, or floats."""
        self._writer.write(values if self._order is None else np.ascontiguousarray(values[:, self._order]))

    def close(self) -> None:
        """Complete the file."""
        if not self._writer.closed:
            self._writer.close()
            _complete(self._file, self._stem_format.format, self._metadata, len(self._insertion.content))

    def discard(self) -> None:
        """Close the writer of libsndfile; the file stays incomplete."""
        self._writer.close()


def insertion_for(metadata: Metadata, stem_format: WriterSettings) -> Insertion:
    """Return the bytes that libsndfile does not write.

    Parameters
    ----------
    metadata : Metadata
        Metadata to write.
    stem_format : StemFormat
        Format of the file.
    """
    format = stem_format.format
    layout = (metadata.channel_mask or 0) if has_layout(metadata, stem_format.channels) else 0
    pictures = [picture for picture in metadata.pictures if flac_metadata.fits(picture.content)]
    chunks = [(name, content) for name, content in metadata.chunks if flac_metadata.fits(content)]
    further_tags = set(metadata.tags) - set(STANDARD_TAGS)
    tag = id3.write_tag(metadata.tags, pictures) if pictures or further_tags else b""
    if format == "FLAC":
        if not (pictures or chunks or further_tags or layout):
            return Insertion()
        foreign = flac_metadata.foreign_chunks(chunks, stem_format, layout) if chunks else []
        content = flac_metadata.write_blocks(
            metadata.tags, foreign, layout or None, pictures, stem_format.bytes_as_wav
        )
        return Insertion(content, flac_metadata.AFTER_STREAM_INFO, True)
    if format == "MP3":
        return Insertion(tag, 0, True) if tag else Insertion()
    if format in ("WAV", "WAVEX", "RF64"):
        content = b"".join(packed(*_even(name, chunk)) for name, chunk in chunks) + (
            packed(b"id3 ", tag) if tag else b""
        )
        return Insertion(content, 48 if format == "RF64" else 12)
    if format == "AIFF":
        markers = aiff.write_markers(chunks)
        content = packed(b"CHAN", aiff.write_layout(layout), "big") if layout else b""
        content += packed(b"MARK", markers, "big") if markers else b""
        return Insertion(content + (packed(b"ID3 ", tag, "big") if tag else b""), 12)
    if format == "CAF" and layout:
        content = aiff.write_layout(layout)
        return Insertion(b"chan" + len(content).to_bytes(8, "big") + content, 52)
    return Insertion()


def has_layout(metadata: Metadata, channels: int) -> bool:
    """Return whether the file declares speakers other than the usual ones of mono and stereo."""
    usual = {1: 0x4, 2: 0x3}
    return metadata.channel_mask not in (None, 0, usual.get(channels))


def _even(name: bytes, content: bytes) -> tuple[bytes, bytes]:
    """Return a chunk; `bext` gets an even size, because libsndfile misreads an odd one in RF64 files."""
    return name, content + bytes(len(content) % 2) if name == b"bext" else content


def _complete(file: WritableFile, format: str, metadata: Metadata, inserted: int) -> None:
    """Correct the sizes in the header, and the speakers."""
    if format == "FLAC" and inserted:
        flac_metadata.hide_comments(file, inserted)  # type: ignore[arg-type]
    elif format in ("WAV", "WAVEX", "RF64", "AIFF"):
        position, width = (20, 8) if format == "RF64" else (4, 4)
        order = "big" if format == "AIFF" else "little"
        if inserted:
            _add(file, position, width, inserted, order)
        if metadata.channel_mask is not None and format in ("WAVEX", "RF64"):
            _set_mask(file, metadata.channel_mask)


def _add(file: WritableFile, position: int, width: int, amount: int, order: Any) -> None:
    file.seek(position)
    size = int.from_bytes(file.read(width), order) + amount
    file.seek(position)
    file.write((size % (1 << 8 * width)).to_bytes(width, order))  # too large only after an error of writing


def _set_mask(file: WritableFile, mask: int) -> None:
    """Write the channel mask into an extensible format chunk."""
    for chunk in chunk_list(file):  # type: ignore[arg-type]
        if chunk.name == b"fmt " and chunk.size >= 24:
            file.seek(chunk.offset + 20)
            file.write(mask.to_bytes(4, "little"))
            return
