"""Options of a separator: fields of its dataclass that are described and checked in one place."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nmfaudio.errors import OptionError
from nmfaudio.sound.window_length import LONGEST_WINDOW_SECONDS, milliseconds_hint

_METADATA_KEY = "nmfaudio"


@dataclass(frozen=True)
class OptionRules:
    """Limits of an option and its form on the command line.

    Attributes
    ----------
    at_least, at_most : float, optional
        Least and greatest allowed value.
    above : float, optional
        Value that the option must exceed. The option must then also be finite.
    flag : str or None
        Name of the option on the command line without the two dashes; None where only ``--set`` gives it.
    selects : bool
        Whether the flag alone chooses the separator.
    metavar : str
        Word for the value in the help of the command.
    reads : bool
        Whether the value names files or folders, or holds data. The stems then depend on the content, and not
        on the name.
    whole : bool
        Whether a text is one value of a tuple as it stands; else it is split at its commas.
    former_name : str
        Name of the option in earlier versions, which is still accepted.
    unit : str
        Unit of the value, such as "seconds".
    """

    at_least: float | None = None
    at_most: float | None = None
    above: float | None = None
    flag: str | None = None
    selects: bool = False
    metavar: str = ""
    reads: bool = False
    whole: bool = False
    former_name: str = ""
    unit: str = ""

    def check(self, name: str, value: Any) -> None:
        """Check a value, or each value of a tuple; None and values that are not numbers pass.

        Raises
        ------
        OptionError
            When it lies outside the limits.
        """
        for number in value if isinstance(value, tuple) else (value,):
            if isinstance(number, int | float) and not isinstance(number, bool) and not self._allows(number):
                limits = f"{name}={number}: it must be {self.described()}"
                raise OptionError(f"{limits}{self._hint(number)}", option=name)

    def described(self) -> str:
        """Return the limits in words."""
        limits = (("at least", self.at_least), ("above", self.above), ("at most", self.at_most))
        words = [f"{word} {limit:g}" for word, limit in limits if limit is not None]
        is_open = self.above is not None and self.at_most is None
        text = " and ".join([*words, *(["finite"] if is_open else [])])
        return f"{text} {self.unit}" if self.unit else text

    def _hint(self, number: float) -> str:
        """Return the end of a message about a number of seconds that was meant as milliseconds."""
        is_meant = self.unit == "seconds" and number > 0 and self._allows(number / 1000)
        return milliseconds_hint(number) if is_meant else ""

    def _allows(self, number: float) -> bool:
        return (
            (self.at_least is None or number >= self.at_least)
            and (self.at_most is None or number <= self.at_most)
            and (self.above is None or self.above < number < float("inf"))
        )


def option(default: Any = dataclasses.MISSING, help: str = "", **rules: Any) -> Any:
    """Describe an option of a separator: the value of a field of its dataclass.

    Parameters
    ----------
    default : object
        Default value; an option without a default must be given.
    help : str
        Phrase that describes the option, shown by the command line.
    **rules
        Limits and the form on the command line: attributes of `OptionRules`.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Gate(Options):
    ...     level: float = option(-60.0, "level below which a frame is silent, in dB", at_most=0)
    >>> Gate(level=3.0)
    Traceback (most recent call last):
    ...
    nmfaudio.errors.OptionError: level=3.0: it must be at most 0
    """
    metadata = {"help": help, _METADATA_KEY: OptionRules(**rules)}
    return dataclasses.field(default=default, metadata=metadata)


def window_option(default: float) -> Any:
    """Describe the option of an analysis window, as `option` does: seconds, with limits.

    Parameters
    ----------
    default : float
        Default length in seconds.
    """
    return option(
        default,
        "length of the analysis window in seconds",
        above=0,
        at_most=LONGEST_WINDOW_SECONDS,
        unit="seconds",
    )


def rules_of(field: dataclasses.Field[Any]) -> OptionRules:
    """Return the rules of a field. A field that was not made by `option` has rules that allow everything."""
    rules = field.metadata.get(_METADATA_KEY)
    return rules if isinstance(rules, OptionRules) else OptionRules()


def check_options(separator: Any) -> None:
    """Check every option of a separator against its limits.

    Raises
    ------
    OptionError
        For the first value outside its limits.
    """
    for field in dataclasses.fields(separator):
        rules_of(field).check(field.name, getattr(separator, field.name))


class Options:
    """Base of separators: checks the limits of all options when a separator is made.

    A separator that compares its options with each other extends `__post_init__` and calls this one first.
    """

    def __post_init__(self) -> None:
        check_options(self)

    def known_sources(self) -> tuple[str, ...]:
        """Return the sources that are known before a mixture is read; empty where the mixture decides.

        A separator that reads files reads them here too, so that a bad file ends a run before it begins.
        """
        return ()


def fingerprint(value: Any) -> str:
    """Return a hash of the files, folders or data that the value of an option names or holds.

    Parameters
    ----------
    value : path-like, object with a method `fingerprint`, tuple of these, or None
        Value of the option. For a folder, the hash covers the names and contents of all files in it.

    Raises
    ------
    OSError
        When a file cannot be read.

    Examples
    --------
    >>> fingerprint(None) == fingerprint(())
    True
    """
    digest = hashlib.sha256()
    for part in _parts(value):
        digest.update(part.encode("utf-8", "surrogateescape") + b"\0")
    return digest.hexdigest()


def file_hash(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _parts(value: Any) -> Iterator[str]:
    if value is None:
        return
    if isinstance(value, tuple | list):
        for one in value:
            yield from _parts(one)
    elif isinstance(value, str | os.PathLike):
        yield from _path_parts(Path(value))
    else:
        yield value.fingerprint()


def _path_parts(path: Path) -> Iterator[str]:
    if path.is_dir():
        for file in sorted(file for file in path.rglob("*") if file.is_file()):
            yield f"{file.relative_to(path)} {file_hash(file)}"
    else:
        yield file_hash(path)
