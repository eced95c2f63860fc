"""Encode sound in memory for web pages: without loss as FLAC, or compressed as Ogg Vorbis.

Vorbis is used instead of Opus because it keeps the sample rate and the number of samples, so compressed
sounds stay in step with lossless ones to the sample. Opus needs another sample rate for most recordings. At
45 to 65 kbit/s both have about the same error, and Chromium decodes Vorbis four times as fast.
"""

from __future__ import annotations

import io
from typing import Any, Self

import numpy as np
import soundfile
from numpy.typing import NDArray

from nmfaudio.sound.encoding import limit_reason
from nmfaudio.sound.source import Encoding

_LARGEST_PIECE = 4096  # samples; libsndfile needs much stack memory for larger pieces of Vorbis
VORBIS = Encoding("OGG", "VORBIS")
MIME_TYPES = {"FLAC": "audio/flac", "OGG": "audio/ogg", "WAV": "audio/wav"}


def lossless_encoding(sample_rate: int) -> Encoding:
    """Return FLAC with 24 bits; WAV for sample rates that FLAC does not have.

    Chromium does not decode files with 16 bits exactly: it scales positive samples by 32768 / 32767. Bits
    that are always zero take no room in FLAC.

    Examples
    --------
    >>> lossless_encoding(44100)
    Encoding(format='FLAC', subtype='PCM_24')
    """
    flac = Encoding("FLAC", "PCM_24")
    return Encoding("WAV", flac.subtype) if limit_reason(flac, sample_rate, 1) else flac


def as_vorbis(content: bytes, compression: float) -> bytes:
    """Encode an audio file as Ogg Vorbis with the same sample rate and number of samples.

    Parameters
    ----------
    content : bytes
        An audio file that libsndfile reads, of at most 200 kHz.
    compression : float
        From 0 (largest files) to 1 (smallest files).
    """
    with (
        soundfile.SoundFile(io.BytesIO(content)) as file,
        PreviewEncoder(VORBIS, file.samplerate, file.channels, compression) as encoder,
    ):
        for piece in file.blocks(_LARGEST_PIECE, dtype="float32", always_2d=True):
            encoder.write(piece.T)
    return encoder.content


def has_vorbis(sample_rate: int) -> bool:
    """Whether Vorbis supports a sample rate."""
    return not limit_reason(VORBIS, sample_rate, 1)


class PreviewEncoder:
    """Encodes samples that arrive piece by piece.

    Parameters
    ----------
    encoding : Encoding
        FLAC or WAV with integers, or Ogg Vorbis.
    sample_rate : int
        Samples per second.
    channels : int
        Number of channels.
    compression : float
        For Vorbis: from 0 (largest files) to 1 (smallest files).
    precision : int
        For integers: number of bits to which samples are rounded, at most those of the encoding.

    Examples
    --------
    >>> with PreviewEncoder(lossless_encoding(8000), 8000, 1, precision=16) as encoder:
    ...     encoder.write(np.zeros((1, 100)))
    >>> encoder.content[:4]
    b'fLaC'
    """

    def __init__(
        self,
        encoding: Encoding,
        sample_rate: int,
        channels: int,
        compression: float = 0.5,
        *,
        precision: int = 24,
    ) -> None:
        self.encoding, self.precision, self.content = encoding, precision, b""
        self._buffer = io.BytesIO()
        levels = {} if encoding.bits else {"compression_level": compression}
        self._file: Any = soundfile.SoundFile(
            self._buffer,
            "w",
            sample_rate,
            channels,
            format=encoding.format,
            subtype=encoding.subtype,
            **levels,
        )

    def write(self, samples: NDArray[Any]) -> None:
        """Encode samples of shape (channels, samples). Integers are rounded, and clipped at full scale."""
        is_integer = self.encoding.bits is not None
        values: NDArray[Any] = _integers(samples, self.precision) if is_integer else samples.astype("f4")
        for start in range(0, values.shape[1], _LARGEST_PIECE):
            self._file.write(np.ascontiguousarray(values[:, start : start + _LARGEST_PIECE].T))

    def close(self) -> None:
        """Finish the file, whose bytes are then in `content`."""
        if not self._file.closed:
            self._file.close()
            self.content = self._buffer.getvalue()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _integers(samples: NDArray[Any], bits: int) -> NDArray[np.int32]:
    """Return samples as integers in the upper bits of 32, as libsndfile takes them."""
    full_scale = 1 << (bits - 1)
    rounded = np.clip(np.rint(samples * full_scale), -full_scale, full_scale - 1)
    integers: NDArray[np.int32] = rounded.astype(np.int32) << (32 - bits)
    return integers
