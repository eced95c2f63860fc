"""Containers that libsndfile does not know, such as MP4 and Matroska, decoded by PyAV where that is there."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from importlib.util import find_spec
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from nmfaudio.errors import AudioFileError

_HEAD = 16  # bytes that tell a container
# What a file begins with, at which place, and FFmpeg's name for it. Nothing else is tried: FFmpeg knows
# formats that are lists of other files and addresses, and no content may make it open those. What libsndfile
# knows is not here: where it refuses such a file, the file is broken.
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
_LOSSLESS = ("alac", "flac", "wavpack", "ape", "tta", "mlp", "truehd")


def container_of(head: bytes) -> str | None:
    """Return FFmpeg's name of the container that begins so, or None.

    Examples
    --------
    >>> container_of(bytes(4) + b"ftypM4A ")
    'mov'
    """
    for place, mark, name in _SIGNATURES:
        if head[place : place + len(mark)] == mark:
            return name
    return None


def open_decoder(stream: IO[bytes], name: str) -> Decoder | None:
    """Return a decoder for a file that libsndfile does not read, or None where nobody knows it.

    Raises
    ------
    AudioFileError
        When PyAV is needed and missing, or finds no sound.
    """
    container = container_of(stream.read(_HEAD))
    stream.seek(0)
    if container is None:
        return None
    if find_spec("av") is None:
        raise AudioFileError(
            f"{name}: it looks like {container.upper()}, which needs PyAV: pip install 'nmfaudio[formats]', "
            "or convert it to WAV or FLAC first"
        )
    return Decoder(stream, name, container)


class Decoder:
    """Reads the first audio track of a container, with the part of soundfile's face that is used here.

    Parameters
    ----------
    stream : binary file
        Read from its start; not closed.
    name : str
        What to call it in a message.
    container : str
        FFmpeg's name of it.
    """

    def __init__(self, stream: IO[bytes], name: str, container: str) -> None:
        import av

        self._name, self._errors = name, (av.error.FFmpegError, ValueError, EOFError)
        try:
            self._container: Any = av.open(stream, format=container, metadata_errors="ignore")
        except self._errors as error:
            raise self._unreadable(error) from None
        if not self._container.streams.audio:
            self.close()
            raise AudioFileError(f"{name}: it holds no sound: name a file with an audio track")
        track = self._container.streams.audio[0]
        context: Any = track.codec_context
        if context is None or context.layout is None:
            self.close()
            raise AudioFileError(
                f"{name}: nobody here decodes its audio track: convert it to WAV or FLAC first"
            )
        self.samplerate, self.channels = context.sample_rate, context.layout.nb_channels
        if not (self.samplerate and self.channels):
            self.close()
            raise AudioFileError(
                f"{name}: its audio track tells no rate or channels: convert it to WAV first"
            )
        self.format, self.subtype = container.upper(), _subtype(context)
        self.frames = 0  # what a container declares is not exact
        self._ready: deque[NDArray[np.float64]] = deque()
        self._samples = self._decoded(track, av.AudioResampler("dbl", context.layout, self.samplerate))

    def read(self, count: int, dtype: str, always_2d: bool) -> NDArray[np.float64]:
        """Return up to `count` samples, (samples, channels)."""
        parts, have = [], 0
        while have < count:
            piece = self._ready.popleft() if self._ready else next(self._samples, None)
            if piece is None:
                break
            if have + len(piece) > count:
                self._ready.appendleft(piece[count - have :])
                piece = piece[: count - have]
            parts.append(piece)
            have += len(piece)
        return np.concatenate(parts) if parts else np.empty((0, self.channels))

    def close(self) -> None:
        """Close the container, not the file."""
        self._container.close()

    def _decoded(self, track: Any, resampler: Any) -> Iterator[NDArray[np.float64]]:
        try:
            for frame in self._container.decode(track):
                yield from map(self._interleaved, resampler.resample(frame))
            yield from map(self._interleaved, resampler.resample(None))
        except self._errors as error:
            raise self._unreadable(error) from None

    def _interleaved(self, frame: Any) -> NDArray[np.float64]:
        # Of one plane: PyAV takes more than eight for granted that are not there.
        return np.asarray(frame.to_ndarray(), np.float64).reshape(-1, self.channels)

    def _unreadable(self, error: Exception) -> AudioFileError:
        reason = getattr(error, "strerror", None) or str(error)
        return AudioFileError(
            f"{self._name}: not readable as audio ({reason}): convert it to WAV or FLAC first"
        )


def _subtype(context: Any) -> str:
    """Return the encoding of samples in libsndfile's words where they are exact, else the codec's name."""
    name = str(context.name)
    if name in _LOSSLESS or name.startswith("pcm_"):
        kind = context.format.name.rstrip("p") if context.format else ""
        exact = {"u8": "PCM_U8", "s16": "PCM_16", "s32": "PCM_32", "flt": "FLOAT", "dbl": "DOUBLE"}
        bits = getattr(context, "bits_per_raw_sample", 0) or 0
        return "PCM_24" if kind == "s32" and 16 < bits <= 24 else exact.get(kind, name.upper())
    return name.upper()
