"""The manifest beside the stems: everything that is needed to make the same stems again."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import platform
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from nmfaudio.errors import InputError, OptionError
from nmfaudio.models.contract import Separator
from nmfaudio.models.labelled import LabelledFactorization
from nmfaudio.models.options import fingerprint, rules_of
from nmfaudio.pipeline.confidence import Confidence
from nmfaudio.pipeline.registry import Entry, entry_of
from nmfaudio.pipeline.regrouping import Regrouping
from nmfaudio.pipeline.target import Target, Written
from nmfaudio.sound.source import Encoding, SampleSource

_LARGEST = 64 << 20  # bytes; manifests have some kilobytes
_LIBRARIES = ("numpy", "scipy", "numba", "soundfile")
IN_MEMORY = "(in memory)"  # stands for the value of an option that is neither a number nor a text


def options_of(separator: Separator | Regrouping) -> dict[str, Any]:
    """Return the options of a separator by name."""
    return {field.name: getattr(separator, field.name) for field in _fields(separator)}


def request(separator: Separator | Regrouping, target: Target) -> dict[str, Any]:
    """Return what decides the stems of an input: versions, the separator, its options and their data.

    Options that read files, folders or data in memory are recorded by a hash of the content, so that a
    changed file makes another request. No other option is taken for the name of a file.
    """
    kind = type(separator)
    entry = entry_of(kind)
    settings = {
        "nmfaudio": version("nmfaudio"),
        "separator": f"{kind.__module__}:{kind.__qualname__}",
        "package": entry.package if entry else "unknown",
        "options": options_of(separator),
        "contents": contents_of(separator),
        "output": target.settings,
    }
    return dict(json.loads(json.dumps(settings, default=_plain)))


def contents_of(separator: Separator | Regrouping) -> dict[str, str]:
    """Return the hash of what each option reads that names files or folders or holds data.

    Raises
    ------
    InputError
        When a file cannot be read.
    """
    contents = {}
    for field in _fields(separator):
        value = getattr(separator, field.name)
        if rules_of(field).reads and value:
            try:
                contents[field.name] = fingerprint(value)
            except OSError as error:
                raise InputError(f"{error.filename}: cannot be read ({error.strerror})") from None
    return contents


def content(
    source: SampleSource,
    written: Written,
    target: Target,
    encoding: Encoding,
    kept: Mapping[Path, bytes] | None = None,
) -> bytes:
    """Return the manifest of stems that are written, as bytes.

    Parameters
    ----------
    source : SampleSource
        The mixture.
    written : Written
        The stems.
    target : Target
        Where stems go and how they were to be encoded.
    encoding : Encoding
        How the stems were encoded in the end.
    kept : mapping of Path to bytes, optional
        The file of components, where it is kept.
    """
    result = written.result
    document = {
        **request(result.separator, target),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "libraries": {name: version(name) for name in _LIBRARIES},
        "input": _input(source),
        "written": {
            "format": encoding.format,
            "subtype": encoding.subtype,
            "gain": written.gain,
            "metadata_lost": written.metadata_lost,
        },
        "stems": {
            name: {
                "file": os.path.relpath(stem.path, target.manifest.parent),
                "bytes": stem.bytes,
                "share": written.shares[name],
                "peak": stem.peak,
                "clipped": stem.clipped,
                **_confidence_entry(result.confidence.get(name)),
            }
            for name, stem in written.stems.items()
        },
        **({"labels": os.path.relpath(written.labels, target.manifest.parent)} if written.labels else {}),
        "factorization": _factorization(result.factorization),
        **_kept_entry(kept or {}, target),
        "notes": result.messages,
        "warnings": written.warnings,
        "seconds": round(result.seconds, 3),
    }
    text = json.dumps(document, indent=2, default=_plain, ensure_ascii=False)
    return (text + "\n").encode("utf-8", "surrogateescape")


def _confidence_entry(confidence: Confidence | None) -> dict[str, Any]:
    """Return the entry of the confidence in a stem; empty where nothing is known of it."""
    return {"confidence": confidence.entry} if confidence else {}


def _kept_entry(kept: Mapping[Path, bytes], target: Target) -> dict[str, Any]:
    """Return the entry of the kept components, which names their file and its hash."""
    entries = [
        {
            "file": os.path.relpath(path, target.manifest.parent),
            "bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
        }
        for path, content in kept.items()
    ]
    return {"components": entries[0]} if entries else {}


def load(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a manifest.

    Raises
    ------
    InputError
        When the file cannot be read or is not a manifest.
    """
    try:
        if os.path.getsize(path) > _LARGEST:
            raise InputError(f"{path}: it is too large for a manifest: name a manifest.json of nmfaudio")
        text = Path(path).read_bytes().decode("utf-8", "surrogateescape")
        document = json.loads(text)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: not a manifest ({error}): name a manifest.json of nmfaudio") from None
    parts = ("options", "input", "output", "stems")
    if not isinstance(document, dict) or not all(isinstance(document.get(part), dict) for part in parts):
        raise InputError(f"{path}: not a manifest of this version: it lacks {', '.join(parts)}")
    return document


