"""What an archive's folder of stems says: which files belong to it, which are done, and which failed."""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nmfaudio.cluster.outcome import Outcome
from nmfaudio.cluster.places import (
    Place,
    files_below,
    joined,
    place_of,
    read_bytes,
    remove,
    size,
    write_bytes,
)
from nmfaudio.cluster.task import Task
from nmfaudio.errors import InputError, NmfaudioError, OptionError

LIST_NAME = "archive.json"  # names all files of the archive, in the folder of the stems
_FAILED = "failed"  # name of the file beside the stems that says why there are none


@dataclass(frozen=True)
class ArchiveStatus:
    """How far an archive is.

    Attributes
    ----------
    done : tuple of str
        Files whose stems are complete.
    failed : dict of str to str
        Files that could not be separated, with the reason.
    missing : tuple of str
        Files without stems and without a failure.
    is_listed : bool
        Whether the folder has a list of all files; without it, none is known to be missing.
    """

    done: tuple[str, ...] = ()
    failed: dict[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    is_listed: bool = True


def shard_of(tasks: Sequence[Task], shard: str) -> list[Task]:
    """Return the part of the files that one job of an array takes: every n-th in the order of their names.

    Parameters
    ----------
    tasks : sequence of Task
        All files.
    shard : str
        Number of the part and number of all parts, such as `3/20`. Parts are counted from 1.

    Raises
    ------
    OptionError
        When the text has another form.
    """
    match = re.fullmatch(r"(\d+)/(\d+)", shard)
    number, count = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= number <= count:
        raise OptionError(f"shard {shard!r}: write it like 3/20, for the parts 1/20 to 20/20", option="shard")
    return sorted(tasks, key=lambda task: task.file)[number - 1 :: count]


def note_files(output: Place, tasks: Iterable[Task], filename: str) -> None:
    """Write the list of all files of an archive beside its stems; files of earlier runs stay listed.

    Raises
    ------
    OutputError
        When the list cannot be written.
    """
    present = {entry["file"]: entry for entry in _listed(output)}
    for task in tasks:
        present[task.file] = {
            "file": task.file,
            "stems": _relative(task.output, output),
            "filename": filename,
        }
    document = {"files": list(present.values())}
    write_bytes(joined(output, LIST_NAME), json.dumps(document, ensure_ascii=True).encode())


def note_outcome(task: Task, options: Mapping[str, Any], outcome: Outcome) -> None:
    """Write beside the stems why a file failed, or remove the note of an earlier failure.

    Nothing is written where the file failed because it has stems, which may not be replaced.
    """
    with contextlib.suppress(NmfaudioError, OSError):
        place = record_place(task.file, task.output, options, _FAILED)
        replaces = options.get("overwrite") or options.get("resume")
        if not outcome["ok"] and not replaces and exists_already(task, options):
            return
        if not outcome["ok"]:
            write_bytes(place, json.dumps({"file": task.file, "error": outcome["error"]}).encode())
        elif not isinstance(place, Path) or place.exists():
            remove(place)


def status(output: Place) -> ArchiveStatus:
    """Count the files of an archive that are done, failed, and missing.

    A manifest is written last, so a file with a manifest is done. A folder without a list of files, such as
    that of runs with a single file each, is described by its manifests.

    Raises
    ------
    InputError
        When the folder has no list of files and no manifest.
    """
    listed = _listed(output)
    present = set(files_below(output))
    if not listed:
        return _unlisted(output, present)
    done, missing, failures = list[str](), list[str](), dict[str, str]()
    for entry in listed:
        file, options = entry["file"], {"filename": entry["filename"]}
        manifest, failure = (
            os.path.normpath(str(record_place(file, Path(entry["stems"]), options, name)))
            for name in ("manifest", _FAILED)
        )
        if failure in present:
            failures[file] = _reason(joined(output, failure))
        elif manifest in present:
            done.append(file)
        else:
            missing.append(file)
    return ArchiveStatus(tuple(done), failures, tuple(missing))


def record_place(file: str, output: Place, options: Mapping[str, Any], name: str = "manifest") -> Place:
    """Return where the manifest of a file lies, or another JSON file beside it."""
    from nmfaudio.pipeline.target import DEFAULT_FILENAME, Target, track_name
    from nmfaudio.sound.opening import STANDARD_INPUT
    from nmfaudio.sound.source import Encoding

    pattern = options.get("filename") or DEFAULT_FILENAME
    track = "stdin" if file == STANDARD_INPUT else track_name(file.rstrip("/"))
    target = Target(Path(), track, Encoding(), filename=pattern)
    return joined(output, *target.record(name).parts)


def exists_already(task: Task, options: Mapping[str, Any]) -> Place | None:
    """Return the manifest of a file if it exists."""
    place = record_place(task.file, task.output, options)
    return place if size(place) is not None else None


def audio_seconds(outcome: Outcome) -> float:
    """Return the duration of the recording of an outcome, as its manifest says; 0 where it says nothing."""
    with contextlib.suppress(NmfaudioError, OSError, ValueError, KeyError, TypeError):
        content = read_bytes(place_of(outcome["manifest"]))
        return float(json.loads((content or b"").decode("utf-8", "surrogateescape"))["input"]["duration"])
    return 0.0


def _listed(output: Place) -> list[dict[str, str]]:
    content = read_bytes(joined(output, LIST_NAME))
    if content is None:
        return []
    try:
        files = json.loads(content)["files"]
        return [{key: str(entry[key]) for key in ("file", "stems", "filename")} for entry in files]
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{joined(output, LIST_NAME)}: it is damaged: remove it, and run again") from None


def _unlisted(output: Place, present: Iterable[str]) -> ArchiveStatus:
    """Return what the manifests and the notes of failures in a folder say."""
    done, failures = list[str](), dict[str, str]()
    for name in sorted(present):
        if name.endswith(".json"):
            with contextlib.suppress(NmfaudioError, ValueError, KeyError, TypeError):
                document = json.loads(
                    (read_bytes(joined(output, name)) or b"").decode("utf-8", "surrogateescape")
                )
                if "stems" in document:
                    done.append(str(document["input"]["file"]))
                else:
                    failures[str(document["file"])] = str(document["error"])
    if not done and not failures:
        raise InputError(f"{output}: it has no {LIST_NAME} and no manifest: name a folder of stems")
    return ArchiveStatus(tuple(done), failures, is_listed=False)


def _relative(inner: Place, output: Place) -> str:
    if isinstance(inner, Path) and isinstance(output, Path):
        return os.path.relpath(inner, output)
    return str(inner)[len(str(output)) :].strip("/")


def _reason(place: Place) -> str:
    with contextlib.suppress(NmfaudioError, ValueError, KeyError, TypeError):
        return str(json.loads(read_bytes(place) or b"")["error"])
    return "unknown"
