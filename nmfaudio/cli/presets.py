"""Separators by what the user has, in place of their names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nmfaudio.cli.console import WRONG_USAGE, parse_settings, stop


def preset(
    separator: str | None,
    settings: list[str],
    *,
    drums: bool,
    vocals: bool,
    stereo: bool,
    midi: Path | None,
    dictionary: bool = False,
) -> tuple[str, dict[str, Any]]:
    """Return the separator that is meant, and its options; end the command if several are."""
    given: dict[str, tuple[str, dict[str, Any]]] = {}
    if separator:
        given[f"--separator {separator}"] = separator, {}
    if drums:
        given["--drums"] = "drums", {}
    if vocals:
        given["--vocals"] = "voice", {}
    if stereo:
        given["--stereo"] = "stereo", {}
    if midi:
        given[f"--midi {midi}"] = "score", {"midi": str(midi)}
    if dictionary and separator != "dictionary":
        given["--dictionary"] = "dictionary", {}
    if len(given) > 1:
        stop(f"{' and '.join(given)} are different ways of separating: use one of them", WRONG_USAGE)
    if given:
        return next(iter(given.values()))
    from nmfaudio.pipeline.registry import default_name

    return default_name(parse_settings(settings)), {}
