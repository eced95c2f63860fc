"""Long recordings on a cluster: one worker fits the model, and many make the stems, each of one piece.

A piece is a passage of the recording. Its stems have the same bits as those passages of the stems that one
machine makes, because each worker computes the same blocks (`Fitted.stems`). Pieces lie in a hidden folder
beside the stems until one worker has joined them; a run that is repeated uses those that exist.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nmfaudio.cluster.capacity import words_of_death
from nmfaudio.cluster.versions import own_versions
from nmfaudio.disk.atomic import make_folder
from nmfaudio.disk.partial_file import PREFIX, PartialFile, convert_write_errors, remove_orphaned_files
from nmfaudio.errors import ClusterError, OptionError
from nmfaudio.models.contract import Model
from nmfaudio.pipeline.fitting import Fitted
from nmfaudio.pipeline.overlap_add import StemStream
from nmfaudio.pipeline.target import Target
from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.files import AudioFile, Survey
from nmfaudio.sound.offset import Offset, WithoutOffset
from nmfaudio.sound.passage import Passage
from nmfaudio.sound.source import SampleSource

PIECE_SECONDS = 1800.0  # recordings that last longer are separated in pieces of at most this duration
LEAST_PIECE_SECONDS = 1.0
LARGEST_MODEL = 64 << 20  # bytes of a model that is sent to the workers of the pieces

Bounds = tuple[int, int]


@dataclass(frozen=True)
class Recipe:
    """From what any worker makes the stems of a passage of a fitted recording.

    Attributes
    ----------
    path : str
        Path of the recording.
    survey : Survey
        What an earlier opening of the file found.
    passage : (int, int) or None
        Samples of the recording that are separated; None for all.
    offset : Offset or None
        What is taken out of the recording.
    scale_exponent : int
        As in `Blocks`.
    memory : int
        As in `Blocks`.
    model : Model
        The fitted model.
    offset_stem : str or None
        As in `Fitted`.
    """

    path: str
    survey: Survey
    passage: Bounds | None
    offset: Offset | None
    scale_exponent: int
    memory: int
    model: Model
    offset_stem: str | None

    @classmethod
    def of(cls, fitted: Fitted) -> Recipe | None:
        """Return the recipe of a fitted recording; None where its samples are not those of a file."""
        source, offset, passage = fitted.mixture.source, None, None
        if isinstance(source, WithoutOffset):
            offset = source.offset
            source = source.original
        if isinstance(source, Passage):
            passage = source.start, source.stop
            source = source.source
        if not isinstance(source, AudioFile) or source.path is None:
            return None
        mixture = fitted.mixture
        return cls(
            str(source.path.absolute()),
            source.survey,
            passage,
            offset,
            mixture.scale_exponent,
            mixture.memory,
            fitted.model,
            fitted.offset_stem,
        )

    @contextmanager
    def fitted(self) -> Iterator[Fitted]:
        """Provide the fitted recording."""
        with AudioFile(self.path, survey=self.survey) as file:
            source: SampleSource = file.cut(*self.passage) if self.passage else file
            if self.offset is not None:
                source = WithoutOffset(source, self.offset)
            mixture = Blocks(source, self.model.stft, self.scale_exponent, memory=self.memory)
            yield Fitted(mixture, self.model, offset_stem=self.offset_stem)


@dataclass
class Pieces:
    """Makes the stems of a long recording on several workers; used by a task on one of them.

    Parameters
    ----------
    name : str
        All that decides the stems beside the recording and the target, such as the separator and its options.
    seconds : float
        Greatest duration of a piece; a recording that lasts no longer stays whole.

    Attributes
    ----------
    count : int
        Number of pieces; 0 where the recording stayed whole.
    whole : str
        Why a longer recording stayed whole; empty where it did not.
    """

    name: str
    seconds: float
    count: int = 0
    whole: str = ""
    _folders: list[Path] = field(default_factory=list)
    _new_folders: list[Path] = field(default_factory=list)

    def distribute(self, fitted: Fitted, target: Target) -> Callable[[], StemStream]:
        """Return a function that yields the stems, which several workers make when it is called."""
        bounds = _pieces(fitted.mixture, self.seconds)
        if len(bounds) < 2:
            return fitted.stems
        recipe = Recipe.of(fitted)
        self.whole = _why_whole(fitted, recipe)
        if self.whole or recipe is None:
            return fitted.stems
        self.count = len(bounds)
        folder = target.manifest.parent / f"{PREFIX}pieces-{self._digest(recipe, target)}"
        self._folders.append(folder)
        self._new_folders += [one for one in folder.parents if not one.exists()]
        return lambda: _joined(fitted, recipe, bounds, folder)

    def remove(self) -> None:
        """Remove the pieces, and folders that were made for them alone."""
        for folder in self._folders:
            shutil.rmtree(folder, ignore_errors=True)
        for folder in self._new_folders:
            with suppress(OSError):
                folder.rmdir()

    @property
    def note(self) -> str:
        """What the user should know; empty for a short recording."""
        if self.whole:
            return f"the recording was not cut into pieces: {self.whole}"
        return f"separated in {self.count} pieces by several workers" if self.count else ""

    def _digest(self, recipe: Recipe, target: Target) -> str:
        parts = self.name, own_versions(), target.settings, recipe.survey, recipe.path, self.seconds
        return hashlib.sha256(repr(parts).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def check_piece_seconds(seconds: float) -> None:
    """Raise OptionError when pieces of this duration are not possible."""
    if not seconds >= LEAST_PIECE_SECONDS:
        raise OptionError(
            f"piece_seconds={seconds:g}: pieces of a long recording must last at least "
            f"{LEAST_PIECE_SECONDS:g} s",
            option="piece_seconds",
        )


def _pieces(mixture: Blocks, seconds: float) -> list[Bounds]:
    """Return the bounds of the pieces in samples; all pieces but the last have the same length."""
    count = max(1, int(np.ceil(mixture.length / (seconds * mixture.sample_rate))))
    size = -(-mixture.length // count)
    return [(start, min(start + size, mixture.length)) for start in range(0, mixture.length, size)]


def _why_whole(fitted: Fitted, recipe: Recipe | None) -> str:
    """Return why the stems cannot be made in pieces with the same bits; empty where they can."""
    source = fitted.mixture.source
    if recipe is None:
        return "its samples do not come from a file that other workers see"
    if isinstance(source, WithoutOffset) and source.offset.rumble:
        return "rumble is taken out of it by a filter over the whole recording"
    from distributed.protocol.pickle import dumps

    try:
        size = len(dumps(fitted.model))
    except Exception as error:  # a plugin may hold anything
        return f"its model cannot be sent to other workers ({type(error).__name__})"
    if size > LARGEST_MODEL:
        return f"its model holds what it found in every frame ({size / 1e6:.0f} MB)"
    return ""


def _joined(fitted: Fitted, recipe: Recipe, bounds: list[Bounds], folder: Path) -> StemStream:
    """Let other workers make the pieces; then yield the mixture and the stems from them."""
    names = fitted.sources
    paths = _make_all(recipe, bounds, folder)
    source = fitted.mixture.source
    mixture = source.original if isinstance(source, WithoutOffset) else source
    position = 0
    for path in paths:
        for samples in _stored(path):
            stop = position + samples.shape[2]
            yield mixture.read(position, stop), dict(zip(names, samples, strict=True))
            position = stop


def _make_all(recipe: Recipe, bounds: list[Bounds], folder: Path) -> list[Path]:
    """Make the pieces that do not exist, as tasks of Dask; this task gives its thread away meanwhile."""
    from distributed import KilledWorker, worker_client

    make_folder(folder)
    remove_orphaned_files(folder)
    paths = [folder / f"{number:05}" for number in range(len(bounds))]
    missing = [(one, path) for one, path in zip(bounds, paths, strict=True) if not path.exists()]
    with worker_client() as client:
        sent = client.scatter(recipe, hash=False)
        tasks = [client.submit(_make, sent, start, stop, path, pure=False) for (start, stop), path in missing]
        try:
            client.gather(tasks)
        except KilledWorker as error:
            raise ClusterError(words_of_death(error, "separated a piece of it")) from None
        finally:
            client.cancel(tasks)
    return paths


def _make(recipe: Recipe, start: int, stop: int, path: Path) -> None:
    """Write the stems of a piece to a file, which appears whole: arrays (stems, channels, samples)."""
    from nmfaudio.nmf.threads import limited_threads

    with convert_write_errors(path):
        file = PartialFile(path)
    try:
        with limited_threads(1), recipe.fitted() as fitted:
            for _, stems in fitted.stems(start, stop):
                np.save(file, np.stack(list(stems.values())), allow_pickle=False)
                _check(file)
        with convert_write_errors(path):
            file.flush()
            file.rename_to_target(overwrite=True)
    finally:
        file.discard()


def _check(file: PartialFile) -> None:
    with convert_write_errors(file.target):
        file.check()


def _stored(path: Path) -> Iterator[Any]:
    """Yield the arrays of a piece."""
    with path.open("rb") as file:
        while file.peek(1):
            yield np.lib.format.read_array(file, allow_pickle=False)
