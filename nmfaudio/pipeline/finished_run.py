"""A finished run: the folder with its stems, its manifest and, where it kept them, its components."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from nmfaudio.errors import InputError
from nmfaudio.models.components import Components
from nmfaudio.models.components_file import read as read_components
from nmfaudio.models.options import file_hash
from nmfaudio.pipeline.manifest import load
from nmfaudio.sound.files import AudioFile

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class FinishedRun:
    """A finished run on disk.

    Attributes
    ----------
    path : Path
        The manifest.
    document : dict
        Content of the manifest.
    stem_paths : dict of str to Path
        Paths of the stems by name.
    """

    path: Path
    document: dict[str, Any]
    stem_paths: dict[str, Path]

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> FinishedRun:
        """Read the manifest of a run and check that its stems are there and have not changed.

        Parameters
        ----------
        path : path-like
            The folder of the stems of one recording, or its manifest.

        Raises
        ------
        InputError
            When there is no manifest, or a stem is missing or has another size.
        """
        given = Path(path)
        manifest = given / MANIFEST if given.is_dir() else given
        if given.is_dir() and not manifest.is_file():
            raise InputError(_without_manifest(given))
        document = load(manifest)
        try:
            stems = {name: manifest.parent / str(stem["file"]) for name, stem in document["stems"].items()}
            sizes = {name: int(stem["bytes"]) for name, stem in document["stems"].items()}
        except (KeyError, TypeError, ValueError):
            raise InputError(f"{manifest}: its list of stems is malformed: separate again") from None
        for name, stem in stems.items():
            _check_size(stem, sizes[name])
        if not stems:
            raise InputError(f"{manifest}: it lists no stems: separate again")
        return cls(manifest, document, stems)

    @property
    def folder(self) -> Path:
        """Folder of the manifest."""
        return self.path.parent

    @property
    def track(self) -> str:
        """Name of the recording."""
        file = self.document["input"].get("file")
        return Path(file).stem if file else self.folder.name

    @cached_property
    def components(self) -> Components:
        """The components that the run kept.

        Raises
        ------
        InputError
            When it kept none, or the file is missing, changed or malformed.
        """
        entry = self.document.get("components")
        if not entry:
            raise InputError(
                f"{self.folder}: this run did not keep its components: separate again with --keep "
                "(keep=True), or name the recording itself"
            )
        path = self.folder / str(entry["file"])
        if not path.is_file():
            raise InputError(f"{path}: it is missing, so the components are lost: separate again with --keep")
        if file_hash(path) != entry.get("sha256"):
            raise InputError(f"{path}: it has changed since the separation: separate again with --keep")
        components = read_components(path)
        missing = [name for name in components.sources if name not in self.stem_paths]
        if missing or len(components.sources) != len(self.stem_paths):
            raise InputError(
                f"{self.folder}: the stems {', '.join(missing) or 'of the run'} were not written, so the "
                "components do not sum to the recording: separate again without --only and --except"
            )
        return components

    @contextmanager
    def opened_stems(self) -> Iterator[dict[str, AudioFile]]:
        """Open the stems; they are closed when the context is left."""
        with ExitStack() as stack:
            yield {name: stack.enter_context(AudioFile(path)) for name, path in self.stem_paths.items()}


def _without_manifest(folder: Path) -> str:
    inside = sorted(path.parent.name for path in folder.glob(f"*/{MANIFEST}"))
    if inside:
        return f"{folder}: it holds folders of runs: name one of them, such as {folder / inside[0]}"
    return f"{folder}: it has no {MANIFEST}: name the folder that `nmfaudio separate` wrote for a recording"


def _check_size(path: Path, size: int) -> None:
    try:
        present = path.stat().st_size
    except OSError as error:
        raise InputError(
            f"{path}: a stem of the run is missing ({error.strerror}): separate again with --overwrite"
        ) from None
    if present != size:
        raise InputError(
            f"{path}: it has {present} bytes, and the manifest says {size}: it was changed after the "
            "separation: separate again with --overwrite"
        )
