"""Tags and pictures of Ogg files (Vorbis and Opus), of which libsndfile reads only a few."""

from __future__ import annotations

import base64
import binascii
from typing import IO

from nmfaudio.sound.flac_metadata import read_comments, read_picture
from nmfaudio.sound.metadata import Picture

_HEAD = 27  # bytes of the header of a page, before its table of segments
_MOST_BYTES = 64 << 20  # of the packet that is read
_MARKS = (b"\x03vorbis", b"OpusTags")
_PICTURE_TAG = "metadata_block_picture"


def read_ogg(stream: IO[bytes]) -> tuple[dict[str, str], tuple[Picture, ...]]:
    """Return the tags and the pictures of an Ogg file."""
    packet = _second_packet(stream)
    mark = next((mark for mark in _MARKS if packet.startswith(mark)), None)
    if mark is None:
        return {}, ()
    tags = read_comments(packet[len(mark) :])
    pictures = []
    for text in tags.pop(_PICTURE_TAG, "").split("; "):
        try:
            content = base64.b64decode(text, validate=True)
        except binascii.Error:
            continue
        if content:
            pictures.append(read_picture(content))
    return tags, tuple(pictures)


def _second_packet(stream: IO[bytes]) -> bytes:
    """Return the second packet of the first stream, which contains the comments."""
    stream.seek(0)
    serial, packets, packet = None, 0, b""
    while len(packet) < _MOST_BYTES:
        head = stream.read(_HEAD)
        if len(head) < _HEAD or head[:4] != b"OggS":
            return b""
        sizes = stream.read(head[26])
        content = stream.read(sum(sizes))
        serial = head[14:18] if serial is None else serial
        if head[14:18] != serial:
            continue
        position = 0
        for size in sizes:
            packet += content[position : position + size]
            position += size
            if size < 255:  # the end of a packet
                packets += 1
                if packets == 2:
                    return packet
                packet = b""
    return b""
