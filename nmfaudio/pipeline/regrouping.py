"""New stems from the parts of a separation that were put together by hand."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nmfaudio.errors import InputError, OptionError
from nmfaudio.models.components import Components

FORMAT, FORMAT_VERSION = "nmfaudio grouping", 1
_LARGEST = 1 << 24  # bytes of a grouping file

Groups = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Regrouping:
    """How stems were put together from the parts of a run; it stands for the separator in their manifest.

    Attributes
    ----------
    run : str
        The folder or recording that the parts come from.
    groups : dict of str to tuple of int
        Numbers of the parts of each stem.
    """

    run: str
    groups: Groups


def complete_groups(groups: Mapping[str, Iterable[int]], components: Components) -> Groups:
    """Return groups in which every part is: those that are not named stay in their stems.

    Parameters
    ----------
    groups : mapping of str to iterable of int
        Numbers of the parts of each new stem. A name of an existing stem replaces that stem.
    components : Components

    Returns
    -------
    dict of str to tuple of int

    Raises
    ------
    OptionError
        When a part does not exist or is in two groups, a group is empty, or a name cannot be part of a file
        name.

    Examples
    --------
    >>> from nmfaudio import Audio, separate
    >>> sound = Audio([0.5] * 4000, 8000)
    >>> components = separate(sound, sources=2, components=4).components
    >>> sorted(complete_groups({"first": [1]}, components)["first"])
    [1]
    """
    chosen = {name: tuple(numbers) for name, numbers in groups.items()}
    owners: dict[int, str] = {}
    for name, numbers in chosen.items():
        _check_name(name)
        if not numbers:
            raise OptionError(f"the group {name!r} has no components: leave it out", option="group")
        for number in numbers:
            _check_number(number, components)
            if number in owners:
                raise OptionError(
                    f"component {number} is in {owners[number]!r} and in {name!r}: it can be in one group",
                    option="group",
                )
            owners[number] = name
    for source in components.sources:
        left = [part.number for part in components.parts if part.source == source]
        left = [number for number in left if number not in owners]
        if left:
            chosen[source] = (*chosen.get(source, ()), *left)
    return chosen


def parse_groups(texts: Iterable[str]) -> dict[str, list[int]]:
    """Return groups from texts such as ``kick=1,4``.

    Raises
    ------
    OptionError
        When a text is not understood or a name is given twice.

    Examples
    --------
    >>> parse_groups(["kick=1,4", "bass=2-3"])
    {'kick': [1, 4], 'bass': [2, 3]}
    """
    groups: dict[str, list[int]] = {}
    for text in texts:
        name, equals, numbers = text.rpartition("=")
        try:
            if not equals:
                raise ValueError
            found = [number for part in numbers.split(",") for number in _numbers(part)]
        except ValueError:
            raise OptionError(
                f"{text!r}: write a name and numbers of components, such as kick=1,4", option="group"
            ) from None
        if name in groups:
            raise OptionError(f"the group {name!r} is given twice: name all of its components at once")
        groups[name] = found
    return groups


def read_grouping(path: str | os.PathLike[str]) -> dict[str, list[int]]:
    """Return the groups of a JSON file that the report page exported.

    Raises
    ------
    InputError
        When the file cannot be read or is no grouping.
    """
    name = os.fsdecode(path)
    try:
        if os.path.getsize(path) > _LARGEST:
            raise InputError(f"{name}: it is too large for a grouping")
        document = json.loads(Path(path).read_text("utf-8"))
    except OSError as error:
        raise InputError(f"{name}: cannot be read ({error.strerror or error})") from None
    except (ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{name}: not a grouping ({error}): export one from the report page") from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise InputError(f"{name}: not a grouping: export one from the report page")
    if document.get("version") != FORMAT_VERSION:
        raise InputError(
            f"{name}: its format has the version {str(document.get('version'))[:20]!r}, newer than this "
            "nmfaudio: update nmfaudio"
        )
    return _checked(document.get("groups"), name)


def _checked(groups: Any, name: str) -> dict[str, list[int]]:
    if not isinstance(groups, dict):
        raise InputError(f"{name}: it has no groups: export it from the report page again")
    for group, numbers in groups.items():
        if not isinstance(numbers, list) or not all(type(number) is int for number in numbers):
            raise InputError(f"{name}: the group {group[:40]!r} is not a list of numbers of components")
    return groups


def _numbers(text: str) -> list[int]:
    first, dash, last = text.strip().partition("-")
    return list(range(int(first), int(last) + 1)) if dash else [int(first)]


def _check_number(number: int, components: Components) -> None:
    if not 1 <= number <= len(components.parts):
        raise OptionError(
            f"there is no component {number}: they are numbered from 1 to {len(components.parts)}",
            option="group",
        )


def _check_name(name: str) -> None:
    if not name or name.startswith(".") or set(name) & set("/\\\0"):
        raise OptionError(f"the name {name!r} cannot be part of a file name: use another", option="group")
