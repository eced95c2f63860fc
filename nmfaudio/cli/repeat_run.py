"""A run that repeats what a manifest says."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from nmfaudio.cli.console import FAILED, WRONG_USAGE, complain, stop

# Parameters of `separate` that do not change which stems a manifest stands for.
ALLOWED_BESIDE = frozenset(
    {
        "files",
        "output",
        "from_manifest",
        "quiet",
        "as_json",
        "overwrite",
        "resume",
        "memory",
        "strict",
        "stem",
        "report",
    }
)


def refuse_other_flags(given: Iterable[str]) -> None:
    """End the command when flags were given that a run from a manifest would have to ignore."""
    others = [name for name in given if name not in ALLOWED_BESIDE]
    if others:
        flags = ", ".join(f"--{name.removeprefix('flag_').replace('_', '-')}" for name in others)
        stop(
            f"--from-manifest repeats a run with the settings of the manifest, so {flags} cannot be given: "
            "leave it out, or give all settings without --from-manifest",
            WRONG_USAGE,
        )


def repeated_run(path: Path, files: list[str]) -> tuple[str, Any, dict[str, Any]]:
    """Return the file, the separator, and how the stems were written, as a manifest says.

    Ends the command where the file, or what the options read, is not what it was.
    """
    from nmfaudio.errors import NmfaudioError
    from nmfaudio.models.options import file_hash
    from nmfaudio.pipeline.manifest import load

    if len(files) > 1:
        stop("--from-manifest repeats the run of one file: name one FILE at most", WRONG_USAGE)
    try:
        document = load(path)
        separator = _separator(document)
    except NmfaudioError as error:
        stop(str(error), WRONG_USAGE)
    file = files[0] if files else document["input"].get("file")
    if not file or not os.path.isfile(file):
        stop(f"{path}: its recording {file or ''} does not exist: name it before --from-manifest", FAILED)
    try:
        is_same = file_hash(file) == document["input"].get("sha256")
    except OSError as error:
        stop(f"{file}: cannot be read ({error.strerror}), but {path} needs it", FAILED)
    if not is_same:
        stop(f"{file}: it has changed since {path} was written: its hash differs", FAILED)
    _check_contents(separator, document, path)
    _compare_versions(document, path)
    return file, separator, dict(document["output"])


def _separator(document: dict[str, Any]) -> Any:
    from nmfaudio.errors import OptionError
    from nmfaudio.pipeline.manifest import IN_MEMORY, separator_name
    from nmfaudio.pipeline.registry import installed_separators, make

    name = separator_name(document, installed_separators())
    for option, value in document["options"].items():
        if value == IN_MEMORY:
            raise OptionError(
                f"the option {option} was data in memory: repeat this run in Python", option=option
            )
    return make(name, **{option: _with_tuples(value) for option, value in document["options"].items()})


def _with_tuples(value: Any) -> Any:
    """Return tuples where JSON has lists."""
    return tuple(map(_with_tuples, value)) if isinstance(value, list) else value


def _check_contents(separator: Any, document: dict[str, Any], path: Path) -> None:
    from nmfaudio.errors import InputError
    from nmfaudio.pipeline.manifest import contents_of

    try:
        contents = contents_of(separator)
    except InputError as error:
        stop(f"{error}, but {path} needs it", FAILED)
    before = document.get("contents", {})
    for option in contents:
        if contents[option] != before.get(option):
            value = document["options"].get(option)
            names = ", ".join(map(str, value)) if isinstance(value, list) else value
            stop(f"{names} ({option}): it has changed since {path} was written: its hash differs", FAILED)


def _compare_versions(document: dict[str, Any], path: Path) -> None:
    from importlib.metadata import version

    present = version("nmfaudio")
    if document.get("nmfaudio") != present:
        complain(
            f"{path}: warning: it was written by nmfaudio {document.get('nmfaudio')}, and this is {present}: "
            "samples may differ"
        )
