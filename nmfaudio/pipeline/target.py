"""Where stems go, and what is known of a finished separation."""

from __future__ import annotations

import os
import string
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nmfaudio.disk.atomic import check_absent
from nmfaudio.errors import OptionError
from nmfaudio.models.contract import Separator
from nmfaudio.models.labelled import LabelledFactorization
from nmfaudio.models.phased import check_rounds
from nmfaudio.models.selection import StemChoice
from nmfaudio.pipeline.confidence import Confidence
from nmfaudio.pipeline.passage_choice import PassageChoice
from nmfaudio.pipeline.regrouping import Regrouping
from nmfaudio.pipeline.sounding import LABEL_FORMATS, check_label_format
from nmfaudio.sound.encoding import extension
from nmfaudio.sound.source import Encoding
from nmfaudio.sound.stem_files import WrittenStem
from nmfaudio.suggestion import suggestion

DEFAULT_FILENAME = "{track}/{stem}.{ext}"
CLIP_MODES = ("clamp", "rescale", "float")
_FIELDS = {"track", "stem", "ext"}
_LONGEST_NAME = 255  # bytes of one part of a path on every common file system
_RESERVED = 40  # of these bytes, for the name of the stem and the ending where the track shares the part


@dataclass(frozen=True)
class Target:
    """Where the stems of one mixture go and how they are encoded.

    Parameters
    ----------
    folder : Path
        Folder that everything stays inside.
    track : str
        Name of the mixture.
    encoding : Encoding
        Format and sample type of the stems.
    filename : str
        A pattern made of `{track}`, `{stem}` and `{ext}`.
    overwrite : bool
        Whether existing files may be replaced.
    clip_mode : {"clamp", "rescale", "float"}
        What happens where a stem exceeds the range of its encoding: its samples are clipped, or all stems are
        made quieter by the same factor, or all stems are written as floats.
    phase_rounds : int
        Number of rounds in which the phases were refined.
    choice : StemChoice
        Stems that are wanted.
    passage : PassageChoice
        Passage of the recording that is separated.
    labels : {"audacity", "csv"}, optional
        Format of the label file that says when each stem sounds; by default none is written.
    keep : bool
        Whether the components are kept beside the manifest.
    """

    folder: Path
    track: str
    encoding: Encoding
    filename: str = DEFAULT_FILENAME
    overwrite: bool = False
    clip_mode: str = "clamp"
    phase_rounds: int = 0
    choice: StemChoice = StemChoice()
    passage: PassageChoice = PassageChoice()
    labels: str | None = None
    keep: bool = False

    def __post_init__(self) -> None:
        check_filename(self.filename)
        check_clip_mode(self.clip_mode)
        check_rounds(self.phase_rounds)
        check_label_format(self.labels)
        check_keep(self.keep, self.passage)

    def stem(self, name: str) -> Path:
        """Return the path of the stem of that name."""
        return self._path(name, extension(self.encoding))

    @property
    def manifest(self) -> Path:
        """Path of the manifest."""
        return self.record("manifest")

    def record(self, name: str) -> Path:
        """Return the path of a JSON file beside the stems."""
        return self._path(name, "json")

    @property
    def label_path(self) -> Path | None:
        """Path of the label file; None where there is none."""
        return self._path("labels", LABEL_FORMATS[self.labels]) if self.labels else None

    @property
    def components(self) -> Path:
        """Path of the components, where they are kept."""
        return self._path("components", "safetensors")

    @property
    def settings(self) -> dict[str, Any]:
        """Settings that decide, together with the separator, which samples are written."""
        encoding = {"format": self.encoding.format, "subtype": self.encoding.subtype}
        keep = {"keep": True} if self.keep else {}
        phases = {"phase_rounds": self.phase_rounds} if self.phase_rounds else {}
        return {
            **encoding,
            "filename": self.filename,
            "clip_mode": self.clip_mode,
            **phases,
            **keep,
            **self.choice.settings,
            **self.passage.settings,
            **({"labels": self.labels} if self.labels else {}),
        }

    def check_free(self, sources: Iterable[str]) -> None:
        """Raise OutputError when a file exists already and may not be replaced."""
        if not self.overwrite:
            kept = [self.components] if self.keep else []
            labels = [self.label_path] if self.label_path else []
            check_absent([*(self.stem(name) for name in sources), *labels, self.manifest, *kept])

    def _path(self, stem: str, ext: str) -> Path:
        track = _safe_track(self.track)
        return self.folder / self.filename.format(track=track, stem=stem, ext=ext)


