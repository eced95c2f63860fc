"""Where stems go, and the manifest that lies beside them."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import platform
import string
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from nmfaudio.errors import OptionError
from nmfaudio.separators.contract import Components, Separator
from nmfaudio.sound.audio import Encoding, Samples, SampleSource
from nmfaudio.sound.writing import (
    StemFiles,
    WrittenStem,
    check_absent,
    extension,
    make_folder,
    write_atomically,
)

DEFAULT_FILENAME = "{track}/{stem}.{ext}"
_FIELDS = {"track", "stem", "ext"}
_LONGEST_NAME = 255  # bytes of one part of a path on every common file system
_ROOM = 40  # of them for the stem's name and its ending where the track shares the part


@dataclass(frozen=True)
class Target:
    """Where stems of one mixture go and how they are encoded.

    Parameters
    ----------
    folder : Path
        Everything stays inside it.
    track : str
        What to call the mixture.
    encoding : Encoding
    filename : str
        A pattern of `{track}`, `{stem}` and `{ext}`.
    overwrite : bool
        Whether files that exist may be replaced.
    """

    folder: Path
    track: str
    encoding: Encoding
    filename: str = DEFAULT_FILENAME
    overwrite: bool = False

    def __post_init__(self) -> None:
        check_filename(self.filename)

    def stem(self, name: str) -> Path:
        """Return where the stem of that name goes."""
        return self._path(name, extension(self.encoding))

    @property
    def manifest(self) -> Path:
        """Where the manifest goes."""
        return self._path("manifest", "json")

    def check_free(self, sources: Iterable[str]) -> None:
        """Raise OutputError when a file is there already and may not be replaced."""
        if not self.overwrite:
            check_absent([*(self.stem(name) for name in sources), self.manifest])

    def _path(self, stem: str, ext: str) -> Path:
        track = _safe_track(self.track)
        return self.folder / self.filename.format(track=track, stem=stem, ext=ext)


@dataclass(frozen=True)
class Result:
    """What is told of a finished separation, whatever kept its stems.

    Attributes
    ----------
    separator : Separator
        With all its options.
    components : Components or None
    notes, warnings : tuple of str
    seconds : float
        Wall time of separating.
    """

    separator: Separator
    components: Components | None
    notes: tuple[str, ...]
    warnings: tuple[str, ...]
    seconds: float


@dataclass(frozen=True)
class Written:
    """Stems on disk.

    Attributes
    ----------
    stems : dict of str to WrittenStem
    manifest : Path
    result : Result
    warnings : tuple of str
        Those of the result and those of writing.
    """

    stems: dict[str, WrittenStem]
    manifest: Path
    result: Result
    warnings: tuple[str, ...]

    @property
    def shares(self) -> dict[str, float]:
        """Part of the stems' energy in each stem."""
        total = sum(stem.energy for stem in self.stems.values())
        return {n: s.energy / total if total > 0 else 1 / len(self.stems) for n, s in self.stems.items()}


def write_stems(
    source: SampleSource,
    sources: Iterable[str],
    pieces: Iterable[tuple[Samples, Mapping[str, Samples]]],
    target: Target,
) -> dict[str, WrittenStem]:
    """Write stems, given piece by piece with the mixture, so that all appear whole or none does.

    Raises
    ------
    OutputError
        When they cannot be written.
    """
    paths = {name: target.stem(name) for name in sources}
    form = (source.sample_rate, source.channels, source.length, target.encoding)
    with StemFiles(paths, *form, overwrite=target.overwrite) as files:
        for mixture, parts in pieces:
            files.write(mixture, parts)
        files.commit()
        return files.stems


def finish(source: SampleSource, stems: dict[str, WrittenStem], target: Target, result: Result) -> Written:
    """Write the manifest of stems that are written."""
    warnings = (*result.warnings, *_clipping(stems, target.encoding))
    written = Written(stems, target.manifest, result, warnings)
    content = json.dumps(_manifest(source, written, target), indent=2, default=_plain, ensure_ascii=False)
    make_folder(target.manifest.parent)
    write_atomically(target.manifest, (content + "\n").encode("utf-8", "surrogateescape"))
    return written


