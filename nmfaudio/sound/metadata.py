"""What a file says about its samples: tags, positions on a timeline, speakers and pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from nmfaudio.sound import timeline

# Names of the RIFF chunks that stems inherit from their mixture.
CHUNK_NAMES = {
    b"bext": "Broadcast Wave data (bext)",
    b"iXML": "iXML",
    b"cue ": "cue points",
    b"LIST": "labels of cue points (adtl)",
    b"smpl": "sampler loops (smpl)",
    b"guan": "GUANO",
    b"inst": "instrument data (inst)",
    b"acid": "tempo of a loop (acid)",
    b"cart": "cart data",
    b"axml": "audio definition model (axml)",
    b"chna": "channels of the audio definition model (chna)",
    b"_PMX": "XMP",
}


@dataclass(frozen=True)
class Picture:
    """A picture such as a cover; `kind` is its type in ID3 and FLAC, from 0 to 20 (3 is the front cover)."""

    content: bytes = field(repr=False)
    mime: str = "image/jpeg"
    kind: int = 3
    description: str = ""


@dataclass(frozen=True)
class Metadata:
    """What a file says about its samples, as far as its stems can inherit it.

    Attributes
    ----------
    tags : mapping of str to str
        Tags such as `artist`, in lower case.
    chunks : tuple of (bytes, bytes)
        Names and contents of RIFF chunks, such as `bext` (position on a timeline) and `cue `.
    channel_mask : int or None
        Speaker positions as in a WAV file (1 is front left, 2 front right, ...); 0 if the file says that the
        channels have none; None if it does not say anything.
    pictures : tuple of Picture
    not_read : tuple of str
        Names of further content of the file, which cannot be inherited.

    Examples
    --------
    >>> Metadata({"artist": "Ann"}, channel_mask=0x60F).speakers
    'FL FR FC LFE SL SR'
    """

    tags: Mapping[str, str] = field(default_factory=dict)
    chunks: tuple[tuple[bytes, bytes], ...] = field(default=(), repr=False)
    channel_mask: int | None = None
    pictures: tuple[Picture, ...] = ()
    not_read: tuple[str, ...] = ()

    @property
    def speakers(self) -> str:
        """Names of the speakers, in the order of the channels; empty if the file does not say."""
        mask = self.channel_mask or 0
        return " ".join(name for bit, name in enumerate(SPEAKERS) if mask >> bit & 1)

    @property
    def size(self) -> int:
        """Approximate size in a file, in bytes."""
        chunks = sum(len(content) for _, content in self.chunks)
        pictures = sum(len(picture.content) for picture in self.pictures)
        return chunks + pictures + sum(4 * len(value) for value in self.tags.values())

    @property
    def time_reference(self) -> int | None:
        """Position of the first sample on the timeline, in samples since midnight; None if not known."""
        return timeline.time_reference(dict(self.chunks).get(b"bext", b""))

    def of_passage(self, start: int, stop: int) -> Metadata:
        """Return the metadata of samples `start` to `stop`: positions are counted from the new start."""
        return replace(self, chunks=timeline.shifted(self.chunks, start, stop))

    def of_stem(self) -> Metadata:
        """Return the metadata that stems inherit: without an identifier and loudness of the mixture."""
        chunks = tuple(
            (name, timeline.without_measurements(content) if name == b"bext" else content)
            for name, content in self.chunks
        )
        return replace(self, chunks=chunks)


# Speakers of the bits of a channel mask, lowest bit first, with the names that FFmpeg uses.
SPEAKERS = (
    "FL", "FR", "FC", "LFE", "BL", "BR", "FLC", "FRC", "BC", "SL", "SR", "TC", "TFL", "TFC", "TFR",
    "TBL", "TBC", "TBR",
)  # fmt: skip


def decode_text(content: bytes) -> str:
    """Decode text of unknown encoding: UTF-8 or UTF-16 if it is valid, else Windows-1252.

    Examples
    --------
    >>> decode_text("Café".encode("latin-1")), decode_text("Café".encode("utf-8") + bytes(2))
    ('Café', 'Café')
    """
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return content.decode("utf-16", "replace").strip("\0 ")
    content = content.split(b"\0")[0].strip()
    for encoding in ("utf-8", "cp1252"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    return content.decode("latin-1")
