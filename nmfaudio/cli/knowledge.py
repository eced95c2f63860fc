"""What the user knows of the sources, from flags of `separate` to options of the separator `dictionary`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nmfaudio.cli.console import FAILED, WRONG_USAGE, stop

SEPARATOR = "dictionary"


def dictionary_options(
    separator: str | None,
    dictionaries: list[Path] | None,
    free: int | None,
    adapt: str | None,
    only: list[str] | None,
    without: list[str] | None,
    hints: dict[str, Any],
) -> dict[str, Any]:
    """Return the separator's options; end the command where flags do not go together.

    A dictionary is read here once, so that a bad one, or a label that it lacks, ends the command before any
    file is touched.
    """
    flags = {"--free": free, "--adapt": adapt, "--only": only, "--except": without}
    hints = {kind: value for kind, value in hints.items() if value}
    knowing = bool(dictionaries or hints.get("solo") or hints.get("hints"))
    if not knowing:
        flags |= {f"--{kind}": value for kind, value in hints.items()}
        given = [flag for flag, value in flags.items() if value is not None]
        if given and separator != SEPARATOR:
            stop(f"{', '.join(given)} needs a dictionary: pass --dictionary FILE.safetensors", WRONG_USAGE)
    if not knowing:
        return {}
    paths = tuple(str(path) for path in dictionaries or ())
    keep = {"only": tuple(only or ()), "without": tuple(without or ())}
    if paths and not hints:
        _check(paths, free or 0, **keep)
    told = {kind: str(value) if kind == "hints" else tuple(value) for kind, value in hints.items()}
    return {"dictionary": paths, "free": free, "adapt": adapt, **keep, **told}


def _check(paths: tuple[str, ...], free: int, only: tuple[str, ...], without: tuple[str, ...]) -> None:
    from nmfaudio.dictionaries.labels import RESIDUAL
    from nmfaudio.errors import NmfaudioError, OptionError
    from nmfaudio.models.selection import check_selection
    from nmfaudio.separators.dictionary.separator import loaded

    try:
        known = loaded(paths)
        check_selection(only, without, known.sources + ((RESIDUAL,) if free else ()))
    except OptionError as error:
        stop(str(error), WRONG_USAGE)
    except NmfaudioError as error:
        stop(str(error), FAILED)
