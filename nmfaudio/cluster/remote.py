"""Separate a file where the recording, or its stems, lie behind a URL."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nmfaudio.cluster.archive import record_place
from nmfaudio.cluster.outcome import Outcome, succeeded
from nmfaudio.cluster.places import Place, file_system, is_url, joined, place_of, read_bytes, remove, size
from nmfaudio.errors import InputError, OutputError
from nmfaudio.pipeline.separation import separate_file
from nmfaudio.pipeline.target import Written

LARGEST_INPUT = 16 << 30  # bytes of a recording that is copied to the disk of a worker


@dataclass(frozen=True)
class RemoteRecording:
    """A recording behind a URL, which is copied to a temporary folder whenever it is read.

    Attributes
    ----------
    url : str
    """

    url: str

    @property
    def name(self) -> str:
        """The last part of the URL."""
        return self.url.rstrip("/").rpartition("/")[2]

    def fetched(self) -> AbstractContextManager[str]:
        """Provide the path of a copy.

        Raises
        ------
        InputError
            When the URL cannot be read.
        """
        return _fetched(self.url)


def recording_at(name: str | os.PathLike[str]) -> Path | RemoteRecording:
    """Return a recording that any worker can read: an absolute path, or a URL.

    Examples
    --------
    >>> recording_at("s3://sounds/oud/a.wav")
    RemoteRecording(url='s3://sounds/oud/a.wav')
    """
    place = place_of(os.fspath(name))
    return place.absolute() if isinstance(place, Path) else RemoteRecording(place)


def separate_remote(file: str, output: Place, separator: Any, **options: Any) -> Outcome:
    """Separate a file as `separate_file` does; the file and the folder of the stems may be URLs.

    A recording behind a URL is copied to a temporary folder. Stems for a URL are written to a temporary
    folder and uploaded when all are complete: each appears whole, and the manifest last.

    Parameters
    ----------
    file : str
        Path or URL of the recording.
    output : Path or str
        Folder of the stems, or its URL.
    separator, **options
        As for `separate_file`.

    Returns
    -------
    Outcome
        Paths of stems are URLs where `output` is one.

    Raises
    ------
    InputError, OutputError
        As for `separate_file`; also when a URL cannot be read or written.
    """
    with _fetched(file) as path:
        if isinstance(output, Path):
            written = separate_file(path, output, separator, **options)
            if is_url(file) and not written.already_there:
                _name_input(written.manifest, file)
            return succeeded(file, written)
        with tempfile.TemporaryDirectory(prefix="nmfaudio-") as folder:
            return _separate_and_upload(file, path, Path(folder), output, separator, options)


@contextmanager
def _fetched(file: str) -> Iterator[str]:
    """Provide the path of a recording; one behind a URL is copied to a temporary folder meanwhile."""
    place = place_of(file)
    if isinstance(place, Path):
        yield os.fspath(place) if file.startswith("file://") else file
        return
    system, path = file_system(place)
    with tempfile.TemporaryDirectory(prefix="nmfaudio-") as folder:
        local = os.path.join(folder, path.rpartition("/")[2])
        try:
            length = int(system.size(path) or 0)
            if length > LARGEST_INPUT:
                raise InputError(
                    f"{file}: it has {length / 1e9:.1f} GB; at most {LARGEST_INPUT / 1e9:.1f} GB"
                )
            system.get_file(path, local)
        except FileNotFoundError:
            raise InputError(f"{file}: cannot be opened (there is no such file)") from None
        except OSError as error:
            raise InputError(f"{file}: cannot be read ({error.strerror or error})") from None
        yield local


def _separate_and_upload(
    file: str, path: str, folder: Path, output: str, separator: Any, options: dict[str, Any]
) -> Outcome:
    place, local = record_place(file, output, options), record_place(path, folder, options)
    assert isinstance(local, Path)
    before = read_bytes(place)
    if before is not None:
        if not (options.get("overwrite") or options.get("resume")):
            raise OutputError(f"{place} exists: pass overwrite=True, or choose another folder")
        if options.get("resume"):
            _stand_ins(before, local, place)
    written = separate_file(path, folder, separator, **options)
    if not written.already_there:
        _name_input(written.manifest, file)
        _upload(written, folder, output)
    return _placed(succeeded(file, written), folder, output)


def _stand_ins(manifest: bytes, local: Path, place: Place) -> None:
    """Put the manifest of existing stems, and empty files of their sizes, where `resume` looks for them."""
    local.parent.mkdir(parents=True, exist_ok=True)
    local.write_bytes(manifest)
    base = place.rpartition("/")[0] if isinstance(place, str) else place.parent
    try:
        names = [str(stem["file"]) for stem in json.loads(manifest)["stems"].values()]
    except (ValueError, KeyError, TypeError, AttributeError):
        return
    for name in names:
        length = size(joined(base, name))
        if length is not None and ".." not in Path(name).parts and not Path(name).is_absolute():
            (local.parent / name).parent.mkdir(parents=True, exist_ok=True)
            with (local.parent / name).open("wb") as file:
                file.truncate(length)


def _upload(written: Written, folder: Path, output: str) -> None:
    """Upload stems, then the manifest. After an error, what was uploaded is removed again."""
    system, root = file_system(output)
    remove(_place(written.manifest, folder, output))  # a manifest means that the stems belong together
    paths = [*(stem.path for stem in written.stems.values()), *_beside(written), written.manifest]
    done: list[str] = []
    try:
        for path in paths:
            name = f"{root}/{path.relative_to(folder).as_posix()}"
            done.append(name)
            system.makedirs(name.rpartition("/")[0], exist_ok=True)
            system.put_file(os.fspath(path), name)
    except Exception as error:
        for name in done:
            remove(system.unstrip_protocol(name))
        reason = getattr(error, "strerror", None) or error
        raise OutputError(f"{output}: stems cannot be written there ({reason})") from None


def _beside(written: Written) -> list[Path]:
    """Return further files that were written beside the stems, such as a `.stem.mp4` file."""
    stems = {stem.path for stem in written.stems.values()}
    return sorted(p for p in written.manifest.parent.glob("*.stem.mp4") if p not in stems)


def _name_input(manifest: Path, file: str) -> None:
    """Let a manifest name the URL of the recording in place of its temporary copy."""
    if not is_url(file):
        return
    document = json.loads(manifest.read_bytes().decode("utf-8", "surrogateescape"))
    document["input"]["file"] = file
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    from nmfaudio.disk.atomic import write_atomically

    write_atomically(manifest, text.encode("utf-8", "surrogateescape"))


def _place(path: Path, folder: Path, output: str) -> str:
    return f"{output}/{path.relative_to(folder).as_posix()}"


def _placed(outcome: Outcome, folder: Path, output: str) -> Outcome:
    """Return the same outcome with URLs in place of temporary paths."""
    stems = {
        name: {**stem, "path": _place(Path(stem["path"]), folder, output)}
        for name, stem in outcome["stems"].items()
    }
    return {**outcome, "stems": stems, "manifest": _place(Path(outcome["manifest"]), folder, output)}
