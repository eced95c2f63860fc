"""ID3v2 tags (MP3 files, and the chunks `id3 ` of WAV and `ID3 ` of AIFF files): text and pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from nmfaudio.sound.metadata import Picture, decode_text

_FRAMES = {
    "TIT2": "title",
    "TPE1": "artist",
    "TALB": "album",
    "TDRC": "date",
    "TYER": "date",
    "TCON": "genre",
    "TRCK": "tracknumber",
    "TCOP": "copyright",
    "TPE2": "albumartist",
    "TCOM": "composer",
    "TBPM": "bpm",
    "TKEY": "initialkey",
    "TSRC": "isrc",
}
_OF_TAG = {tag: frame for frame, tag in _FRAMES.items() if frame != "TYER"}
_LARGEST_KIND = 20  # of a picture
_LATIN_1, _UTF_8 = 0, 3  # encodings of text, as numbered in ID3


def tag_size(head: bytes) -> int:
    """Return the size of the tag that begins with these 10 bytes; 0 if it is not a tag."""
    return 10 + _seven_bits(head[6:10]) if head[:3] == b"ID3" and len(head) >= 10 else 0


def read_tag(content: bytes) -> tuple[dict[str, str], tuple[Picture, ...]]:
    """Return text and pictures of a tag of version 2.3 or 2.4; nothing if it is of another version."""
    tags: dict[str, str] = {}
    pictures: list[Picture] = []
    for name, frame in _frames(content):
        if name in _FRAMES and frame:
            tags.setdefault(_FRAMES[name], _decoded(frame[0], frame[1:]).split("\0")[0])
        elif name == "COMM" and len(frame) > 4:
            text = _split(frame[0], frame[4:])[1]
            tags.setdefault("comment", _decoded(frame[0], text).strip("\0"))
        elif name == "APIC" and frame:
            pictures.append(_picture(frame))
    return {tag: value for tag, value in tags.items() if value}, tuple(pictures)


def write_tag(tags: Mapping[str, str], pictures: Sequence[Picture]) -> bytes:
    """Return a tag of version 2.4 with text and pictures.

    Examples
    --------
    >>> read_tag(write_tag({"artist": "Café"}, []))[0]
    {'artist': 'Café'}
    """
    text = bytes([_UTF_8])
    frames = [(_OF_TAG[tag], text + value.encode()) for tag, value in tags.items() if tag in _OF_TAG]
    if "comment" in tags:
        frames.append(("COMM", text + b"eng\0" + tags["comment"].encode()))
    for picture in pictures:
        head = (
            text
            + picture.mime.encode()
            + b"\0"
            + bytes([picture.kind if picture.kind <= _LARGEST_KIND else 0])
            + picture.description.encode()
            + b"\0"
        )
        frames.append(("APIC", head + picture.content))
    body = b"".join(name.encode() + _to_seven_bits(len(f)) + bytes(2) + f for name, f in frames)
    return b"ID3\x04\0\0" + _to_seven_bits(len(body)) + body


def _frames(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of each frame."""
    if content[:3] != b"ID3" or len(content) < 10 or content[3] not in (3, 4):
        return
    version, flags = content[3], content[5]
    end = min(len(content), tag_size(content))
    if version == 3 and flags & 0x80:
        content = content[:10] + content[10:end].replace(b"\xff\0", b"\xff")
        end = len(content)
    size_of = _seven_bits if version == 4 else lambda b: int.from_bytes(b, "big")
    offset = 10
    if flags & 0x40:  # an extended header
        offset += size_of(content[10:14]) + (4 if version == 3 else 0)
    while offset + 10 <= end and content[offset : offset + 4].isalnum():
        size = size_of(content[offset + 4 : offset + 8])
        frame = content[offset + 10 : min(offset + 10 + size, end)]
        if version == 4 and content[offset + 9] & 0x02:
            frame = frame.replace(b"\xff\0", b"\xff")
        yield content[offset : offset + 4].decode("ascii"), frame[4 if content[offset + 9] & 1 else 0 :]
        offset += 10 + size


def _picture(frame: bytes) -> Picture:
    mime, _, rest = frame[1:].partition(b"\0")
    description, image = _split(frame[0], rest[1:])
    kind = rest[0] if rest else 0
    return Picture(image, mime.decode("latin-1"), kind, _decoded(frame[0], description))


def _split(encoding: int, content: bytes) -> tuple[bytes, bytes]:
    """Split at the first terminator, which has two bytes in UTF-16."""
    if encoding not in (1, 2):
        first, _, rest = content.partition(b"\0")
        return first, rest
    for position in range(0, len(content) - 1, 2):
        if content[position : position + 2] == bytes(2):
            return content[:position], content[position + 2 :]
    return content, b""


def _decoded(encoding: int, content: bytes) -> str:
    """Decode text; Latin-1 is often declared where the text is UTF-8."""
    if encoding == _LATIN_1:
        return decode_text(content)
    name = {1: "utf-16", 2: "utf-16-be"}.get(encoding, "utf-8")
    return content.decode(name, "replace").strip("\0")


def _seven_bits(content: bytes) -> int:
    return sum((byte & 0x7F) << 7 * place for place, byte in enumerate(reversed(content)))


def _to_seven_bits(number: int) -> bytes:
    return bytes(number >> shift & 0x7F for shift in (21, 14, 7, 0))
