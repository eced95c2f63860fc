"""The manifest beside the stems: what was done, in all that is needed to do it again."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from nmfaudio.errors import InputError, OptionError
from nmfaudio.models.contract import Components, Separator
from nmfaudio.pipeline.target import Target, Written
from nmfaudio.sound.audio import Encoding, SampleSource

_LARGEST = 64 << 20  # bytes; a manifest has some kilobytes
_LIBRARIES = ("numpy", "scipy", "numba", "soundfile")


def options_of(separator: Separator) -> dict[str, Any]:
    """Return the options of a separator by name."""
    made: Any = separator
    names = [f.name for f in dataclasses.fields(made)] if dataclasses.is_dataclass(made) else []
    return {name: getattr(made, name) for name in names}


def file_hash(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def request(separator: Separator, target: Target) -> dict[str, Any]:
    """Return what was asked for: with the input and the version, it determines the stems."""
    kind = type(separator)
    options = options_of(separator)
    asked = {
        "nmfaudio": version("nmfaudio"),
        "separator": f"{kind.__module__}:{kind.__qualname__}",
        "options": options,
        "files": {value: file_hash(value) for value in sorted(_files_in(options.values()))},
        "output": target.asked,
    }
    return dict(json.loads(json.dumps(asked, default=_plain)))


def content(source: SampleSource, written: Written, target: Target, encoding: Encoding) -> bytes:
    """Return the manifest, as bytes, of stems that are written, in the end in this encoding."""
    result = written.result
    told = {
        **request(result.separator, target),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "libraries": {name: version(name) for name in _LIBRARIES},
        "input": _input(source),
        "written": {
            "format": encoding.format,
            "subtype": encoding.subtype,
            "gain": written.gain,
        },
        "stems": {
            name: {
                "file": os.path.relpath(stem.path, target.manifest.parent),
                "bytes": stem.bytes,
                "share": written.shares[name],
                "peak": stem.peak,
                "clipped": stem.clipped,
            }
            for name, stem in written.stems.items()
        },
        "factorization": _factorization(result.components),
        "notes": result.messages,
        "warnings": written.warnings,
        "seconds": round(result.seconds, 3),
    }
    text = json.dumps(told, indent=2, default=_plain, ensure_ascii=False)
    return (text + "\n").encode("utf-8", "surrogateescape")


def load(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a manifest.

    Raises
    ------
    InputError
        When it cannot be read, or is not a manifest.
    """
    try:
        if os.path.getsize(path) > _LARGEST:
            raise InputError(f"{path}: it is too large for a manifest: name a manifest.json of nmfaudio")
        text = Path(path).read_bytes().decode("utf-8", "surrogateescape")
        found = json.loads(text)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: not a manifest ({error}): name a manifest.json of nmfaudio") from None
    parts = ("options", "input", "output", "stems")
    if not isinstance(found, dict) or not all(isinstance(found.get(part), dict) for part in parts):
        raise InputError(f"{path}: not a manifest of this version: it lacks {', '.join(parts)}")
    return found


def done(target: Target, separator: Separator, source_hash: str) -> dict[str, Any] | None:
    """Return the manifest of stems that are there, whole, and those that a new run would give; else None."""
    try:
        found = load(target.manifest)
        same = all(found.get(key) == value for key, value in request(separator, target).items())
        return found if same and found["input"]["sha256"] == source_hash and _whole(found, target) else None
    except (InputError, KeyError, TypeError, OSError):
        return None


def older_stems(target: Target, kept: Mapping[str, Any]) -> list[Path]:
    """Return the stems of a manifest that is about to be replaced, but for those that are written anew."""
    try:
        names = [str(stem["file"]) for stem in load(target.manifest)["stems"].values()]
    except (InputError, KeyError, TypeError, AttributeError):
        return []
    folder = target.manifest.parent
    inside = [folder / name for name in names if name and ".." not in Path(name).parts]
    new = {os.path.realpath(path) for path in kept.values()}
    root = os.path.realpath(target.folder)
    return [
        path
        for path in inside
        if os.path.realpath(path) not in new
        and os.path.realpath(path).startswith(root + os.sep)
        and path.is_file()
    ]


def separator_name(found: Mapping[str, Any], known: Mapping[str, Any]) -> str:
    """Return the name of a manifest's separator among the installed ones.

    Raises
    ------
    OptionError
        When it is not installed.
    """
    wanted = found.get("separator")
    for name, entry in known.items():
        if any(point.value.replace(" ", "") == wanted for point in entry.points):
            return name
    raise OptionError(
        f"the manifest's separator {wanted!r} is not installed: install the package that has it"
    )


def _whole(found: Mapping[str, Any], target: Target) -> bool:
    folder = target.manifest.parent
    return all(os.path.getsize(folder / s["file"]) == s["bytes"] for s in found["stems"].values())


def _input(source: SampleSource) -> dict[str, Any]:
    path = getattr(source, "path", None)
    return {
        "file": os.path.abspath(path) if path else None,
        "sha256": source.sha256() if hasattr(source, "sha256") else None,
        "format": source.encoding.format,
        "subtype": source.encoding.subtype,
        "sample_rate": source.sample_rate,
        "channels": source.channels,
        "samples": source.length,
        "duration": source.length / source.sample_rate,
        "declared_samples": getattr(source, "declared_length", source.length),
        "peak": source.peak,
        "tags": dict(getattr(source, "tags", {})),
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


def _files_in(values: Any) -> set[str]:
    """Return the options, alone or in tuples, that are names of files."""
    found: set[str] = set()
    for value in values:
        if isinstance(value, (tuple, list)):
            found |= _files_in(value)
        elif isinstance(value, (str, os.PathLike)) and os.path.isfile(value):
            found.add(os.fspath(value))
    return found


def _plain(value: object) -> object:
    """Numbers and arrays of numpy as those of Python; all else by name."""
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else str(value)
