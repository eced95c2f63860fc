"""A run that repeats what a manifest tells."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from nmfaudio.cli.console import FAILED, WRONG_USAGE, complain, stop


def repeated(path: Path, file: str | None) -> tuple[str, Any, dict[str, Any]]:
    """Return the file, the separator, and how stems were written, as a manifest tells.

    Ends the command where the file or what the run needs is not what it was.
    """
    from nmfaudio.errors import NmfaudioError
    from nmfaudio.pipeline.manifest import file_hash, load

    try:
        found = load(path)
        made = _separator(found)
    except NmfaudioError as error:
        stop(str(error), WRONG_USAGE)
    file = file or found["input"].get("file")
    if not file or not os.path.isfile(file):
        stop(f"{path}: its recording {file or ''} is not there: name it before --from-manifest", FAILED)
    for name, expected in {file: found["input"].get("sha256"), **found.get("files", {})}.items():
        try:
            same = file_hash(name) == expected
        except OSError as error:
            stop(f"{name}: cannot be read ({error.strerror}), but {path} needs it", FAILED)
        if not same:
            stop(f"{name}: it is not what it was when {path} was written: its hash differs", FAILED)
    _compare_versions(found, path)
    return file, made, dict(found["output"])


def _separator(found: dict[str, Any]) -> Any:
    from nmfaudio.pipeline.manifest import separator_name
    from nmfaudio.pipeline.registry import installed_separators, make

    name = separator_name(found, installed_separators())
    return make(name, **{option: _as_given(value) for option, value in found["options"].items()})


def _as_given(value: Any) -> Any:
    """Return tuples where JSON has lists."""
    return tuple(map(_as_given, value)) if isinstance(value, list) else value


def _compare_versions(found: dict[str, Any], path: Path) -> None:
    from importlib.metadata import version

    now = version("nmfaudio")
    if found.get("nmfaudio") != now:
        complain(
            f"{path}: warning: written by nmfaudio {found.get('nmfaudio')}, this is {now}: samples may differ"
        )
