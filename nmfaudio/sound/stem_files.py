"""Write the stems of a mixture so that all of them appear complete, or none does."""

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
from nmfaudio.disk.partial_file import PartialFile, convert_write_errors, flush_folder, remove_orphaned_files
from nmfaudio.disk.signals import DeferredSignals
from nmfaudio.errors import OutputError
from nmfaudio.sound.exact import split_integers
from nmfaudio.sound.source import Samples
from nmfaudio.sound.stem_format import StemFormat
from nmfaudio.sound.stem_writer import StemWriter


@dataclass
class WrittenStem:
    """A stem on disk: path, peak (full scale is 1), energy, number of clipped samples, and size in bytes."""

    path: Path
    peak: float = 0.0
    energy: float = 0.0
    clipped: int = 0
    bytes: int = 0


class StemFiles:
    """Writes all stems of a mixture at the same time; none gets its name before all are complete.

    Samples are written to temporary files in the folders of the targets. `commit` flushes all of them and
    then renames them. Leaving the context without `commit` removes the files and all folders that were made
    for them. Temporary files of ended processes in the same folders are removed first.

    Parameters
    ----------
    paths : mapping of str to Path
        Path of each stem, in the order of the stems passed to `write`.
    stem_format : StemFormat
        Format of the files.
    overwrite : bool
        Whether existing files of these names may be replaced.

    Raises
    ------
    OutputError
        If a target exists and may not be replaced, or cannot be written.
    """

    def __init__(
        self, paths: Mapping[str, Path], stem_format: StemFormat, *, overwrite: bool = False
    ) -> None:
        self.stem_format, self.encoding = stem_format, stem_format.encoding
        self.stems = {name: WrittenStem(path) for name, path in paths.items()}
        self.unwritten_energy = 0.0  # of the stems without a path
        self._overwrite = overwrite
        self._partial_files: dict[str, PartialFile] = {}
        self._writers: dict[str, StemWriter] = {}
        self._new_folders: list[Path] = []
        if not overwrite:
            check_absent(paths.values())
        unfinished_stem_files.add(self)
        try:
            for folder in dict.fromkeys(path.parent for path in paths.values()):
                with DeferredSignals():
                    self._new_folders += make_folder(folder)
                remove_orphaned_files(folder)
                stem_format.check_free_space(folder, len(paths))
            for name, path in paths.items():
                stem_format.check(path)
                self._create(name, path)
        except BaseException:
            self.discard()
            raise

    def write(self, mixture: Samples, stems: Mapping[str, Samples]) -> None:
        """Append samples (channels, samples) of every stem; integers sum exactly to those of the mixture.

        Stems without a path are part of the sum but are not written.
        """
        bits = self.encoding.bits
        if bits is None:
            for name, samples in stems.items():
                limited = samples if self.encoding.exact else np.clip(samples, -1, 1)
                self._append(name, samples, limited, int(np.count_nonzero(limited != samples)))
            return
        integers = split_integers(mixture, list(stems.values()), bits)
        for (name, samples), (values, clipped) in zip(stems.items(), integers, strict=True):
            self._append(name, samples, (values << (32 - bits)).astype(np.int32), clipped)

    def close(self) -> None:
        """Write all stems to the disk under their temporary names."""
        for name, writer in self._writers.items():
            with convert_write_errors(self.stems[name].path):
                with DeferredSignals():
                    writer.close()
                self._partial_files[name].flush()
                self.stems[name].bytes = self._partial_files[name].size

    def commit(self, documents: Mapping[Path, bytes] | None = None, obsolete: Iterable[Path] = ()) -> None:
        """Write all stems to the disk and give every file its name.

        Parameters
        ----------
        documents : mapping of Path to bytes, optional
            Further files to write, which get their names after the stems.
        obsolete : iterable of Path
            Files to remove afterwards.
        """
        self.close()
        for path, content in (documents or {}).items():
            with convert_write_errors(path), DeferredSignals():
                self._new_folders += make_folder(path.parent)
                self._partial_files[str(path)] = partial_file = PartialFile(path)
                partial_file.write(content)
                partial_file.flush()
        with DeferredSignals():
            self._place(list(documents or {}))
            for path in obsolete:
                with contextlib.suppress(OSError):
                    path.unlink()
        for folder in {Path(p.target).parent for p in self._partial_files.values()}:
            flush_folder(folder)

    def discard(self) -> None:
        """Remove all unfinished files, and the folders created for them that are empty."""
        with DeferredSignals():
            for writer in self._writers.values():
                with contextlib.suppress(OSError, RuntimeError, AssertionError):
                    writer.discard()
            for partial_file in self._partial_files.values():
                partial_file.discard()
            unfinished_stem_files.discard(self)
            for folder in reversed(self._new_folders):
                with contextlib.suppress(OSError):
                    folder.rmdir()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()

    def _create(self, name: str, path: Path) -> None:
        with convert_write_errors(path, self.stem_format.described), DeferredSignals():
            self._partial_files[name] = partial_file = PartialFile(path)
            try:
                writer = StemWriter(partial_file, self.stem_format, self.stem_format.inherited)
            except (RuntimeError, AssertionError):
                partial_file.check()  # its error says more than that of libsndfile
                raise
            self._writers[name] = writer
            partial_file.check()

    def _append(self, name: str, samples: Samples, values: NDArray[Any], clipped: int) -> None:
        if name not in self.stems:
            self.unwritten_energy += float(np.vdot(samples, samples).real)
            return
        stem = self.stems[name]
        with convert_write_errors(stem.path):
            try:
                with DeferredSignals():
                    self._writers[name].write(np.ascontiguousarray(values.T))
            except (RuntimeError, AssertionError):
                self._partial_files[name].check()
                raise
            self._partial_files[name].check()
        stem.peak = max(stem.peak, float(np.abs(samples).max(initial=0.0)))
        stem.energy += float(np.vdot(samples, samples).real)
        stem.clipped += clipped

    def _place(self, documents: list[Path]) -> None:
        """Give every file its name; if one rename fails, undo those of new files."""
        if self._overwrite:
            for path in documents:  # a manifest means that the stems are complete and belong together
                path.unlink(missing_ok=True)
        placed = []
        try:
            for partial_file in self._partial_files.values():
                with convert_write_errors(partial_file.target):
                    partial_file.rename_to_target(overwrite=self._overwrite)
                placed.append(partial_file.target)
        except OutputError:
            if not self._overwrite:
                for path in placed:
                    path.unlink(missing_ok=True)
            raise


# All instances with unfinished files. A signal handler that ends the process discards them first.
unfinished_stem_files: WeakSet[StemFiles] = WeakSet()
