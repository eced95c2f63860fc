"""Writing: encodings, and stems that appear whole or not at all."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from weakref import WeakSet

import numpy as np
from numpy.typing import NDArray

from nmfaudio.disk.atomic import check_absent, make_folder
from nmfaudio.disk.partial_file import PartialFile, flush_folder, sweep, writing
from nmfaudio.disk.signals import DeferredSignals
from nmfaudio.errors import OutputError
from nmfaudio.sound.audio import Samples
from nmfaudio.sound.exact import split_integers
from nmfaudio.sound.stem_format import StemFormat


@dataclass
class WrittenStem:
    """A stem on disk: where it is, its peak (full scale 1), energy, number of clipped samples, and size."""

    path: Path
    peak: float = 0.0
    energy: float = 0.0
    clipped: int = 0
    bytes: int = 0


class StemFiles:
    """Writes all stems of one mixture side by side; none appears under its name before all are whole.

    Samples go to unfinished files beside their targets. `commit` flushes them all, then gives them their
    names, one after the other. Leaving the context without it removes them, and every folder that was made
    for them. What dead processes left in the same folders is removed first.

    Parameters
    ----------
    paths : mapping of str to Path
        Where each stem goes, in the order in which `write` takes them.
    form : StemFormat
    overwrite : bool
        Whether files of these names may be replaced.

    Raises
    ------
    OutputError
        When a target exists and may not be replaced, or nothing can be written there.
    """

    def __init__(self, paths: Mapping[str, Path], form: StemFormat, *, overwrite: bool = False) -> None:
        self.form, self.encoding = form, form.encoding
        self.stems = {name: WrittenStem(path) for name, path in paths.items()}
        self._overwrite = overwrite
        self._parts: dict[str, PartialFile] = {}
        self._files: dict[str, Any] = {}
        self._made: list[Path] = []
        if not overwrite:
            check_absent(paths.values())
        unfinished.add(self)
        try:
            for folder in dict.fromkeys(path.parent for path in paths.values()):
                with DeferredSignals():
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
                with DeferredSignals():
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
            with writing(path), DeferredSignals():
                self._made += make_folder(path.parent)
                self._parts[str(path)] = written = PartialFile(path)
                written.write(content)
                written.flush()
        with DeferredSignals():
            self._place(list(documents or {}))
            for path in obsolete:
                with contextlib.suppress(OSError):
                    path.unlink()
        for folder in {Path(p.target).parent for p in self._parts.values()}:
            flush_folder(folder)

    def discard(self) -> None:
        """Remove what was written, and the folders that were made for it where they are empty."""
        with DeferredSignals():
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
        with writing(path, self.form.described), DeferredSignals():
            self._parts[name] = sink = PartialFile(path)
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
                with DeferredSignals():
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
