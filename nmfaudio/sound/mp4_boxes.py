"""Boxes of MP4 files, as far as stem files (`.stem.mp4`) need them.

The description of the stems is a JSON text in the box `moov/udta/stem`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO

from nmfaudio.errors import OutputError

_LARGEST_TEXT = 1 << 20  # bytes of a description
_MOST_BOXES = 10_000
STEM_PATH = (b"moov", b"udta", b"stem")


@dataclass(frozen=True)
class Box:
    """A box: its type, the position of its header, the position of its content, and the position after it."""

    kind: bytes
    start: int
    content: int
    end: int


def boxes(stream: IO[bytes], start: int, end: int) -> Iterator[Box]:
    """Yield the boxes between two positions of a file."""
    for _ in range(_MOST_BOXES):
        if start + 8 > end:
            return
        stream.seek(start)
        head = stream.read(16)
        size, content = int.from_bytes(head[:4], "big"), start + 8
        if size == 1:  # the size follows in 64 bits
            size, content = int.from_bytes(head[8:16], "big"), start + 16
        elif size == 0:  # the box extends to the end
            size = end - start
        if size < content - start or start + size > end:
            return
        yield Box(head[4:8], start, content, start + size)
        start += size


def find_box(stream: IO[bytes], path: Sequence[bytes]) -> Box | None:
    """Return the first box with this path of types, or None."""
    start, end, match = 0, stream.seek(0, os.SEEK_END), None
    for kind in path:
        match = next((box for box in boxes(stream, start, end) if box.kind == kind), None)
        if match is None:
            return None
        start, end = match.content, match.end
    return match


def read_stem_text(stream: IO[bytes]) -> bytes | None:
    """Return the description of the stems in an MP4 file; None if it is not a stem file."""
    box = find_box(stream, STEM_PATH)
    if box is None or box.end - box.content > _LARGEST_TEXT:
        return None
    stream.seek(box.content)
    return stream.read(box.end - box.content).rstrip(b"\0")


def names_in(stream: IO[bytes]) -> tuple[str, ...]:
    """Return the names of the stems in an open file; its position is restored."""
    position = stream.tell()
    try:
        text = read_stem_text(stream)
        entries = json.loads(text)["stems"] if text else []
        names = [str(entry.get("name") or f"stem {number}") for number, entry in enumerate(entries, 1)]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        names = []
    finally:
        stream.seek(position)
    return _distinct(names)


def write_stem_text(stream: IO[bytes], text: bytes) -> None:
    """Add the description of the stems to an MP4 file whose last box is `moov`.

    Raises
    ------
    OutputError
        If another box follows `moov`, because then the positions of the samples would change.
    """
    moov = find_box(stream, STEM_PATH[:1])
    if moov is None or moov.end != stream.seek(0, os.SEEK_END):
        raise OutputError(
            "the MP4 file does not end in the box 'moov': the names of the stems cannot be added"
        )
    stem = _packed(b"stem", text)
    content = b""
    for box in list(boxes(stream, moov.content, moov.end)):
        stream.seek(box.start)
        whole = stream.read(box.end - box.start)
        if box.kind == b"udta":
            stem = whole[8:] + stem
        else:
            content += whole
    stream.seek(moov.start)
    stream.write(_packed(b"moov", content + _packed(b"udta", stem)))


def _packed(kind: bytes, content: bytes) -> bytes:
    return (8 + len(content)).to_bytes(4, "big") + kind + content


def _distinct(names: Sequence[str]) -> tuple[str, ...]:
    """Return names of which each occurs once: repeated ones get a number."""
    result: list[str] = []
    for name in names:
        number = 2
        distinct = name
        while distinct in result:
            distinct, number = f"{name} {number}", number + 1
        result.append(distinct)
    return tuple(result)
