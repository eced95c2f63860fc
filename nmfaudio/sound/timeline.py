"""Positions in RIFF chunks: the time reference of Broadcast Wave, cue points, their labels, and loops."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable

_LARGEST_TIME = (1 << 64) - 1
_TIME_REFERENCE = 338  # offset in the chunk "bext" (EBU Tech 3285)
_VERSION, _UMID, _LOUDNESS = 346, slice(348, 412), slice(412, 422)
_NO_LOUDNESS = b"\xff\x7f" * 5  # the values that stand for "not measured"
# Halves of the time references in iXML: the lower and the upper 32 bits.
_IXML_TIMES = (
    (b"TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_LO", b"TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_HI"),
    (b"BWF_TIME_REFERENCE_LOW", b"BWF_TIME_REFERENCE_HIGH"),
)
_CUE_POINT = struct.Struct("<II4sIII")
_LOOP_HEADER, _LOOP = 36, struct.Struct("<IIIIII")

Chunks = tuple[tuple[bytes, bytes], ...]


def time_reference(bext: bytes) -> int | None:
    """Return the position of the first sample, in samples since midnight; None without a complete chunk."""
    if len(bext) < _TIME_REFERENCE + 8:
        return None
    return int.from_bytes(bext[_TIME_REFERENCE : _TIME_REFERENCE + 8], "little")


def without_measurements(bext: bytes) -> bytes:
    """Return a chunk `bext` without its unique identifier and loudness, which are wrong for stems."""
    if len(bext) < _LOUDNESS.stop:
        return bext
    version = int.from_bytes(bext[_VERSION : _VERSION + 2], "little")
    result = bytearray(bext)
    result[_UMID] = bytes(64)
    if version >= 2:
        result[_LOUDNESS] = _NO_LOUDNESS
    return bytes(result)


def shifted(chunks: Chunks, start: int, stop: int) -> Chunks:
    """Return the chunks of a passage: positions relative to its start, without those outside it."""
    result = []
    cue_points = [p for name, content in chunks if name == b"cue " for p in read_cue_points(content)]
    inside = {number: position for number, position in cue_points if start <= position < stop}
    for name, content in chunks:
        if name == b"bext" and (reference := time_reference(content)) is not None:
            moved = (reference + start & _LARGEST_TIME).to_bytes(8, "little")
            content = content[:_TIME_REFERENCE] + moved + content[_TIME_REFERENCE + 8 :]
        elif name == b"iXML":
            content = _shifted_text(content, start)
        elif name == b"cue ":
            content = write_cue_points((n, p - start) for n, p in inside.items())
        elif name == b"LIST":
            content = _labels_of(content, inside)
        elif name == b"smpl":
            content = _shifted_loops(content, start, stop)
        result.append((name, content))
    return tuple((n, c) for n, c in result if n not in (b"cue ", b"LIST") or inside)


def _shifted_text(content: bytes, start: int) -> bytes:
    """Return an iXML text whose time references are `start` samples later; each consists of two halves."""
    for low, high in _IXML_TIMES:
        matches = {tag: re.search(rb"<%s>\s*(\d+)\s*</%s>" % (tag, tag), content) for tag in (low, high)}
        low_match, high_match = matches[low], matches[high]
        if low_match is None:
            continue
        time = (int(high_match[1]) << 32 if high_match else 0) + int(low_match[1]) + start
        for tag, value in ((low, time & 0xFFFFFFFF), (high, time >> 32)):
            if matches[tag]:
                text = b"<%s>%d</%s>" % (tag, value, tag)
                content = re.sub(rb"<%s>\s*\d+\s*</%s>" % (tag, tag), text, content)
    return content


def read_cue_points(content: bytes) -> list[tuple[int, int]]:
    """Return number and position in samples of each point in the content of a chunk `cue `."""
    count = min(int.from_bytes(content[:4], "little"), (len(content) - 4) // _CUE_POINT.size)
    points = (_CUE_POINT.unpack_from(content, 4 + i * _CUE_POINT.size) for i in range(max(0, count)))
    return [(point[0], point[5]) for point in points]


def write_cue_points(points: Iterable[tuple[int, int]]) -> bytes:
    """Return the content of a chunk `cue `.

    Examples
    --------
    >>> read_cue_points(write_cue_points([(1, 1000), (2, 50000)]))
    [(1, 1000), (2, 50000)]
    """
    packed = [_CUE_POINT.pack(number, position, b"data", 0, 0, position) for number, position in points]
    return len(packed).to_bytes(4, "little") + b"".join(packed)


def sub_chunks(content: bytes) -> list[tuple[bytes, bytes]]:
    """Return names and contents of the chunks in the content of a chunk `LIST`, without its type."""
    offset, result = 4, []
    while offset + 8 <= len(content):
        size = int.from_bytes(content[offset + 4 : offset + 8], "little")
        result.append((content[offset : offset + 4], content[offset + 8 : offset + 8 + size]))
        offset += 8 + size + size % 2
    return result


def _labels_of(content: bytes, numbers: Iterable[int]) -> bytes:
    """Return the content of a chunk `LIST` of type `adtl` with the labels of some cue points."""
    wanted, result = set(numbers), content[:4]
    for name, label in sub_chunks(content):
        if int.from_bytes(label[:4], "little") in wanted:
            result += name + len(label).to_bytes(4, "little") + label + bytes(len(label) % 2)
    return result


def _shifted_loops(content: bytes, start: int, stop: int) -> bytes:
    """Return the content of a chunk `smpl` with the loops that lie inside the passage."""
    if len(content) < _LOOP_HEADER:
        return content
    count = min(int.from_bytes(content[28:32], "little"), (len(content) - _LOOP_HEADER) // _LOOP.size)
    loops = [_LOOP.unpack_from(content, _LOOP_HEADER + i * _LOOP.size) for i in range(count)]
    inside = [loop for loop in loops if start <= loop[2] <= loop[3] < stop]
    moved = [_LOOP.pack(*loop[:2], loop[2] - start, loop[3] - start, *loop[4:]) for loop in inside]
    rest = content[_LOOP_HEADER + count * _LOOP.size :]
    return content[:28] + len(moved).to_bytes(4, "little") + content[32:36] + b"".join(moved) + rest