def finished(target: Target, separator: Separator, source_hash: Callable[[], str]) -> dict[str, Any] | None:
    """Return the manifest of existing stems if a new run would make the same ones; else None.

    `source_hash` reads the whole recording, so it is called only where everything else is the same.
    """
    try:
        document = load(target.manifest)
        same = all(document.get(key) == value for key, value in request(separator, target).items())
        same = same and document["input"]["sha256"] == source_hash()
        return document if same and _is_whole(document, target) else None
    except (InputError, KeyError, TypeError, OSError):
        return None


def obsolete_files(target: Target, new_paths: Iterable[Path]) -> list[Path]:
    """Return the files of a manifest that is about to be replaced, except those that are written again."""
    try:
        document = load(target.manifest)
        kept = [document["components"]] if document.get("components") else []
        names = [str(entry["file"]) for entry in (*document["stems"].values(), *kept)]
        names.append(str(document.get("labels", "")))
    except (InputError, KeyError, TypeError, AttributeError):
        return []
    folder = target.manifest.parent
    inside = [folder / name for name in names if name and ".." not in Path(name).parts]
    new = {os.path.realpath(path) for path in new_paths}
    root = os.path.realpath(target.folder)
    return [
        path
        for path in inside
        if os.path.realpath(path) not in new
        and os.path.realpath(path).startswith(root + os.sep)
        and path.is_file()
    ]


def separator_name(document: Mapping[str, Any], entries: Mapping[str, Entry]) -> str:
    """Return the name of the separator of a manifest among the installed ones.

    Raises
    ------
    OptionError
        When it is not installed.
    """
    wanted = document.get("separator")
    for name, entry in entries.items():
        if any(point.value.replace(" ", "") == wanted for point in entry.points):
            return name
    raise OptionError(
        f"the separator {wanted!r} of the manifest is not installed: install the package that has it"
    )


def _fields(separator: Any) -> tuple[dataclasses.Field[Any], ...]:
    return dataclasses.fields(separator) if dataclasses.is_dataclass(separator) else ()


def _is_whole(document: Mapping[str, Any], target: Target) -> bool:
    folder = target.manifest.parent
    if target.label_path and not target.label_path.is_file():
        return False
    kept = [document["components"]] if document.get("components") else []
    entries = (*document["stems"].values(), *kept)
    return all(os.path.getsize(folder / entry["file"]) == entry["bytes"] for entry in entries)


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
        "tags": dict(source.metadata.tags),
    }


def _factorization(labelled: LabelledFactorization | None) -> dict[str, Any] | None:
    if labelled is None:
        return None
    factorization = labelled.factorization
    return {
        "beta": factorization.divergence.beta,
        "seed": factorization.seed,
        "iterations": factorization.measured_iterations,
        "objective": factorization.objective,
        "converged": factorization.converged,
        "labels": labelled.labels,
        "shares": labelled.shares,
    }


def _plain(value: object) -> object:
    """Return numbers and arrays of numpy as those of Python, paths as texts, and a mark for other data."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return os.fspath(value) if isinstance(value, os.PathLike) else IN_MEMORY
