"""Reading audio files, bit by bit."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Literal, Self

import numpy as np
import soundfile

from nmfaudio.errors import AudioFileError
from nmfaudio.sound import containers
from nmfaudio.sound.audio import Audio, Encoding, Samples, check_finite

STANDARD_INPUT = "-"
_CHUNK_VALUES = 1 << 19  # samples times channels decoded at a time, whatever the header promises
# Before the last request: a model may look back, and decoding anew costs more.
_KEPT_SECONDS, _KEPT_VALUES = 15, 1 << 22
_WAVE_HEAD = 1 << 12  # bytes in which a WAV file tells its format, but for odd ones
_SALVAGED = 64  # samples decoded at a time before a place that is damaged
_TAGS = ("title", "artist", "album", "date", "genre", "tracknumber", "comment", "copyright", "license")


def read(path: str | os.PathLike[str]) -> Audio:
    """Read an audio file into memory.

    Parameters
    ----------
    path : path-like
        Any file that libsndfile reads, told by its content.

    Returns
    -------
    Audio
        Samples in float64, integers scaled so that full scale is 1; nothing is lost.

    Raises
    ------
    AudioFileError
        When there is no such file, it is not audio, is empty, or holds NaN or infinite samples.

    Examples
    --------
    >>> read("audio_samples/drum_loop.flac").sample_rate
    44100
    """
    with AudioFile(path) as file:
        return Audio(file.read(0, file.length), file.sample_rate, file.encoding, file.name)


class AudioFile:
    """An audio file as a source of samples, decoded bit by bit.

    Opening reads it through once: that tells its true length, whatever its header says, its peak, and that
    every sample is finite. Reading forward is cheap; reading further back than some seconds before the last
    request decodes from the start. The file stays open: it may be renamed or removed meanwhile, not changed.

    Parameters
    ----------
    path : path-like
        `"-"` is the standard input, which is kept in a temporary file.
    strict : bool
        Whether a file that ends before its header says is an error.

    Raises
    ------
    AudioFileError
        As `read` does.
    """

    def __init__(self, path: str | os.PathLike[str], *, strict: bool = False) -> None:
        self.path = Path(path)
        self.name = "stdin" if os.fspath(path) == STANDARD_INPUT else self.path.stem
        self._stream = _stdin() if os.fspath(path) == STANDARD_INPUT else _open(self.path)
        try:
            self._before = _state(self._stream)
            self._file = self._decoder()
            self.sample_rate = int(self._file.samplerate)
            self.channels = int(self._file.channels)
            self.encoding = Encoding(self._file.format, self._file.subtype)
            self.declared_length = int(self._file.frames)
            self.tags = {tag: value for tag in _TAGS if (value := getattr(self._file, tag, ""))}
            self._forget(0)
            self.length, self.peak = self._survey()
            if strict and self.truncated:
                raise AudioFileError(
                    f"{path}: it ends early: {self.length} of {self.declared_length} samples are there; "
                    "leave out --strict (strict=False) to use them"
                )
            self._rewind()
        except BaseException:
            self.close()
            raise

    @property
    def truncated(self) -> bool:
        """Whether the file holds fewer samples than its header declares."""
        return self.length < self.declared_length

    def read(self, start: int, stop: int) -> Samples:
        """Return samples `start` to `stop`, (channels, samples) in float64."""
        if start < self._kept_start:
            self._rewind()
        while self._end < stop:
            decoded = self._decode(min(self._chunk, stop - self._end))
            if decoded.shape[1] == 0:
                raise self._changed()
            self._kept.append(decoded)
            self._end += decoded.shape[1]
            self._drop(start - min(_KEPT_SECONDS * self.sample_rate, _KEPT_VALUES // self.channels))
        found = np.empty((self.channels, stop - start))
        position = self._kept_start
        for samples in self._kept:
            first, last = max(start, position), min(stop, position + samples.shape[1])
            if first < last:
                found[:, first - start : last - start] = samples[:, first - position : last - position]
            position += samples.shape[1]
        return found

    def sha256(self) -> str:
        """Return the hash of the file's bytes, in hexadecimal.

        Raises
        ------
        AudioFileError
            When the file was changed since it was opened.
        """
        position, found = self._stream.tell(), hashlib.sha256()
        self._stream.seek(0)
        while content := self._stream.read(1 << 20):
            found.update(content)
        self._stream.seek(position)
        self.check_unchanged()
        return found.hexdigest()

    def check_unchanged(self) -> None:
        """Raise AudioFileError when the file was changed since it was opened."""
        if _state(self._stream) != self._before:
            raise self._changed()

    def close(self) -> None:
        """Close the file."""
        if hasattr(self, "_file"):
            self._file.close()
        self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"AudioFile({str(self.path)!r}, {self.channels} channels, {self.length} samples)"

    @property
    def _chunk(self) -> int:
        return max(1, _CHUNK_VALUES // self.channels)

    def _survey(self) -> tuple[int, float]:
        length, peak = 0, 0.0
        for samples in self._all():
            check_finite(samples, str(self.path), length, self.sample_rate)
            length += samples.shape[1]
            peak = max(peak, float(np.abs(samples).max()))
        if length == 0:
            raise AudioFileError(f"{self.path}: it holds no samples: record or export it again")
        return length, peak

    def _all(self) -> Iterator[Samples]:
        """Give all samples, piece by piece; of a file that is damaged, those before the damage."""
        length = 0
        try:
            while (samples := self._decode(self._chunk)).shape[1]:
                yield samples
                length += samples.shape[1]
        except AudioFileError:
            self._rewind()
            intact = list(self._before_damage(length))
            if length + sum(samples.shape[1] for samples in intact) in (0, self.declared_length):
                raise
            yield from intact

    def _before_damage(self, start: int) -> Iterator[Samples]:
        """Give the samples from `start` up to where decoding fails, in small pieces."""
        for first in range(0, start, self._chunk):
            self._decode(min(self._chunk, start - first))
        with contextlib.suppress(AudioFileError):
            while (samples := self._decode(_SALVAGED)).shape[1]:
                yield samples

    def _decode(self, count: int) -> Samples:
        try:
            decoded: Samples = self._file.read(count, dtype="float64", always_2d=True)
        except (RuntimeError, AssertionError) as error:
            raise _unreadable(self.path, error) from None
        return decoded.T

    def _rewind(self) -> None:
        # Opened afresh: seeking is not exact in every compressed format.
        self.check_unchanged()
        self._file.close()
        self._file = self._decoder()
        self._forget(0)

    def _forget(self, position: int) -> None:
        self._kept: list[Samples] = []
        self._kept_start = self._end = position

    def _drop(self, before: int) -> None:
        """Forget the pieces that end before a sample."""
        while self._kept and self._kept_start + self._kept[0].shape[1] <= before:
            self._kept_start += self._kept.pop(0).shape[1]

    def _decoder(self) -> Any:
        """Return what decodes the file from its start: libsndfile, or what knows other containers."""
        self._stream.seek(0)
        if fault := wave_fault(self._stream):
            raise _unreadable(self.path, ValueError(fault))
        self._stream.seek(0)
        try:
            return soundfile.SoundFile(self._stream.fileno(), closefd=False)
        except (RuntimeError, TypeError, ValueError) as error:
            self._stream.seek(0)
            other = containers.open_decoder(self._stream, str(self.path))
            if other is None:
                raise _unreadable(self.path, error) from None
            return other

    def _changed(self) -> AudioFileError:
        return AudioFileError(f"{self.path}: it changed while it was read: separate it again")


def wave_fault(stream: IO[bytes]) -> str | None:
    """Return what is wrong with the format chunk of a WAV file, where libsndfile would guess; else None."""
    head = stream.read(_WAVE_HEAD)
    if head[:4] not in (b"RIFF", b"RIFX", b"RF64") or head[8:12] != b"WAVE":
        return None
    order: Literal["big", "little"] = "big" if head[:4] == b"RIFX" else "little"
    place = 12
    while place + 8 <= len(head):
        size = int.from_bytes(head[place + 4 : place + 8], order)
        if head[place : place + 4] == b"fmt ":
            return f"its format chunk has {size} bytes of at least 16" if size < 16 else None
        place += 8 + size + size % 2
    return None


def _state(stream: IO[bytes]) -> tuple[int, int]:
    found = os.fstat(stream.fileno())
    return found.st_size, found.st_mtime_ns


def _open(path: Path) -> IO[bytes]:
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            kind = "a folder" if path.is_dir() else "not an ordinary file"
            raise AudioFileError(f"{path}: it is {kind}: name an audio file")
        return open(path, "rb", buffering=0)
    except OSError as error:
        raise AudioFileError(f"{path}: cannot be opened ({error.strerror or error})") from None
    except ValueError as error:
        if isinstance(error, AudioFileError):
            raise
        raise AudioFileError(f"{path}: cannot be opened ({error})") from None


def _stdin() -> IO[bytes]:
    """Keep the standard input in a temporary file, which has no name and goes with the process."""
    kept = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - the caller closes it
    try:
        shutil.copyfileobj(sys.stdin.buffer, kept, 1 << 20)
    except (OSError, AttributeError) as error:
        kept.close()
        reason = getattr(error, "strerror", None) or error
        raise AudioFileError(
            f"-: the standard input cannot be kept in {tempfile.gettempdir()} ({reason}): set TMPDIR"
        ) from None
    return kept


def _unreadable(path: Path, error: Exception) -> AudioFileError:
    reason = str(getattr(error, "error_string", error)).strip().rstrip(".")
    return AudioFileError(f"{path}: not readable as audio ({reason}): convert it to WAV or FLAC first")
