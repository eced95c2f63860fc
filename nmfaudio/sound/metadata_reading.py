"""Read what a file says about its samples, format by format."""

from __future__ import annotations

from typing import IO, Any

from nmfaudio.sound import aiff, flac_metadata, id3, ogg_channels
from nmfaudio.sound.metadata import CHUNK_NAMES, Metadata, Picture, decode_text
from nmfaudio.sound.ogg_comments import read_ogg
from nmfaudio.sound.riff import Chunk, chunk_list
from nmfaudio.sound.timeline import sub_chunks

# Tags that libsndfile reads and writes.
STANDARD_TAGS = (
    "title", "artist", "album", "date", "genre", "tracknumber", "comment", "copyright", "license",
)  # fmt: skip
_INFO_TAGS = {
    b"INAM": "title",
    b"IART": "artist",
    b"IPRD": "album",
    b"ICRD": "date",
    b"IGNR": "genre",
    b"ITRK": "tracknumber",
    b"IPRT": "tracknumber",
    b"ICMT": "comment",
    b"ICOP": "copyright",
}
# Tags that describe the encoder or the level of the mixture, which do not hold for stems.
_OF_THE_MIXTURE = ("replaygain", "r128", "encoder", "encoded", "encoding", "itunnorm", "itunsmpb", "software")
# Chunks that describe the encoding, not the samples.
_TECHNICAL = {
    b"fmt ",
    b"data",
    b"fact",
    b"PEAK",
    b"ds64",
    b"JUNK",
    b"junk",
    b"PAD ",
    b"FLLR",
    b"levl",
    b"bxml",
}
_LARGEST = 64 << 20  # bytes of a chunk that is read
_FORMAT_EXTENSIBLE = 0xFFFE


def read_metadata(stream: IO[bytes], decoder: Any) -> Metadata:
    """Return what a file says about its samples.

    Parameters
    ----------
    stream : binary file
        File to read. Its position is restored, because the decoder reads from the same descriptor.
    decoder : soundfile.SoundFile or Decoder
        The opened file.
    """
    if hasattr(decoder, "metadata"):
        metadata: Metadata = decoder.metadata
        return metadata
    tags = {tag: value for tag in STANDARD_TAGS if (value := getattr(decoder, tag, ""))}
    position = stream.tell()
    try:
        return _of_format(stream, tags, decoder.channels)
    finally:
        stream.seek(position)


def _of_format(stream: IO[bytes], tags: dict[str, str], channels: int) -> Metadata:
    stream.seek(0)
    head = stream.read(12)
    if head[:4] in (b"RIFF", b"RF64", b"BW64"):
        return _of_wave(stream, tags)
    if head[:4] == b"fLaC":
        further_tags, chunks, mask, pictures = flac_metadata.read_blocks(stream)
        known = tuple((name, content) for name, content in chunks if name in CHUNK_NAMES)
        return Metadata(_of_stems(tags | further_tags), known, mask, pictures)
    if head[:4] == b"FORM":
        return _of_aiff(stream, tags)
    if head[:3] == b"ID3":
        stream.seek(0)
        further_tags, pictures = id3.read_tag(stream.read(id3.tag_size(head)))
        return Metadata(_of_stems(tags | further_tags), pictures=pictures)
    if head[:4] == b"caff":
        return Metadata(_of_stems(tags), channel_mask=_mask_of_caf(stream))
    if head[:4] != b"OggS":
        return Metadata(_of_stems(tags))
    further_tags, pictures = read_ogg(stream)
    mask = ogg_channels.channel_mask(channels)
    return Metadata(_of_stems(tags | further_tags), channel_mask=mask, pictures=pictures)


def _of_wave(stream: IO[bytes], tags: dict[str, str]) -> Metadata:
    chunks, not_read, mask = [], [], None
    pictures: tuple[Picture, ...] = ()
    for chunk in chunk_list(stream):
        content = _content(stream, chunk)
        if chunk.name == b"fmt ":
            mask = _mask_of_format(content)
        elif chunk.name == b"LIST" and content[:4] == b"INFO":
            texts = {_INFO_TAGS[n]: decode_text(c) for n, c in sub_chunks(content) if n in _INFO_TAGS}
            tags = tags | {tag: text for tag, text in texts.items() if text}
        elif chunk.name in (b"id3 ", b"ID3 "):
            further_tags, pictures = id3.read_tag(content)
            tags = further_tags | tags
        elif chunk.name in CHUNK_NAMES and content and (chunk.name != b"LIST" or content[:4] == b"adtl"):
            chunks.append((chunk.name, content))
        elif chunk.name not in _TECHNICAL and chunk.size:
            not_read.append(f"chunk {chunk.name.decode('latin-1')!r}")
    return Metadata(_of_stems(tags), tuple(chunks), mask, pictures, tuple(not_read))


def _of_aiff(stream: IO[bytes], tags: dict[str, str]) -> Metadata:
    chunks: list[tuple[bytes, bytes]] = []
    mask = None
    pictures: tuple[Picture, ...] = ()
    for chunk in chunk_list(stream):
        content = _content(stream, chunk)
        if chunk.name in aiff.TEXT_CHUNKS and (text := decode_text(content)):
            tags = tags | {aiff.TEXT_CHUNKS[chunk.name]: text}
        elif chunk.name == b"MARK":
            chunks += aiff.read_markers(content)
        elif chunk.name == b"CHAN":
            mask = aiff.read_layout(content)
        elif chunk.name == b"ID3 ":
            further_tags, pictures = id3.read_tag(content)
            tags = further_tags | tags
    return Metadata(_of_stems(tags), tuple(chunks), mask, pictures)


def _content(stream: IO[bytes], chunk: Chunk) -> bytes:
    """Return the content of a chunk; nothing of the samples and of chunks that are too large."""
    if chunk.name in (b"data", b"SSND") or chunk.size > _LARGEST:
        return b""
    return chunk.read(stream)[: chunk.size]


def _mask_of_format(content: bytes) -> int | None:
    """Return the channel mask of a format chunk, if it has one."""
    extensible = int.from_bytes(content[:2], "little") == _FORMAT_EXTENSIBLE and len(content) >= 24
    return int.from_bytes(content[20:24], "little") if extensible else None


def _mask_of_caf(stream: IO[bytes]) -> int | None:
    offset, end = 8, stream.seek(0, 2)
    while offset + 12 <= end:
        stream.seek(offset)
        header = stream.read(12)
        size = int.from_bytes(header[4:], "big", signed=True)
        if header[:4] == b"chan":
            return aiff.read_layout(stream.read(min(size, 12)))
        if size < 0:
            return None
        offset += 12 + size
    return None


def _of_stems(tags: dict[str, str]) -> dict[str, str]:
    """Return the tags that hold for stems too."""
    return {tag: value for tag, value in tags.items() if not tag.startswith(_OF_THE_MIXTURE)}
