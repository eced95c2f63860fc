"""Chunks of AIFF files that have a counterpart in WAV files: markers and speaker positions."""

from __future__ import annotations

import struct
from collections.abc import Iterable

from nmfaudio.sound.timeline import read_cue_points, sub_chunks, write_cue_points

TEXT_CHUNKS = {b"NAME": "title", b"AUTH": "artist", b"ANNO": "comment", b"(c) ": "copyright"}
_USE_BITMAP = 0x10000  # the layout is a channel mask, whose bits are those of a WAV file
_MOST_MARKERS = 0xFFFF


def read_markers(content: bytes) -> list[tuple[bytes, bytes]]:
    """Return the markers of a chunk `MARK` as the chunks `cue ` and `LIST` of a WAV file."""
    count, offset = int.from_bytes(content[:2], "big"), 2
    points, labels = [], b"adtl"
    for _ in range(count):
        if offset + 7 > len(content):
            break
        number, position, size = struct.unpack_from(">HIB", content, offset)
        name = content[offset + 7 : offset + 7 + size]
        points.append((number, position))
        label = number.to_bytes(4, "little") + name + b"\0"
        labels += b"labl" + len(label).to_bytes(4, "little") + label + bytes(len(label) % 2)
        offset += 7 + size + (1 + size) % 2
    return [(b"cue ", write_cue_points(points)), (b"LIST", labels)] if points else []


def write_markers(chunks: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return the content of a chunk `MARK` with the cue points and their labels; empty without cue points.

    Examples
    --------
    >>> read_cue_points(dict(read_markers(write_markers([(b"cue ", write_cue_points([(1, 50)]))])))[b"cue "])
    [(1, 50)]
    """
    points, labels = [], {}
    for name, content in chunks:
        if name == b"cue ":
            points = read_cue_points(content)
        elif name == b"LIST":
            texts = (label for kind, label in sub_chunks(content) if kind == b"labl")
            labels = {int.from_bytes(t[:4], "little"): t[4:].rstrip(b"\0")[:255] for t in texts}
    points = [(number, position) for number, position in points if 0 < number < 1 << 15][:_MOST_MARKERS]
    result = len(points).to_bytes(2, "big")
    for number, position in points:
        label = labels.get(number, b"")
        result += struct.pack(">HIB", number, position, len(label)) + label + bytes((1 + len(label)) % 2)
    return result if points else b""


def read_layout(content: bytes) -> int | None:
    """Return the channel mask of a chunk `CHAN` (AIFF) or `chan` (CAF), if it contains a mask."""
    uses_bitmap = int.from_bytes(content[:4], "big") == _USE_BITMAP
    return int.from_bytes(content[4:8], "big") if uses_bitmap and len(content) >= 8 else None


def write_layout(channel_mask: int) -> bytes:
    """Return the content of a chunk `CHAN` or `chan`.

    Examples
    --------
    >>> read_layout(write_layout(0x60F)) == 0x60F
    True
    """
    return struct.pack(">III", _USE_BITMAP, channel_mask, 0)
