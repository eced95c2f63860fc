"""Find the stems of a run, or the audio files of a folder, by name."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

from nmfaudio.errors import InputError
from nmfaudio.pipeline.manifest import load
from nmfaudio.sound.files import AudioFile

MANIFEST = "manifest.json"
MIXTURE = "mixture"  # a file of this name among references is the mixture, as in data sets of music
_ENDINGS = (".wav", ".flac", ".aif", ".aiff", ".ogg", ".opus", ".mp3", ".m4a", ".w64", ".caf", ".au", ".rf64")


def stem_paths(place: str | os.PathLike[str]) -> dict[str, Path]:
    """Return the paths of stems by name.

    Parameters
    ----------
    place : path-like
        An audio file, the folder of a run with its manifest, or a folder of audio files. With a manifest,
        only its stems count, under the names that it gives; else names are those of the files without their
        endings.

    Raises
    ------
    InputError
        When nothing of that name exists, the folder has no audio files, two files have one name, or a stem of
        the manifest is missing.

    Examples
    --------
    >>> sorted(stem_paths("audio_samples/drum_loop"))
    ['hihat', 'kick', 'snare']
    """
    place = Path(place)
    if place.is_file():
        return {place.stem: place}
    if not place.is_dir():
        raise InputError(f"{place}: it does not exist: name an audio file or a folder of audio files")
    if (place / MANIFEST).is_file():
        return _listed(place / MANIFEST)
    files = sorted(p for p in place.iterdir() if p.suffix.lower() in _ENDINGS and p.is_file())
    if not files:
        raise InputError(f"{place}: it has no audio files: name the folder that the stems lie in themselves")
    found: dict[str, Path] = {}
    for path in files:
        if path.stem in found:
            raise InputError(f"{found[path.stem]} and {path.name} have one name: keep one of them")
        found[path.stem] = path
    return found


def open_all(paths: dict[str, Path], opened: ExitStack) -> dict[str, AudioFile]:
    """Return open audio files by name, which `opened` closes."""
    return {name: opened.enter_context(AudioFile(path)) for name, path in paths.items()}


def _listed(manifest: Path) -> dict[str, Path]:
    """Return the stems that a manifest lists."""
    try:
        paths = {name: manifest.parent / stem["file"] for name, stem in load(manifest)["stems"].items()}
    except (KeyError, TypeError):
        raise InputError(f"{manifest}: its stems lack the names of files: separate again") from None
    if not paths:
        raise InputError(f"{manifest}: it lists no stems: separate again")
    for name, path in paths.items():
        if not path.is_file():
            raise InputError(f"{path}: the stem {name!r} of {manifest} is missing: separate again")
    return paths
