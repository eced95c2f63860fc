"""Metadata blocks of FLAC files: comments, pictures, and chunks of the WAV file that was encoded."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any

from nmfaudio.sound.metadata import Picture, decode_text
from nmfaudio.sound.riff import packed

AFTER_STREAM_INFO = 42  # offset of the second block
_PADDING, _APPLICATION, _COMMENTS, _CUE_SHEET, _PICTURE = 1, 2, 4, 5, 6
_LAST = 0x80  # flag of the last block
_VENDOR = b"nmfaudio"
_LARGEST_SIZE = 0xFFFFFFFF
_EXTENSIBLE, _PCM_GUID = b"\xfe\xff", bytes.fromhex("0100000000001000800000aa00389b71")
_MASK_TAG = "WAVEFORMATEXTENSIBLE_CHANNEL_MASK"


def blocks(stream: IO[bytes]) -> Iterator[tuple[int, int, bytes]]:
    """Yield offset, type and content of each block of a FLAC file."""
    stream.seek(0)
    if stream.read(4) != b"fLaC":
        return
    offset, last = 4, False
    while not last:
        stream.seek(offset)
        head = stream.read(4)
        if len(head) < 4:
            return
        last = bool(head[0] & _LAST)
        size = int.from_bytes(head[1:], "big")
        yield offset, head[0] & ~_LAST, stream.read(size)
        offset += 4 + size


def read_blocks(
    stream: IO[bytes],
) -> tuple[dict[str, str], tuple[tuple[bytes, bytes], ...], int | None, tuple[Picture, ...]]:
    """Return the tags, the chunks of the original WAV file, the channel mask and the pictures."""
    tags: dict[str, str] = {}
    chunks, pictures, mask = [], [], None
    for _, kind, content in blocks(stream):
        if kind == _COMMENTS:
            tags |= read_comments(content)
        elif kind == _PICTURE:
            pictures.append(read_picture(content))
        elif kind == _APPLICATION and content[:4] == b"riff" and len(content) >= 12:
            size = int.from_bytes(content[8:12], "little")
            chunks.append((content[4:8], content[12 : 12 + size]))
    try:
        mask = int(tags.pop(_MASK_TAG.lower(), ""), 0)
    except ValueError:
        mask = None
    return tags, tuple(chunks), mask, tuple(pictures)


def write_blocks(
    tags: Mapping[str, str],
    chunks: Sequence[tuple[bytes, bytes]],
    channel_mask: int | None,
    pictures: Sequence[Picture],
    sample_bytes: int = 0,
) -> bytes:
    """Return blocks to insert after the stream information.

    Parameters
    ----------
    tags : mapping of str to str
        Comments.
    chunks : sequence of (bytes, bytes)
        Chunks of a WAV file with the same samples; see `foreign_chunks`.
    channel_mask : int or None
        Speaker positions.
    pictures : sequence of Picture
        Pictures.
    sample_bytes : int
        Size of the samples in such a WAV file.
    """
    comments = [f"{tag.upper()}={value}" for tag, value in tags.items()]
    if channel_mask is not None:
        comments.append(f"{_MASK_TAG}=0x{channel_mask:04X}")
    entries = [_VENDOR, *(comment.encode() for comment in comments)]
    sizes = [len(entry).to_bytes(4, "little") + entry for entry in entries]
    content = sizes[0] + len(comments).to_bytes(4, "little") + b"".join(sizes[1:])
    result = _block(_COMMENTS, content)
    result += b"".join(_block(_PICTURE, _write_picture(picture)) for picture in pictures)
    return result + b"".join(
        _block(_APPLICATION, b"riff" + part) for part in _wave_parts(chunks, sample_bytes)
    )


def _wave_parts(chunks: Sequence[tuple[bytes, bytes]], sample_bytes: int) -> list[bytes]:
    """Return the parts of a WAV file with these chunks: its header, its chunks, the header of its samples."""
    if not chunks:
        return []
    parts = [packed(name, content) for name, content in chunks]
    size = 4 + sum(len(part) for part in parts) + 8 + sample_bytes + sample_bytes % 2
    header = b"RIFF" + min(size, _LARGEST_SIZE).to_bytes(4, "little") + b"WAVE"
    return [header, *parts, b"data" + min(sample_bytes, _LARGEST_SIZE).to_bytes(4, "little")]


def foreign_chunks(
    chunks: Sequence[tuple[bytes, bytes]], stem_format: Any, channel_mask: int
) -> list[tuple[bytes, bytes]]:
    """Return the chunks of a WAV file with these samples, as `flac --keep-foreign-metadata` needs them."""
    width = (stem_format.bits or 16) // 8
    fields = (
        1,
        stem_format.channels,
        stem_format.sample_rate,
        stem_format.sample_rate * stem_format.channels * width,
    )
    fmt = struct.pack("<HHIIHH", *fields, stem_format.channels * width, 8 * width)
    if channel_mask:
        fmt = _EXTENSIBLE + fmt[2:] + struct.pack("<HHI", 22, 8 * width, channel_mask) + _PCM_GUID
    return [(b"fmt ", fmt), *chunks]


def hide_comments(stream: IO[bytes], inserted: int) -> None:
    """Turn the comments that libFLAC has written after `inserted` bytes into padding: only one is allowed."""
    for offset, kind, content in list(blocks(stream)):
        if kind == _COMMENTS and offset >= AFTER_STREAM_INFO + inserted:
            stream.seek(offset)
            flag = stream.read(1)[0] & _LAST
            stream.seek(offset)
            stream.write(bytes([flag | _PADDING]) + len(content).to_bytes(3, "big") + bytes(len(content)))


def fits(content: bytes) -> bool:
    """Return whether a block can hold this content."""
    return len(content) < (1 << 24) - 64


def _block(kind: int, content: bytes) -> bytes:
    return bytes([kind]) + len(content).to_bytes(3, "big") + content


def read_comments(content: bytes) -> dict[str, str]:
    """Return the comments by lower-case name; several values of a name are joined by semicolons."""
    offset = 4 + int.from_bytes(content[:4], "little")
    count = int.from_bytes(content[offset : offset + 4], "little")
    offset += 4
    result: dict[str, str] = {}
    for _ in range(count):
        if offset + 4 > len(content):
            break
        size = int.from_bytes(content[offset : offset + 4], "little")
        name, _, value = decode_text(content[offset + 4 : offset + 4 + size]).partition("=")
        key = name.lower()
        if value:
            result[key] = f"{result[key]}; {value}" if key in result else value
        offset += 4 + size
    return result


def read_picture(content: bytes) -> Picture:
    """Return the picture in the content of a block."""
    fields, offset = [], 4
    for _ in range(2):
        size = int.from_bytes(content[offset : offset + 4], "big")
        fields.append(content[offset + 4 : offset + 4 + size])
        offset += 4 + size
    image = content[offset + 20 :]
    kind = int.from_bytes(content[:4], "big")
    return Picture(image, fields[0].decode("ascii", "replace"), kind, decode_text(fields[1]))


def _write_picture(picture: Picture) -> bytes:
    fields = [picture.mime.encode(), picture.description.encode()]
    texts = b"".join(len(text).to_bytes(4, "big") + text for text in fields)
    size = len(picture.content).to_bytes(4, "big")
    return picture.kind.to_bytes(4, "big") + texts + bytes(16) + size + picture.content