def check_filename(pattern: str) -> None:
    """Check a pattern for names of stems.

    Raises
    ------
    OptionError
        When it has unknown fields, no `{stem}`, or could leave its folder.

    Examples
    --------
    >>> check_filename("{track} - {stem}.{ext}")
    """
    try:
        parts = list(string.Formatter().parse(pattern))
    except ValueError as error:
        raise OptionError(
            f"filename {pattern!r} is not a pattern ({error}): try {DEFAULT_FILENAME!r}"
        ) from None
    fields = {name for _, name, _, _ in parts if name is not None}
    if "stem" not in fields or not fields <= _FIELDS or any(spec or conv for _, _, spec, conv in parts):
        raise OptionError(
            f"filename {pattern!r} must be made of {{track}}, {{stem}} and {{ext}}, with {{stem}} in it: "
            f"try {DEFAULT_FILENAME!r}"
        )
    folders = pattern.replace("\\", "/").split("/")
    if Path(pattern).is_absolute() or ".." in folders or "" in folders:
        raise OptionError(f"filename {pattern!r} must stay inside the output folder: leave out '..' and '/'")


def track_name(path: str | os.PathLike[str]) -> str:
    """Return what to call a file's stems: its name without the ending.

    Examples
    --------
    >>> track_name("takes/song.v1.2.final.wav")
    'song.v1.2.final'
    """
    return Path(path).stem


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def options_of(separator: Separator) -> dict[str, Any]:
    """Return the options of a separator by name."""
    return dataclasses.asdict(separator) if dataclasses.is_dataclass(separator) else {}


def _safe_track(track: str) -> str:
    """Make a track's name safe as a part of a path: no separators, not hidden, not too long."""
    cleaned = "".join("_" if c in "/\\\0" else c for c in track)
    cleaned = cleaned if cleaned.strip(". ") else "track"
    longest = _LONGEST_NAME - _ROOM
    return (
        os.fsencode(cleaned)[:longest].decode("utf-8", "ignore") if len(cleaned) > longest // 4 else cleaned
    )


def _clipping(stems: Mapping[str, WrittenStem], encoding: Encoding) -> list[str]:
    told = []
    for name, stem in stems.items():
        if stem.clipped:
            over = 20 * np.log10(stem.peak)
            told.append(
                f"{name}: {stem.clipped} samples beyond full scale (peak {over:+.1f} dBFS) were clipped in "
                f"{encoding.subtype}, and there the stems do not sum to the mixture: use --subtype FLOAT"
            )
    return told


def _manifest(source: SampleSource, written: Written, target: Target) -> dict[str, Any]:
    result, path = written.result, getattr(source, "path", None)
    kind = type(result.separator)
    return {
        "nmfaudio": version("nmfaudio"),
        "python": platform.python_version(),
        "libraries": {name: version(name) for name in ("numpy", "scipy", "numba", "soundfile")},
        "input": {
            "file": os.fspath(path) if path else None,
            "sha256": file_hash(path) if path else None,
            "sample_rate": source.sample_rate,
            "channels": source.channels,
            "samples": source.length,
            "peak": source.peak,
            "format": source.encoding.format,
            "subtype": source.encoding.subtype,
        },
        "separator": f"{kind.__module__}:{kind.__qualname__}",
        "options": options_of(result.separator),
        "output": {"format": target.encoding.format, "subtype": target.encoding.subtype},
        "stems": {
            name: {
                "file": os.path.relpath(stem.path, target.manifest.parent),
                "share": written.shares[name],
                "peak": stem.peak,
                "clipped": stem.clipped,
            }
            for name, stem in written.stems.items()
        },
        "factorization": _factorization(result.components),
        "notes": result.notes,
        "warnings": written.warnings,
        "seconds": round(result.seconds, 3),
    }


def _factorization(components: Components | None) -> dict[str, Any] | None:
    if components is None:
        return None
    found = components.factorization
    return {
        "beta": found.divergence.beta,
        "seed": found.seed,
        "iterations": found.looks,
        "objective": found.objective,
        "converged": found.converged,
        "labels": components.labels,
        "shares": components.shares,
    }


def _plain(value: object) -> object:
    """Numbers and arrays of numpy as those of Python; all else by name."""
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else str(value)
