"""Containers that libsndfile does not read, such as MP4 and Matroska, decoded by PyAV if it is installed."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from importlib.util import find_spec
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from nmfaudio.errors import AudioFileError
from nmfaudio.sound.metadata import SPEAKERS, Metadata, Picture

_HEAD = 16  # number of bytes that identify a container
# Offset, signature, and the name of the container in FFmpeg. No other containers are tried: FFmpeg also reads
# playlists of other files and network addresses, and the content of a file must not make it open those.
# Formats of libsndfile are not listed: a file in such a format that libsndfile refuses is damaged.
_SIGNATURES = (
    (4, b"ftyp", "mov"),
    (4, b"moov", "mov"),
    (4, b"mdat", "mov"),
    (4, b"wide", "mov"),
    (0, b"\x1aE\xdf\xa3", "matroska"),
    (0, b"0&\xb2u\x8ef\xcf\x11", "asf"),
    (0, b"FLV\x01", "flv"),
    (8, b"AVI ", "avi"),
    (0, b"\xff\xf1", "aac"),
    (0, b"\xff\xf9", "aac"),
    (0, b"\x0bw", "ac3"),
    (0, b"wvpk", "wv"),
    (0, b"MAC ", "ape"),
    (0, b"TTA1", "tta"),
    (0, b"MPCK", "mpc8"),
    (0, b"#!AMR", "amr"),
    (0, b"\x00\x00\x01\xba", "mpeg"),
)
# Tags that stems inherit: name in FFmpeg, and name in libsndfile and Vorbis comments.
_TAG_NAMES = {
    name: name for name in ("title", "artist", "album", "date", "genre", "comment", "copyright", "composer")
} | {
    "album_artist": "albumartist",
    "track": "tracknumber",
    "bpm": "bpm",
    "tmpo": "bpm",
    "initialkey": "initialkey",
}
_LOSSLESS = ("alac", "flac", "wavpack", "ape", "tta", "mlp", "truehd")


def container_of(head: bytes) -> str | None:
    """Return the name in FFmpeg of the container with these first bytes, or None.

    Examples
    --------
    >>> container_of(bytes(4) + b"ftypM4A ")
    'mov'
    """
    for offset, signature, name in _SIGNATURES:
        if head[offset : offset + len(signature)] == signature:
            return name
    return None


def open_decoder(stream: IO[bytes], name: str, track: int = 0) -> Decoder | None:
    """Return a decoder for a file that libsndfile does not read, or None if its format is unknown.

    Raises
    ------
    AudioFileError
        If PyAV is needed and not installed, or if the file has no such audio track.
    """
    container = container_of(stream.read(_HEAD))
    stream.seek(0)
    if container is None:
        return None
    if find_spec("av") is None:
        raise AudioFileError(
            f"{name}: it looks like {container.upper()}, which needs PyAV: pip install 'nmfaudio[formats]' "
            "(in a clone: python3 scripts/separate.py --extras formats ...), or convert the file to WAV or "
            "FLAC first"
        )
    return Decoder(stream, name, container, track)


class Decoder:
    """Decodes an audio track of a container; has those methods of `soundfile.SoundFile` that are used here.

    Parameters
    ----------
    stream : binary file
        File at its start. It is not closed.
    name : str
        Name of the file in messages.
    container : str
        Name of the container in FFmpeg.
    track : int
        Number of the audio track, counted from 0.
    """

    def __init__(self, stream: IO[bytes], name: str, container: str, track: int = 0) -> None:
        import av

        self._name, self._errors = name, (av.error.FFmpegError, ValueError, EOFError)
        try:
            pictures = _pictures(av, stream, container)
            self._container: Any = av.open(stream, format=container, metadata_errors="ignore")
        except self._errors as error:
            raise self._unreadable(error) from None
        self.tracks = len(self._container.streams.audio)
        if self.tracks == 0:
            self.close()
            raise AudioFileError(f"{name}: it has no audio track: choose a file with sound")
        if not 0 <= track < self.tracks:
            self.close()
            raise AudioFileError(f"{name}: track {track} does not exist: it has {self.tracks} audio tracks")
        selected = self._container.streams.audio[track]
        context: Any = selected.codec_context
        if context is None or context.layout is None:
            self.close()
            raise AudioFileError(
                f"{name}: no decoder for its audio track is installed: convert it to WAV or FLAC first"
            )
        self.samplerate, self.channels = context.sample_rate, context.layout.nb_channels
        if not (self.samplerate and self.channels):
            self.close()
            raise AudioFileError(
                f"{name}: its audio track has no sample rate or no channels: convert it to WAV first"
            )
        self.format, self.subtype = container.upper(), _subtype(context)
        self.metadata = _metadata(self._container, context, pictures)
        self.frames = 0  # unknown: the length that a container declares is not exact
        self._ready: deque[NDArray[np.float64]] = deque()
        self._samples = self._decoded(selected, av.AudioResampler("dbl", context.layout, self.samplerate))

    def read(self, count: int, dtype: str, always_2d: bool) -> NDArray[np.float64]:
        """Return up to `count` samples, (samples, channels)."""
        pieces, length = [], 0
        while length < count:
            piece = self._ready.popleft() if self._ready else next(self._samples, None)
            if piece is None:
                break
            if length + len(piece) > count:
                self._ready.appendleft(piece[count - length :])
                piece = piece[: count - length]
            pieces.append(piece)
            length += len(piece)
        return np.concatenate(pieces) if pieces else np.empty((0, self.channels))

    def close(self) -> None:
        """Close the container but not the file."""
        self._container.close()

    def _decoded(self, track: Any, resampler: Any) -> Iterator[NDArray[np.float64]]:
        try:
            for frame in self._container.decode(track):
                yield from map(self._interleaved, resampler.resample(frame))
            yield from map(self._interleaved, resampler.resample(None))
        except self._errors as error:
            raise self._unreadable(error) from None

    def _interleaved(self, frame: Any) -> NDArray[np.float64]:
        # Packed samples (one plane), because PyAV fails on planar audio of more than eight channels.
        return np.asarray(frame.to_ndarray(), np.float64).reshape(-1, self.channels)

    def _unreadable(self, error: Exception) -> AudioFileError:
        reason = getattr(error, "strerror", None) or str(error)
        return AudioFileError(
            f"{self._name}: not readable as audio ({reason}): convert it to WAV or FLAC first"
        )


def _pictures(av: Any, stream: IO[bytes], container: str) -> tuple[Picture, ...]:
    """Return the covers in a file, and set it back to its start."""
    pictures = []
    with av.open(stream, format=container, metadata_errors="ignore") as opened:
        for video in opened.streams.video:
            if video.disposition & av.stream.Disposition.attached_pic:
                content = bytes(next(opened.demux(video)))
                mime = "image/png" if video.codec_context.name == "png" else "image/jpeg"
                pictures.append(Picture(content, mime))
    stream.seek(0)
    return tuple(picture for picture in pictures if picture.content)


def _metadata(container: Any, context: Any, pictures: tuple[Picture, ...]) -> Metadata:
    tags = {_TAG_NAMES[k.lower()]: v for k, v in container.metadata.items() if k.lower() in _TAG_NAMES and v}
    names = [channel.name for channel in context.layout.channels]
    bits = [SPEAKERS.index(name) for name in names if name in SPEAKERS]
    in_order = len(bits) == len(names) and bits == sorted(bits)
    mask = sum(1 << bit for bit in bits) if in_order else None
    return Metadata(tags, channel_mask=mask, pictures=pictures)


def _subtype(context: Any) -> str:
    """Return the sample type as in libsndfile if the codec is lossless, else the name of the codec."""
    name = str(context.name)
    if name in _LOSSLESS or name.startswith("pcm_"):
        sample_format = context.format.name.rstrip("p") if context.format else ""
        exact = {"u8": "PCM_U8", "s16": "PCM_16", "s32": "PCM_32", "flt": "FLOAT", "dbl": "DOUBLE"}
        bits = getattr(context, "bits_per_raw_sample", 0) or 0
        return (
            "PCM_24" if sample_format == "s32" and 16 < bits <= 24 else exact.get(sample_format, name.upper())
        )
    return name.upper()
