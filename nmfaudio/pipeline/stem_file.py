"""One file for DJ software beside the stems: the mixture and up to four stems (`.stem.mp4`)."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

from nmfaudio.errors import OptionError, OutputError
from nmfaudio.pipeline.passage_choice import PassageChoice
from nmfaudio.pipeline.target import Target, Written
from nmfaudio.sound.files import read
from nmfaudio.sound.passage import Passage
from nmfaudio.sound.stem_mp4 import STEMS, write_stem_mp4

ENDING = ".stem.mp4"


def stem_file_path(target: Target) -> Path:
    """Return the path of the stem file: beside the manifest, named after the track."""
    return target.manifest.parent / f"{target.track}{ENDING}"


def check_stem_file(target: Target, count: int | None = None) -> None:
    """Check, before the work, whether a stem file can be written.

    Parameters
    ----------
    target : Target
        Where the stems go.
    count : int, optional
        Number of stems, once it is known.

    Raises
    ------
    OutputError
        When PyAV is not installed, or the file exists and may not be replaced.
    OptionError
        When there are more stems than such a file has.
    """
    if importlib.util.find_spec("av") is None:
        raise OutputError(f"{ENDING} files need PyAV: install it with `pip install nmfaudio[formats]`")
    path = stem_file_path(target)
    if not target.overwrite and os.path.lexists(path):
        raise OutputError(f"{path} exists already: pass overwrite=True, or choose another folder")
    if count is not None and count > STEMS:
        raise OptionError(
            f"{ENDING} files have {STEMS} stems at most, and there are {count}: ask for fewer with "
            f"sources={STEMS}, or choose some with only"
        )


def write_stem_file(
    mixture: str | os.PathLike[str], passage: PassageChoice, written: Written, target: Target
) -> Path:
    """Write the mixture and the stems that are on disk to one file for DJ software.

    Raises
    ------
    OptionError, OutputError
        When the stems do not fit the format, or the file cannot be written.
    """
    audio = read(mixture)
    part = passage.of(audio)
    if isinstance(part, Passage) and not passage.in_place:
        audio = audio.cut(part.start, part.stop)
    stems = {name: read(stem.path) for name, stem in written.stems.items()}
    return write_stem_mp4(stem_file_path(target), audio, stems, overwrite=target.overwrite)
