"""Reading audio files, bit by bit."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any, Self

import numpy as np
import soundfile

from nmfaudio.errors import AudioFileError
from nmfaudio.sound.audio import Audio, Encoding, Samples, check_finite

_CHUNK_VALUES = 1 << 19  # samples times channels decoded at a time, whatever the header promises


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
    every sample is finite. Reading forward is cheap; reading further back than the last request decodes from
    the start.

    Parameters
    ----------
    path : path-like

    Raises
    ------
    AudioFileError
        As `read` does.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.name = self.path.stem
        self._file = _open(self.path)
        self.sample_rate = int(self._file.samplerate)
        self.channels = int(self._file.channels)
        self.encoding = Encoding(self._file.format, self._file.subtype)
        self.declared_length = int(self._file.frames)
        self._buffer: Samples = np.empty((self.channels, 0))
        self._buffer_start = 0
        try:
            self.length, self.peak = self._survey()
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
        if start < self._buffer_start:
            self._rewind()
        parts = [self._buffer]
        end = self._buffer_start + self._buffer.shape[1]
        while end < stop:
            if end < start:  # nothing before `start` is asked for any more
                parts, self._buffer_start = [], end
            parts.append(self._decode(min(self._chunk, stop - end)))
            if parts[-1].shape[1] == 0:
                raise AudioFileError(f"{self.path}: it became shorter while it was read: separate it again")
            end += parts[-1].shape[1]
        joined = np.concatenate(parts, axis=1) if len(parts) > 1 else parts[0]
        self._buffer, self._buffer_start = joined[:, start - self._buffer_start :], start
        return self._buffer[:, : stop - start].copy()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

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
        while (samples := self._decode(self._chunk)).shape[1]:
            check_finite(samples, str(self.path), length, self.sample_rate)
            length += samples.shape[1]
            peak = max(peak, float(np.abs(samples).max()))
        if length == 0:
            raise AudioFileError(f"{self.path}: it holds no samples: record or export it again")
        return length, peak

    def _decode(self, count: int) -> Samples:
        try:
            decoded: Samples = self._file.read(count, dtype="float64", always_2d=True)
        except soundfile.SoundFileRuntimeError as error:
            raise _unreadable(self.path, error) from None
        return decoded.T

    def _rewind(self) -> None:
        # Opened afresh: seeking is not exact in every compressed format.
        self._file.close()
        self._file = _open(self.path)
        self._buffer, self._buffer_start = np.empty((self.channels, 0)), 0


def _open(path: Path) -> Any:
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            kind = "a folder" if path.is_dir() else "not an ordinary file"
            raise AudioFileError(f"{path}: it is {kind}: name an audio file")
        with open(path, "rb"):  # whose error says more than libsndfile's
            pass
        return soundfile.SoundFile(path)
    except OSError as error:
        raise AudioFileError(f"{path}: cannot be opened ({error.strerror or error})") from None
    except (soundfile.SoundFileRuntimeError, TypeError, ValueError) as error:
        if isinstance(error, AudioFileError):
            raise
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: Exception) -> AudioFileError:
    reason = str(getattr(error, "error_string", error)).strip().rstrip(".")
    return AudioFileError(f"{path}: not readable as audio ({reason}): convert it to WAV or FLAC first")
