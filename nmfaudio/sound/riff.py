"""Chunks of RIFF files (WAV, RF64, BW64) and of AIFF files, which have the same structure."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import IO, Literal

_MOST_CHUNKS = 4096
_UNKNOWN_SIZE = 0xFFFFFFFF
ByteOrder = Literal["big", "little"]


@dataclass(frozen=True)
class Chunk:
    """A chunk of a file.

    Attributes
    ----------
    name : bytes
        Identifier of four bytes.
    offset : int
        Position of the content in the file.
    size : int
        Size of the content in bytes, as the header declares it.
    header : bytes
        The identifier and the size, as they are in the file.
    """

    name: bytes
    offset: int
    size: int
    header: bytes

    def read(self, stream: IO[bytes]) -> bytes:
        """Return the content, with a padding byte if the size is odd."""
        stream.seek(self.offset)
        return stream.read(self.size + self.size % 2)


def byte_order(head: bytes) -> ByteOrder | None:
    """Return the byte order of a file with these first 12 bytes, or None if it does not consist of chunks.

    Examples
    --------
    >>> byte_order(b"RIFF" + bytes(4) + b"WAVE")
    'little'
    """
    if head[:4] in (b"RIFF", b"RF64", b"BW64") and head[8:12] == b"WAVE":
        return "little"
    if (head[:4] == b"RIFX" and head[8:12] == b"WAVE") or (
        head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC")
    ):
        return "big"
    return None


def chunk_list(stream: IO[bytes]) -> list[Chunk]:
    """Return the chunks of a file up to the first one that lies outside the file."""
    stream.seek(0)
    order = byte_order(stream.read(12))
    if order is None:
        return []
    end, offset, data_size = stream.seek(0, os.SEEK_END), 12, None
    chunks: list[Chunk] = []
    while offset + 8 <= end and len(chunks) < _MOST_CHUNKS:
        stream.seek(offset)
        header = stream.read(8)
        size = int.from_bytes(header[4:], order)
        if header[:4] == b"ds64":
            data_size = int.from_bytes(stream.read(16)[8:], "little")
        elif header[:4] == b"data" and size == _UNKNOWN_SIZE and data_size is not None:
            size = data_size
        chunks.append(Chunk(header[:4], offset + 8, size, header))
        offset += 8 + size + size % 2
    return chunks


def ends_well(stream: IO[bytes], start: int, end: int) -> bool:
    """Return whether the bytes from `start` to `end` are a sequence of complete chunks, or nothing."""
    offset = start
    while offset + 8 <= end:
        stream.seek(offset)
        header = stream.read(8)
        if not (header[:4].isascii() and header[:4].decode("ascii").isprintable()):
            return False
        size = int.from_bytes(header[4:], "little")
        offset += 8 + size + size % 2
    return offset in (end, end + 1)


def packed(name: bytes, content: bytes, order: ByteOrder = "little") -> bytes:
    r"""Return a chunk as bytes, with its header and padding.

    Examples
    --------
    >>> packed(b"cue ", b"abc")
    b'cue \x03\x00\x00\x00abc\x00'
    """
    return name + len(content).to_bytes(4, order) + content + bytes(len(content) % 2)
