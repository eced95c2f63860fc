"""Writing: encodings, and stems that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import soundfile
from numpy.typing import NDArray

from nmfaudio.errors import OptionError, OutputError
from nmfaudio.sound.audio import Encoding, Samples
from nmfaudio.sound.exact import split_integers

_WAV_LIMIT = (1 << 32) - (1 << 16)  # bytes of samples that the 32-bit sizes of a WAV file can count

_EXTENSIONS = {
    "WAV": "wav",
    "WAVEX": "wav",
    "RF64": "wav",
    "W64": "w64",
    "AIFF": "aiff",
    "FLAC": "flac",
    "CAF": "caf",
    "AU": "au",
    "OGG": "ogg",
    "MP3": "mp3",
}


def stem_encoding(source: Encoding, format: str | None = None, subtype: str | None = None) -> Encoding:
    """Choose the encoding of stems: the source's where it is exact, else WAV with float samples.

    Parameters
    ----------
    source : Encoding
        Of the mixture.
    format, subtype : str, optional
        What the user asks for, in libsndfile's words (`wav`, `flac`, `opus`, ...; `PCM_16`, `FLOAT`, ...).

    Raises
    ------
    OptionError
        When libsndfile cannot write it; the message lists what it can.

    Examples
    --------
    >>> stem_encoding(Encoding("MP3", "MPEG_LAYER_III"))
    Encoding(format='WAV', subtype='FLOAT')
    >>> stem_encoding(Encoding("WAV", "PCM_24"), format="flac")
    Encoding(format='FLAC', subtype='PCM_24')
    """
    kept = source if source.exact and source.format in _EXTENSIONS else Encoding("WAV", "FLOAT")
    if source.exact and kept is not source:
        kept = Encoding("WAV", source.subtype if soundfile.check_format("WAV", source.subtype) else "FLOAT")
    if format is not None:
        kept = _in_format(kept, format.upper())
    if subtype is None:
        return kept
    if not soundfile.check_format(kept.format, subtype.upper()):
        known = ", ".join(soundfile.available_subtypes(kept.format))
        raise OptionError(f"subtype {subtype!r} does not exist in {kept.format}: use one of {known}")
    return Encoding(kept.format, subtype.upper())


def extension(encoding: Encoding) -> str:
    """Return the file name's ending for an encoding, without a dot."""
    return "opus" if encoding.subtype == "OPUS" else _EXTENSIONS[encoding.format]


def _in_format(kept: Encoding, format: str) -> Encoding:
    if format == "OPUS":
        return Encoding("OGG", "OPUS")
    format = {"AIF": "AIFF", "AIFC": "AIFF"}.get(format, format)
    if format not in _EXTENSIONS:
        known = ", ".join([*(name.lower() for name in _EXTENSIONS), "opus"])
        raise OptionError(f"format {format.lower()!r} cannot be written: use one of {known}")
    for subtype in (kept.subtype, "PCM_24" if kept.subtype != "PCM_16" else "PCM_16"):
        if soundfile.check_format(format, subtype):
            return Encoding(format, subtype)
    return Encoding(format, soundfile.default_subtype(format))


@dataclass
class WrittenStem:
    """A stem on disk: where it is, its peak (full scale 1), its energy, and how many samples were clipped."""

    path: Path
    peak: float = 0.0
    energy: float = 0.0
    clipped: int = 0