@dataclass(frozen=True)
class Result:
    """What is known of a finished separation, in memory or on disk.

    Attributes
    ----------
    separator : Separator or Regrouping
        The separator with all its options, or the groups of a separation that was regrouped.
    factorization : LabelledFactorization or None
        The factorization that made the stems, where there is one.
    messages, warnings : tuple of str
        What the user should read.
    seconds : float
        Wall time of the separation.
    phase_rounds : int
        Number of rounds in which the phases were refined.
    choice : StemChoice
        Stems that were chosen.
    confidence : mapping of str to Confidence
        Whether each stem is likely to be better than the mixture; empty where nothing is known of it.
    """

    separator: Separator | Regrouping
    factorization: LabelledFactorization | None
    messages: tuple[str, ...]
    warnings: tuple[str, ...]
    seconds: float
    phase_rounds: int = 0
    choice: StemChoice = StemChoice()
    confidence: Mapping[str, Confidence] = field(default_factory=dict)


@dataclass(frozen=True)
class Written:
    """Stems on disk.

    Attributes
    ----------
    stems : dict of str to WrittenStem
        Paths and levels of the stems, by name.
    manifest : Path
        Path of the manifest.
    result : Result
        The separation that made the stems.
    warnings : tuple of str
        Warnings of the separation and of writing.
    gain : float
        Factor by which the stems were multiplied to prevent clipping; 1 unless this was asked for.
    already_there : bool
        Whether the stems existed before and were left unchanged.
    metadata_lost : tuple of str
        Names of what the metadata of the mixture contain and the stems cannot.
    labels : Path or None
        Path of the label file, where one was asked for.
    unwritten_energy : float
        Energy of the stems that were not chosen, in the unit of the energies of the stems.
    """

    stems: dict[str, WrittenStem]
    manifest: Path
    result: Result
    warnings: tuple[str, ...]
    gain: float = 1.0
    already_there: bool = False
    metadata_lost: tuple[str, ...] = ()
    labels: Path | None = None
    unwritten_energy: float = 0.0

    @property
    def shares(self) -> dict[str, float]:
        """Part that each stem has of the energy of all stems, also of those that are not written."""
        total = sum(stem.energy for stem in self.stems.values()) + self.unwritten_energy
        return {n: s.energy / total if total > 0 else 1 / len(self.stems) for n, s in self.stems.items()}


def check_filename(pattern: str) -> None:
    """Check a pattern for names of stems.

    Raises
    ------
    OptionError
        When the pattern has unknown fields, lacks `{stem}` or `{ext}`, or could lead out of its folder.

    Examples
    --------
    >>> check_filename("{track} - {stem}.{ext}")
    """
    try:
        parts = list(string.Formatter().parse(pattern))
    except ValueError as error:
        raise OptionError(
            f"filename {pattern!r} is not a pattern ({error}): try {DEFAULT_FILENAME!r}", option="filename"
        ) from None
    fields = {name for _, name, _, _ in parts if name is not None}
    if "stem" not in fields or not fields <= _FIELDS or any(spec or conv for _, _, spec, conv in parts):
        raise OptionError(
            f"filename {pattern!r} must be made of {{track}}, {{stem}} and {{ext}}, with {{stem}} in it: "
            f"try {DEFAULT_FILENAME!r}",
            option="filename",
        )
    if "ext" not in fields:
        raise OptionError(
            f"filename {pattern!r} lacks {{ext}}, the ending of the format: try {pattern + '.{ext}'!r}",
            option="filename",
        )
    folders = pattern.replace("\\", "/").split("/")
    if Path(pattern).is_absolute() or ".." in folders or "" in folders:
        raise OptionError(
            f"filename {pattern!r} must stay inside the output folder: leave out '..' and a leading '/'",
            option="filename",
        )


def check_clip_mode(mode: str) -> None:
    """Raise OptionError for an unknown clip mode."""
    if mode not in CLIP_MODES:
        known = f"{', '.join(CLIP_MODES)}{suggestion(mode, CLIP_MODES)}"
        raise OptionError(f"clip mode {mode!r} does not exist: use one of {known}", option="clip_mode")


def check_keep(keep: bool, passage: PassageChoice) -> None:
    """Raise OptionError when components are to be kept of stems with silence around a passage."""
    if keep and passage.in_place:
        raise OptionError(
            "the components of a passage cannot be kept with silence around its stems: leave out in_place or "
            "keep",
            option="keep",
        )


def track_name(path: str | os.PathLike[str]) -> str:
    """Return the name under which the stems of a file are kept: its name without the ending.

    Examples
    --------
    >>> track_name("takes/song.v1.2.final.wav")
    'song.v1.2.final'
    """
    return Path(path).stem


def _safe_track(track: str) -> str:
    """Make the name of a track usable as a part of a path: no separators, not hidden, not too long."""
    cleaned = "".join("_" if c in "/\\\0" else c for c in track)
    cleaned = cleaned if cleaned.strip(". ") else "track"
    longest = _LONGEST_NAME - _RESERVED
    return (
        os.fsencode(cleaned)[:longest].decode("utf-8", "ignore") if len(cleaned) > longest // 4 else cleaned
    )
