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
    only: list[str] | None,
    without: list[str] | None,
) -> dict[str, Any]:
    """Return the separator's options; end the command where flags do not go together.

    A dictionary is read here once, so that a bad one, or a label that it lacks, ends the command before any
    file is touched.
    """
    flags = {"--free": free, "--only": only, "--except": without}
    if not dictionaries:
        given = [flag for flag, value in flags.items() if value is not None]
        if given and separator != SEPARATOR:
            stop(f"{', '.join(given)} needs a dictionary: pass --dictionary FILE.safetensors", WRONG_USAGE)
    if not dictionaries:
        return {}
    _check(tuple(str(path) for path in dictionaries), free or 0, tuple(only or ()), tuple(without or ()))
    options = {"dictionary": tuple(str(path) for path in dictionaries), "free": free}
    return {**options, "only": tuple(only or ()), "without": tuple(without or ())}


def _check(paths: tuple[str, ...], free: int, only: tuple[str, ...], without: tuple[str, ...]) -> None:
    from nmfaudio.dictionary import RESIDUAL
    from nmfaudio.errors import NmfaudioError, OptionError
    from nmfaudio.separators.dictionary import loaded
    from nmfaudio.separators.selection import check_selection

    try:
        known = loaded(paths)
        check_selection(only, without, known.sources + ((RESIDUAL,) if free else ()))
    except OptionError as error:
        stop(str(error), WRONG_USAGE)
    except NmfaudioError as error:
        stop(str(error), FAILED)