class StemFiles:
    """Writes all stems of one mixture side by side; none appears under its name before all are whole.

    Samples go to temporary files beside their targets. `commit` flushes them all, then renames one after the
    other. Leaving the context without it removes them, and every folder that was made for them.

    Parameters
    ----------
    paths : mapping of str to Path
        Where each stem goes, in the order in which `write` takes them.
    sample_rate, channels, length : int
        Of the mixture.
    encoding : Encoding
        Of the stems.
    overwrite : bool
        Whether files of these names may be replaced.

    Raises
    ------
    OutputError
        When a target exists and may not be replaced, or nothing can be written there.
    """

    def __init__(
        self,
        paths: Mapping[str, Path],
        sample_rate: int,
        channels: int,
        length: int,
        encoding: Encoding,
        *,
        overwrite: bool = False,
    ) -> None:
        self.encoding = encoding
        self.stems = {name: WrittenStem(path) for name, path in paths.items()}
        self._temporary: dict[str, Path] = {}
        self._files: dict[str, Any] = {}
        self._made: list[Path] = []
        self._committed = False
        if not overwrite:
            check_absent(paths.values())
        try:
            for name, path in paths.items():
                self._made += make_folder(path.parent)
                self._temporary[name] = temporary_name(path)
                self._files[name] = self._create(self._temporary[name], sample_rate, channels, length)
        except BaseException:
            self.discard()
            raise

    def write(self, mixture: Samples, stems: Mapping[str, Samples]) -> None:
        """Append samples (channels, samples) of every stem; integers sum exactly to the mixture's."""
        bits = self.encoding.bits
        if bits is None:
            for name, samples in stems.items():
                self._append(name, samples, samples, 0)
            return
        integers = split_integers(mixture, list(stems.values()), bits)
        for (name, samples), (values, clipped) in zip(stems.items(), integers, strict=True):
            self._append(name, samples, (values << (32 - bits)).astype(np.int32), clipped)

    def commit(self) -> None:
        """Flush every file to the disk and give it its name."""
        for name, file in self._files.items():
            with _writing(self.stems[name].path):
                file.close()
                flush(self._temporary[name])
        for name, temporary in self._temporary.items():
            with _writing(self.stems[name].path):
                os.replace(temporary, self.stems[name].path)
        self._committed = True

    def discard(self) -> None:
        """Remove what was written, and the folders that were made for it where they are empty."""
        for file in self._files.values():
            with contextlib.suppress(soundfile.SoundFileRuntimeError):
                file.close()
        for temporary in self._temporary.values():
            temporary.unlink(missing_ok=True)
        for folder in reversed(self._made):
            with contextlib.suppress(OSError):
                folder.rmdir()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._committed:
            self.discard()

    def _create(self, path: Path, sample_rate: int, channels: int, length: int) -> Any:
        size = length * channels * {"DOUBLE": 8, "FLOAT": 4}.get(self.encoding.subtype, 4)
        large = self.encoding.format in ("WAV", "WAVEX") and size > _WAV_LIMIT
        format = "RF64" if large else self.encoding.format
        with _writing(path, f"{channels} channels at {sample_rate} Hz as {format} {self.encoding.subtype}"):
            return soundfile.SoundFile(
                path, "w", sample_rate, channels, subtype=self.encoding.subtype, format=format
            )

    def _append(self, name: str, samples: Samples, values: NDArray[Any], clipped: int) -> None:
        stem = self.stems[name]
        with _writing(stem.path):
            self._files[name].write(np.ascontiguousarray(values.T))
        stem.peak = max(stem.peak, float(np.abs(samples).max(initial=0.0)))
        stem.energy += float(np.vdot(samples, samples).real)
        stem.clipped += clipped


def check_absent(paths: Iterable[Path]) -> None:
    """Raise OutputError when one of the paths exists."""
    for path in paths:
        if os.path.lexists(path):
            raise OutputError(f"{path} exists: pass --overwrite (overwrite=True), or choose another folder")


def make_folder(folder: Path) -> list[Path]:
    """Make a folder and its parents; return those that were not there before, outermost first."""
    missing = [f for f in (folder, *folder.parents) if not f.exists()]
    with _writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return missing[::-1]


def check_folder(path: Path) -> None:
    """Raise OutputError when the folder of a file that is to be written is missing or is not writable."""
    if not path.parent.is_dir():
        raise OutputError(f"{path}: the folder {path.parent} does not exist: make it first")
    if not os.access(path.parent, os.W_OK):
        raise OutputError(f"{path}: the folder {path.parent} is not writable: choose another")


def temporary_name(path: Path) -> Path:
    """Return a name beside `path` that nobody else uses."""
    return path.with_name(f".nmfaudio-{secrets.token_hex(6)}.part")


def flush(path: Path) -> None:
    """Wait until a file's content is on the disk."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomically(path: Path, content: bytes) -> None:
    """Write a small file that appears under its name whole or not at all.

    Raises
    ------
    OutputError
        When it cannot be written.
    """
    temporary = temporary_name(path)
    with _writing(path):
        try:
            temporary.write_bytes(content)
            flush(temporary)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def _writing(path: Path, what: str = "") -> Iterator[None]:
    """Turn the failures of writing to `path` into OutputError."""
    try:
        yield
    except (OSError, soundfile.SoundFileRuntimeError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise OutputError(f"{path}: cannot be written{what and f' with {what}'} ({reason})") from None
