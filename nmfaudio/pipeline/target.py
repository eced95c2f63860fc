"""Where stems go, and what is told of them."""

from __future__ import annotations

import os
import string
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from nmfaudio.disk.atomic import check_absent
from nmfaudio.errors import OptionError
from nmfaudio.models.contract import Components, Separator
from nmfaudio.models.phased import check_rounds
from nmfaudio.sound.audio import Encoding
from nmfaudio.sound.encoding import extension
from nmfaudio.sound.stem_files import WrittenStem

DEFAULT_FILENAME = "{track}/{stem}.{ext}"
CLIP_MODES = ("clamp", "rescale", "float")
_FIELDS = {"track", "stem", "ext"}
_LONGEST_NAME = 255  # bytes of one part of a path on every common file system
_ROOM = 40  # of them for the stem's name and its ending where the track shares the part


@dataclass(frozen=True)
class Target:
    """Where stems of one mixture go and how they are encoded.

    Parameters
    ----------
    folder : Path
        Everything stays inside it.
    track : str
        What to call the mixture.
    encoding : Encoding
    filename : str
        A pattern of `{track}`, `{stem}` and `{ext}`.
    overwrite : bool
        Whether files that exist may be replaced.
    clip_mode : {"clamp", "rescale", "float"}
        What is done where a stem is louder than its encoding can tell: its samples are clipped there; all
        stems are made quieter by the same factor; all stems are written as floats.
    phase_rounds : int
        Rounds in which phases were refined before.
    """

    folder: Path
    track: str
    encoding: Encoding
    filename: str = DEFAULT_FILENAME
    overwrite: bool = False
    clip_mode: str = "clamp"
    phase_rounds: int = 0

    def __post_init__(self) -> None:
        check_filename(self.filename)
        check_clip_mode(self.clip_mode)
        check_rounds(self.phase_rounds)

    def stem(self, name: str) -> Path:
        """Return where the stem of that name goes."""
        return self._path(name, extension(self.encoding))

    @property
    def manifest(self) -> Path:
        """Where the manifest goes."""
        return self._path("manifest", "json")

    @property
    def asked(self) -> dict[str, str | int]:
        """What determines, beside the separator, which samples are written."""
        encoding = {"format": self.encoding.format, "subtype": self.encoding.subtype}
        phases = {"phase_rounds": self.phase_rounds} if self.phase_rounds else {}
        return {**encoding, "filename": self.filename, "clip_mode": self.clip_mode, **phases}

    def check_free(self, sources: Iterable[str]) -> None:
        """Raise OutputError when a file is there already and may not be replaced."""
        if not self.overwrite:
            check_absent([*(self.stem(name) for name in sources), self.manifest])

    def _path(self, stem: str, ext: str) -> Path:
        track = _safe_track(self.track)
        return self.folder / self.filename.format(track=track, stem=stem, ext=ext)


@dataclass(frozen=True)
class Result:
    """What is told of a finished separation, whatever kept its stems.

    Attributes
    ----------
    separator : Separator
        With all its options.
    components : Components or None
    messages, warnings : tuple of str
    seconds : float
        Wall time of separating.
    phase_rounds : int
    """

    separator: Separator
    components: Components | None
    messages: tuple[str, ...]
    warnings: tuple[str, ...]
    seconds: float
    phase_rounds: int = 0


@dataclass(frozen=True)
class Written:
    """Stems on disk.

    Attributes
    ----------
    stems : dict of str to WrittenStem
    manifest : Path
    result : Result
    warnings : tuple of str
        Those of the result and those of writing.
    gain : float
        What the stems were multiplied by lest they clip; 1 unless that was asked for.
    found : bool
        Whether they were there already and were left alone.
    """

    stems: dict[str, WrittenStem]
    manifest: Path
    result: Result
    warnings: tuple[str, ...]
    gain: float = 1.0
    found: bool = False

    @property
    def shares(self) -> dict[str, float]:
        """Part of the stems' energy in each stem."""
        total = sum(stem.energy for stem in self.stems.values())
        return {n: s.energy / total if total > 0 else 1 / len(self.stems) for n, s in self.stems.items()}


def check_filename(pattern: str) -> None:
    """Check a pattern for names of stems.

    Raises
    ------
    OptionError
        When it has unknown fields, no `{stem}`, or could leave its folder.

    Examples
    --------
    >>> check_filename("{track} - {stem}.{ext}")
    """
    try:
        parts = list(string.Formatter().parse(pattern))
    except ValueError as error:
        raise OptionError(
            f"filename {pattern!r} is not a pattern ({error}): try {DEFAULT_FILENAME!r}"
        ) from None
    fields = {name for _, name, _, _ in parts if name is not None}
    if "stem" not in fields or not fields <= _FIELDS or any(spec or conv for _, _, spec, conv in parts):
        raise OptionError(
            f"filename {pattern!r} must be made of {{track}}, {{stem}} and {{ext}}, with {{stem}} in it: "
            f"try {DEFAULT_FILENAME!r}"
        )
    folders = pattern.replace("\\", "/").split("/")
    if Path(pattern).is_absolute() or ".." in folders or "" in folders:
        raise OptionError(f"filename {pattern!r} must stay inside the output folder: leave out '..' and '/'")


def check_clip_mode(mode: str) -> None:
    """Raise OptionError for a clip mode that is not known."""
    if mode not in CLIP_MODES:
        raise OptionError(f"clip mode {mode!r} is not known: use one of {', '.join(CLIP_MODES)}")


def track_name(path: str | os.PathLike[str]) -> str:
    """Return what to call a file's stems: its name without the ending.

    Examples
    --------
    >>> track_name("takes/song.v1.2.final.wav")
    'song.v1.2.final'
    """
    return Path(path).stem


def _safe_track(track: str) -> str:
    """Make a track's name safe as a part of a path: no separators, not hidden, not too long."""
    cleaned = "".join("_" if c in "/\\\0" else c for c in track)
    cleaned = cleaned if cleaned.strip(". ") else "track"
    longest = _LONGEST_NAME - _ROOM
    return (
        os.fsencode(cleaned)[:longest].decode("utf-8", "ignore") if len(cleaned) > longest // 4 else cleaned
    )
