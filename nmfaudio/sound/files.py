"""Reading audio files piece by piece."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any, Literal, Self

import numpy as np
import soundfile

from nmfaudio.errors import AudioFileError
from nmfaudio.sound import containers, ogg_channels
from nmfaudio.sound.audio import Audio
from nmfaudio.sound.header_repair import RepairedFile, find_repair, minimal_header
from nmfaudio.sound.metadata_reading import read_metadata
from nmfaudio.sound.mp4_boxes import names_in
from nmfaudio.sound.opening import Source, open_source
from nmfaudio.sound.passage import Passage
from nmfaudio.sound.source import Encoding, Samples, check_finite

_CHUNK_VALUES = 1 << 19  # number of values (samples times channels) that are decoded at a time
# Decoded samples that are stored before the start of the last request: models read some samples again.
_STORED_SECONDS, _STORED_VALUES = 15, 1 << 22
_WAVE_HEAD = 1 << 12  # number of bytes that contain the format chunk of a usual WAV file
_UNKNOWN_LENGTH = 1 << 62  # libsndfile reports a larger length for FLAC streams of unknown length
# Formats in which libsndfile seeks to the exact sample, if the samples are stored without loss.
_EXACT_SEEKING = ("WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "FLAC")
_SALVAGED = 64  # samples that are decoded at a time just before a damaged part


def read(path: Source) -> Audio:
    """Read an audio file into memory.

    Parameters
    ----------
    path : path-like or binary file
        File in any format that libsndfile or PyAV reads. The content determines the format, not the name.
        Objects with a method `read` that returns bytes, such as an `io.BytesIO`, are accepted too.

    Returns
    -------
    Audio
        Exact samples as float64; integers are scaled so that full scale is 1.

    Raises
    ------
    AudioFileError
        If the file does not exist, is not audio, has no samples, or has samples that are not finite.

    Examples
    --------
    >>> read("audio_samples/drum_loop.flac").sample_rate
    44100
    """
    with AudioFile(path) as file:
        frames = file.read(0, file.length).T
        audio = Audio.from_frames(frames, file.sample_rate, file.encoding, file.name)
        return audio.with_description(warnings=file.warnings, metadata=file.metadata)


@dataclass(frozen=True)
class Survey:
    """What opening a file found by decoding all of it.

    Attributes
    ----------
    length : int
        Samples per channel.
    peak : float
        Largest absolute sample.
    state : (int, int)
        Size of the file in bytes and time of its last change in nanoseconds.
    """

    length: int
    peak: float
    state: tuple[int, int]


class AudioFile:
    """An audio file as a source of samples, which are decoded when they are needed.

    Opening decodes the whole file once to determine its true length and its peak, and to check that all
    samples are finite. Reading forward is fast; reading samples far before the last request decodes the file
    from its start. The file stays open: it may be renamed or removed, but not changed.

    Parameters
    ----------
    path : path-like or binary file
        Path of the file, or an object with a method `read`; `"-"` is the standard input. The standard input
        and file objects are copied to a temporary file.
    strict : bool
        Whether a file whose header declares more samples than it contains, or none, is an error.
    track : int
        Number of the audio track of a file with several, such as an MP4 file, counted from 0.
    survey : Survey, optional
        What an earlier opening of the same file found; then the file is not decoded for it.

    Attributes
    ----------
    path : Path or None
        Path of the file, if it has one.
    metadata : Metadata
        Tags, positions on a timeline, speakers and pictures.
    warnings : tuple of str
        What the user should know about the file, such as defects and tracks that are not used.
    label : str
        How messages refer to the file.
    tracks : int
        Number of audio tracks.

    Raises
    ------
    AudioFileError
        As for `read`.
    """

    def __init__(
        self, path: Source, *, strict: bool = False, track: int = 0, survey: Survey | None = None
    ) -> None:
        opened = open_source(path)
        self._stream, self.path, self.name, self.label = (
            opened.stream,
            opened.path,
            opened.name,
            opened.label,
        )
        try:
            self._repair, self._track = find_repair(self._stream), track
            self._state_at_opening = _state(self._stream)
            self._file = self._decoder()
            self.sample_rate = int(self._file.samplerate)
            self.channels = int(self._file.channels)
            is_ogg = self._file.format == "OGG"
            self._order = ogg_channels.from_ogg(self.channels) if is_ogg else None
            self.tracks = int(getattr(self._file, "tracks", 1))
            if track >= self.tracks:
                raise AudioFileError(f"{self.label}: track {track} does not exist: it has one audio track")
            self.encoding = Encoding(self._file.format, self._file.subtype)
            declared = int(self._file.frames)
            self.metadata = read_metadata(self._stream, self._file)
            self._clear(0)
            self.length, self.peak = self._known(survey) if survey else self._survey()
            self.declared_length = declared if 0 < declared < _UNKNOWN_LENGTH else self.length
            defect = self._defect()
            self.warnings = tuple(self._notices(defect))
            if strict and defect:
                raise AudioFileError(f"{self.label}: {defect}; pass strict=False to use them")
            self._rewind()
        except BaseException:
            self.close()
            raise

    @property
    def tags(self) -> Mapping[str, str]:
        """Tags of the file, such as `artist`."""
        return self.metadata.tags

    @property
    def survey(self) -> Survey:
        """What this opening found, for later openings of the same file."""
        return Survey(self.length, self.peak, self._state_at_opening)

    @property
    def truncated(self) -> bool:
        """Whether the file contains fewer samples than its header declares."""
        return self.length < self.declared_length

    def read(self, start: int, stop: int) -> Samples:
        """Return samples `start` to `stop` as float64, (channels, samples)."""
        if start < self._stored_start or start > self._end + self._chunk:
            self._go_to(start)
        while self._end < stop:
            decoded = self._decode(min(self._chunk, stop - self._end))
            if decoded.shape[1] == 0:
                raise self._changed()
            self._stored.append(decoded)
            self._end += decoded.shape[1]
            self._drop(start - min(_STORED_SECONDS * self.sample_rate, _STORED_VALUES // self.channels))
        result = np.empty((self.channels, stop - start))
        position = self._stored_start
        for samples in self._stored:
            first, last = max(start, position), min(stop, position + samples.shape[1])
            if first < last:
                result[:, first - start : last - start] = samples[:, first - position : last - position]
            position += samples.shape[1]
        return result

    def cut(self, start: int, stop: int) -> Passage:
        """Return samples `start` to `stop` as a source of their own, which reads from this file.

        Raises
        ------
        AudioFileError
            If the passage is empty or lies outside the file.
        """
        return Passage(self, start, stop)

    def sha256(self) -> str:
        """Return the SHA-256 hash of the bytes of the file, in hexadecimal.

        Raises
        ------
        AudioFileError
            If the file has changed since it was opened.
        """
        position, digest = self._stream.tell(), hashlib.sha256()
        self._stream.seek(0)
        while content := self._stream.read(1 << 20):
            digest.update(content)
        self._stream.seek(position)
        self.check_unchanged()
        return digest.hexdigest()

    def check_unchanged(self) -> None:
        """Raise AudioFileError if the file has changed since it was opened."""
        if _state(self._stream) != self._state_at_opening:
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
        return f"AudioFile({self.label!r}, {self.channels} channels, {self.length} samples)"

    @property
    def _chunk(self) -> int:
        return max(1, _CHUNK_VALUES // self.channels)

    @property
    def stem_names(self) -> tuple[str, ...]:
        """Names of the stems in a stem file (`.stem.mp4`), whose first track is the mixture."""
        return names_in(self._stream) if self.tracks > 1 else ()

    def _notices(self, defect: str) -> Iterator[str]:
        """Yield what the user should know about the file."""
        if defect:
            yield f"{defect}, which were used"
        if self.tracks > 1 and self._track == 0:
            if names := self.stem_names:
                yield f"it is a stem file: its mixture was used, and not its stems {', '.join(names)}"
            else:
                yield f"it has {self.tracks} audio tracks, and the first was used: pass track=... for another"

    def _defect(self) -> str:
        if self._repair and self._repair.warning:
            return f"{self._repair.warning}; it contains {self.length} samples"
        if self.truncated:
            return f"the file ends early: it contains {self.length} of {self.declared_length} samples"
        return ""

    def _known(self, survey: Survey) -> tuple[int, float]:
        """Return the length and the peak that an earlier opening found, if the file is still the same."""
        if survey.state != self._state_at_opening:
            raise self._changed()
        return survey.length, survey.peak

    def _survey(self) -> tuple[int, float]:
        """Decode the whole file; return the number of samples and the peak."""
        length, peak = 0, 0.0
        for samples in self._all():
            check_finite(samples, self.label, length, self.sample_rate)
            length += samples.shape[1]
            peak = max(peak, float(np.abs(samples).max()))
        if length == 0:
            raise AudioFileError(f"{self.label}: it contains no samples: record or export it again")
        return length, peak

    def _all(self) -> Iterator[Samples]:
        """Yield all samples piece by piece; in a damaged file, those before the damaged part."""
        length = 0
        try:
            while (samples := self._decode(self._chunk)).shape[1]:
                yield samples
                length += samples.shape[1]
        except AudioFileError:
            self._rewind()
            intact = list(self._before_damage(length))
            if length + sum(samples.shape[1] for samples in intact) in (0, int(self._file.frames)):
                raise
            yield from intact

    def _before_damage(self, start: int) -> Iterator[Samples]:
        """Yield the samples from `start` to the position at which decoding fails, in small pieces."""
        for first in range(0, start, self._chunk):
            self._decode(min(self._chunk, start - first))
        with contextlib.suppress(AudioFileError):
            while (samples := self._decode(_SALVAGED)).shape[1]:
                yield samples

    def _decode(self, count: int) -> Samples:
        try:
            decoded: Samples = self._file.read(count, dtype="float64", always_2d=True)
        except (RuntimeError, AssertionError) as error:
            raise _unreadable(self.label, error) from None
        return decoded.T if self._order is None else decoded.T[self._order]

    def _rewind(self) -> None:
        # The file is opened again because seeking is not exact in every compressed format.
        self.check_unchanged()
        self._file.close()
        self._file = self._decoder()
        self._clear(0)

    def _go_to(self, position: int) -> None:
        """Continue decoding at a sample: by seeking where that is exact, else from the start of the file."""
        exact = self.encoding.format in _EXACT_SEEKING and self.encoding.exact and not self.truncated
        if exact and self._repair is None:
            self.check_unchanged()
            with contextlib.suppress(RuntimeError):
                if self._file.seek(position) == position:
                    self._clear(position)
                    return
        if position < self._stored_start:
            self._rewind()

    def _clear(self, position: int) -> None:
        self._stored: list[Samples] = []
        self._stored_start = self._end = position

    def _drop(self, before: int) -> None:
        """Remove the stored pieces that end before a sample."""
        while self._stored and self._stored_start + self._stored[0].shape[1] <= before:
            self._stored_start += self._stored.pop(0).shape[1]

    def _decoder(self) -> Any:
        """Return a decoder at the start of the file: libsndfile, or one for other containers."""
        self._stream.seek(0)
        if fault := wave_fault(self._stream):
            raise _unreadable(self.label, ValueError(fault))
        self._stream.seek(0)
        try:
            if self._repair:
                return soundfile.SoundFile(RepairedFile(self._stream, self._repair))
            file = soundfile.SoundFile(self._stream.fileno(), closefd=False)
            if file.frames < _UNKNOWN_LENGTH:
                return file
            file.close()
            self._stream.seek(0)
            return _SequentialFile(self._stream.fileno(), closefd=False)
        except (RuntimeError, TypeError, ValueError) as error:
            if self._repair is None and (repair := minimal_header(self._stream)):
                self._repair = repair
                return self._decoder()
            self._stream.seek(0)
            decoder = containers.open_decoder(self._stream, self.label, self._track)
            if decoder is None:
                raise _unreadable(self.label, error) from None
            return decoder

    def _changed(self) -> AudioFileError:
        return AudioFileError(f"{self.label}: it changed while it was read: run the command again")


class _SequentialFile(soundfile.SoundFile):  # type: ignore[misc]
    """A file of unknown length, in which `soundfile` must not seek: seeking to its end fails."""

    def seekable(self) -> bool:
        """Return False, so that `read` does not seek."""
        return False


def wave_fault(stream: IO[bytes]) -> str | None:
    """Return a description of an error in the format chunk that libsndfile does not detect, or None."""
    head = stream.read(_WAVE_HEAD)
    if head[:4] not in (b"RIFF", b"RIFX", b"RF64") or head[8:12] != b"WAVE":
        return None
    order: Literal["big", "little"] = "big" if head[:4] == b"RIFX" else "little"
    offset = 12
    while offset + 8 <= len(head):
        size = int.from_bytes(head[offset + 4 : offset + 8], order)
        if head[offset : offset + 4] == b"fmt ":
            return f"its format chunk has {size} bytes instead of 16 or more" if size < 16 else None
        offset += 8 + size + size % 2
    return None


def _state(stream: IO[bytes]) -> tuple[int, int]:
    status = os.fstat(stream.fileno())
    return status.st_size, status.st_mtime_ns


def _unreadable(label: str, error: Exception) -> AudioFileError:
    reason = str(getattr(error, "error_string", error)).strip().rstrip(".")
    return AudioFileError(f"{label}: not readable as audio ({reason}): convert it to WAV or FLAC first")
