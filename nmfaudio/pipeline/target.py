"""Where stems go, and what is known of a finished separation."""

from __future__ import annotations

import os
import string
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nmfaudio.disk.atomic import check_absent
from nmfaudio.errors import OptionError
from nmfaudio.models.contract import Separator
from nmfaudio.models.labelled import LabelledFactorization
from nmfaudio.models.phased import check_rounds
from nmfaudio.models.selection import StemChoice
from nmfaudio.pipeline.passage_choice import PassageChoice
from nmfaudio.sound.audio import Encoding
from nmfaudio.sound.encoding import extension
from nmfaudio.sound.stem_files import WrittenStem

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

    def __post_init__(self) -> None:
        check_filename(self.filename)
        check_clip_mode(self.clip_mode)
        check_rounds(self.phase_rounds)

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
    def settings(self) -> dict[str, Any]:
        """Settings that decide, together with the separator, which samples are written."""
        encoding = {"format": self.encoding.format, "subtype": self.encoding.subtype}
        phases = {"phase_rounds": self.phase_rounds} if self.phase_rounds else {}
        return {
            **encoding,
            "filename": self.filename,
            "clip_mode": self.clip_mode,
            **phases,
            **self.choice.settings,
            **self.passage.settings,
        }

    def check_free(self, sources: Iterable[str]) -> None:
        """Raise OutputError when a file exists already and may not be replaced."""
        if not self.overwrite:
            check_absent([*(self.stem(name) for name in sources), self.manifest])

    def _path(self, stem: str, ext: str) -> Path:
        track = _safe_track(self.track)
        return self.folder / self.filename.format(track=track, stem=stem, ext=ext)


@dataclass(frozen=True)
class Result:
    """What is known of a finished separation, in memory or on disk.

    Attributes
    ----------
    separator : Separator
        The separator with all its options.
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
    """

    separator: Separator
    factorization: LabelledFactorization | None
    messages: tuple[str, ...]
    warnings: tuple[str, ...]
    seconds: float
    phase_rounds: int = 0
    choice: StemChoice = StemChoice()


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
    """

    stems: dict[str, WrittenStem]
    manifest: Path
    result: Result
    warnings: tuple[str, ...]
    gain: float = 1.0
    already_there: bool = False
    metadata_lost: tuple[str, ...] = ()

    @property
    def shares(self) -> dict[str, float]:
        """Part of the energy of all stems that each stem has."""
        total = sum(stem.energy for stem in self.stems.values())
        return {n: s.energy / total if total > 0 else 1 / len(self.stems) for n, s in self.stems.items()}


def check_filename(pattern: str) -> None:
    """Check a pattern for names of stems.

    Raises
    ------
    OptionError
        When the pattern has unknown fields, lacks `{stem}`, or could lead out of its folder.

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
    folders = pattern.replace("\\", "/").split("/")
    if Path(pattern).is_absolute() or ".." in folders or "" in folders:
        raise OptionError(
            f"filename {pattern!r} must stay inside the output folder: leave out '..' and a leading '/'",
            option="filename",
        )


def check_clip_mode(mode: str) -> None:
    """Raise OptionError for an unknown clip mode."""
    if mode not in CLIP_MODES:
        raise OptionError(
            f"clip mode {mode!r} does not exist: use one of {', '.join(CLIP_MODES)}", option="clip_mode"
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
