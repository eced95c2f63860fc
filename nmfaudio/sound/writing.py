"""Writing: encodings, and stems that appear whole or not at all."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from weakref import WeakSet

import numpy as np
import soundfile
from numpy.typing import NDArray

from nmfaudio.errors import OptionError, OutputError
from nmfaudio.sound.audio import Encoding, Samples
from nmfaudio.sound.exact import split_integers
from nmfaudio.sound.interrupts import Deferred
from nmfaudio.sound.part import Part, exists, flush_folder, sweep, writing

_LIMIT = (1 << 32) - (1 << 16)  # bytes of samples that 32-bit sizes in a header can count
_COUNTED_IN_32_BITS = ("WAV", "WAVEX", "AIFF", "AU")

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


def float_encoding(encoding: Encoding) -> Encoding:
    """Return the encoding with float samples: in the same format where it has them, else in WAV."""
    kept = soundfile.check_format(encoding.format, "FLOAT")
    return Encoding(encoding.format if kept else "WAV", "FLOAT")


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
    """A stem on disk: where it is, its peak (full scale 1), energy, number of clipped samples, and size."""

    path: Path
    peak: float = 0.0
    energy: float = 0.0
    clipped: int = 0
    bytes: int = 0


@dataclass(frozen=True)
class Form:
    """What all stems of a mixture have in common.

    Attributes
    ----------
    sample_rate, channels, length : int
        Of the mixture.
    encoding : Encoding
        Of the stems.
    tags : mapping of str to str
        Such as `artist`; written where the format has a place for them.
    """

    sample_rate: int
    channels: int
    length: int
    encoding: Encoding
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        """Size of one stem's samples; 0 where the format compresses them."""
        width = {"DOUBLE": 8, "FLOAT": 4}.get(self.encoding.subtype, (self.encoding.bits or 0) // 8)
        return 0 if self.encoding.format == "FLAC" else self.length * self.channels * width

    @property
    def format(self) -> str:
        """The container: RF64 where a WAV file would be too large."""
        large = self.encoding.format in ("WAV", "WAVEX") and self.bytes > _LIMIT
        return "RF64" if large else self.encoding.format

    @property
    def described(self) -> str:
        """What it is, for messages."""
        return f"{self.channels} channels at {self.sample_rate} Hz as {self.format} {self.encoding.subtype}"

    def open(self, file: Any) -> Any:
        """Return a libsndfile writer of this form into a file."""
        return soundfile.SoundFile(
            file, "w", self.sample_rate, self.channels, subtype=self.encoding.subtype, format=self.format
        )

    def check(self, path: Path) -> None:
        """Raise OutputError where the format does not know such channels, rates or lengths."""
        with writing(path, f"{self.described}: resample it, or use another --format"), Deferred():
            self.open(io.BytesIO()).close()
        if self.format in _COUNTED_IN_32_BITS and self.bytes > _LIMIT:
            size = f"{self.bytes / 1e9:.1f} GB of samples"
            raise OutputError(
                f"{path}: {size} do not fit into {self.format}, which counts 4 GB: use --format wav (which "
                "becomes RF64), w64 or flac"
            )

    def check_room(self, folder: Path, stems: int) -> None:
        """Raise OutputError where so many stems surely do not fit on the disk."""
        needed = stems * self.bytes
        with contextlib.suppress(OSError):
            free = shutil.disk_usage(folder).free
            if needed > free:
                raise OutputError(
                    f"{folder}: {stems} stems need {needed / 1e9:.2f} GB, and {free / 1e9:.2f} GB are free: "
                    "make room, choose another folder, or use --format flac"
                )


class StemFiles:
    """Writes all stems of one mixture side by side; none appears under its name before all are whole.

    Samples go to unfinished files beside their targets. `commit` flushes them all, then gives them their
    names, one after the other. Leaving the context without it removes them, and every folder that was made
    for them. What dead processes left in the same folders is removed first.

    Parameters
    ----------
    paths : mapping of str to Path
        Where each stem goes, in the order in which `write` takes them.
    form : Form
    overwrite : bool
        Whether files of these names may be replaced.

    Raises
    ------
    OutputError
        When a target exists and may not be replaced, or nothing can be written there.
    """

    def __init__(self, paths: Mapping[str, Path], form: Form, *, overwrite: bool = False) -> None:
        self.form, self.encoding = form, form.encoding
        self.stems = {name: WrittenStem(path) for name, path in paths.items()}
        self._overwrite = overwrite
        self._parts: dict[str, Part] = {}
        self._files: dict[str, Any] = {}
        self._made: list[Path] = []
        if not overwrite:
            check_absent(paths.values())
        unfinished.add(self)
        try:
            for folder in dict.fromkeys(path.parent for path in paths.values()):
                with Deferred():
                    self._made += make_folder(folder)
                sweep(folder)
                form.check_room(folder, len(paths))
            for name, path in paths.items():
                form.check(path)
                self._create(name, path)
        except BaseException:
            self.discard()
            raise

    def write(self, mixture: Samples, stems: Mapping[str, Samples]) -> None:
        """Append samples (channels, samples) of every stem; integers sum exactly to the mixture's.

        Stems without a path take part in the sum and are not kept.
        """
        bits = self.encoding.bits
        if bits is None:
            for name, samples in stems.items():
                inside = samples if self.encoding.exact else np.clip(samples, -1, 1)
                self._append(name, samples, inside, int(np.count_nonzero(inside != samples)))
            return
        integers = split_integers(mixture, list(stems.values()), bits)
        for (name, samples), (values, clipped) in zip(stems.items(), integers, strict=True):
            self._append(name, samples, (values << (32 - bits)).astype(np.int32), clipped)

    def close(self) -> None:
        """Write all to the disk; nothing has its name yet."""
        for name, file in self._files.items():
            with writing(self.stems[name].path):
                with Deferred():
                    file.close()
                self._parts[name].flush()
                self.stems[name].bytes = self._parts[name].size

    def commit(self, documents: Mapping[Path, bytes] | None = None, obsolete: Iterable[Path] = ()) -> None:
        """Write all to the disk and give every file its name.

        Parameters
        ----------
        documents : mapping of Path to bytes, optional
            What else is to appear, after the stems.
        obsolete : iterable of Path
            What is removed then.
        """
        self.close()
        for path, content in (documents or {}).items():
            with writing(path), Deferred():
                self._made += make_folder(path.parent)
                self._parts[str(path)] = written = Part(path)
                written.write(content)
                written.flush()
        with Deferred():
            self._place(list(documents or {}))
            for path in obsolete:
                with contextlib.suppress(OSError):
                    path.unlink()
        for folder in {Path(p.target).parent for p in self._parts.values()}:
            flush_folder(folder)

    def discard(self) -> None:
        """Remove what was written, and the folders that were made for it where they are empty."""
        with Deferred():
            for file in self._files.values():
                with contextlib.suppress(OSError, RuntimeError, AssertionError):
                    file.close()
            for written in self._parts.values():
                written.discard()
            unfinished.discard(self)
            for folder in reversed(self._made):
                with contextlib.suppress(OSError):
                    folder.rmdir()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()

    def _create(self, name: str, path: Path) -> None:
        with writing(path, self.form.described), Deferred():
            self._parts[name] = sink = Part(path)
            try:
                file = self.form.open(sink)
            except (RuntimeError, AssertionError):
                sink.check()  # says more than libsndfile
                raise
            self._files[name] = file
            _write_tags(file, self.form.tags)
            sink.check()

    def _append(self, name: str, samples: Samples, values: NDArray[Any], clipped: int) -> None:
        if name not in self.stems:
            return
        stem = self.stems[name]
        with writing(stem.path):
            try:
                with Deferred():
                    self._files[name].write(np.ascontiguousarray(values.T))
            except (RuntimeError, AssertionError):
                self._parts[name].check()
                raise
            self._parts[name].check()
        stem.peak = max(stem.peak, float(np.abs(samples).max(initial=0.0)))
        stem.energy += float(np.vdot(samples, samples).real)
        stem.clipped += clipped

    def _place(self, documents: list[Path]) -> None:
        """Give every file its name; where one cannot have it, take back those of the others."""
        if self._overwrite:
            for path in documents:  # stands for stems that are whole and belong together
                path.unlink(missing_ok=True)
        placed = []
        try:
            for written in self._parts.values():
                with writing(written.target):
                    written.place(overwrite=self._overwrite)
                placed.append(written.target)
        except OutputError:
            if not self._overwrite:
                for path in placed:
                    path.unlink(missing_ok=True)
            raise


def _write_tags(file: Any, tags: Mapping[str, str]) -> None:
    for tag, value in tags.items():
        with contextlib.suppress(RuntimeError):  # a format without a place for it
            setattr(file, tag, value)


# Those that hold unfinished files: what ends the process at once discards them first.
unfinished: WeakSet[StemFiles] = WeakSet()


def check_absent(paths: Iterable[Path]) -> None:
    """Raise OutputError when one of the paths exists."""
    for path in paths:
        if os.path.lexists(path):
            raise exists(path)


def make_folder(folder: Path) -> list[Path]:
    """Make a folder and its parents; return those that were not there before, outermost first."""
    missing = [f for f in (folder, *folder.parents) if not f.exists()]
    with writing(folder):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except FileExistsError:
            raise NotADirectoryError(0, "there is a file of that name") from None
    return missing[::-1]


def check_folder(path: Path) -> None:
    """Raise OutputError when the folder of a file that is to be written is missing or is not writable."""
    if not path.parent.is_dir():
        raise OutputError(f"{path}: the folder {path.parent} does not exist: make it first")
    if not os.access(path.parent, os.W_OK):
        raise OutputError(f"{path}: the folder {path.parent} is not writable: choose another")


def write_atomically(path: Path, content: bytes) -> None:
    """Write a small file that appears under its name whole or not at all.

    Raises
    ------
    OutputError
        When it cannot be written.
    """
    with writing(path), Deferred():
        written = Part(path)
        try:
            written.write(content)
            written.flush()
            written.place(overwrite=True)
        finally:
            written.discard()
    flush_folder(path.parent)
