"""Find separators by name: those of nmfaudio and those that other packages install, in the same way."""

from __future__ import annotations

import dataclasses
import os
import sys
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from nmfaudio.errors import OptionError, SeparatorError
from nmfaudio.models.contract import Separator
from nmfaudio.models.options import check_options
from nmfaudio.pipeline.option_values import Option, options_of_class
from nmfaudio.suggestion import suggestion

GROUP = "nmfaudio.separators"  # of entry points
DEFAULT_SEPARATOR, GENERAL_SEPARATOR = "auto", "blind"
# Names that the methods have elsewhere, and the separators that are meant.
_USUAL_NAMES = {
    "hpss": "harmonic-percussive",
    "repet": "repeating",
    "repet-sim": "repeating",
    "vocals": "voice",
    "singing": "voice",
    "midi": "score",
    "pan": "stereo",
    "denoise": "noise",
    "nmf": "blind",
}


@dataclass(frozen=True)
class Entry:
    """A separator that can be asked for by name.

    Attributes
    ----------
    name : str
        Name of the separator.
    points : tuple of EntryPoint
        Where it comes from; more than one where several packages use the name.
    """

    name: str
    points: tuple[EntryPoint, ...]

    @property
    def origin(self) -> str:
        """The package, or packages, that it comes from."""
        return " and ".join(f"{_package(point)} ({point.value})" for point in self.points)

    @property
    def package(self) -> str:
        """Name and version of the package that it comes from."""
        distribution = self.points[0].dist
        return f"{distribution.name} {distribution.version}" if distribution else "unknown"

    @cached_property
    def error(self) -> str | None:
        """Why the separator cannot be used; None where it can."""
        if len(self.points) > 1:
            return f"the name is taken twice, by {self.origin}: uninstall one of them"
        try:
            loaded = self.points[0].load()
        except (Exception, SystemExit) as error:  # a broken plugin may raise anything at all
            return f"{self.origin} cannot be loaded ({type(error).__name__}: {error}): repair or uninstall it"
        if not (isinstance(loaded, type) and dataclasses.is_dataclass(loaded) and hasattr(loaded, "fit")):
            return f"{self.origin} is not a dataclass with a method `fit`: repair or uninstall it"
        return None

    @property
    def kind(self) -> type[Any]:
        """Class of the separator.

        Raises
        ------
        SeparatorError
            When the separator cannot be used.
        """
        if self.error:
            raise SeparatorError(f"separator {self.name!r}: {self.error}")
        return typing.cast("type[Any]", self.points[0].load())

    @property
    def summary(self) -> str:
        """First line of the documentation of the class."""
        return (self.kind.__doc__ or "").strip().splitlines()[0] if self.kind.__doc__ else ""

    @property
    def options(self) -> dict[str, Option]:
        """Options by name."""
        return options_of_class(self.kind)


def installed_separators() -> dict[str, Entry]:
    """Return every separator that is installed, by name. Broken ones are listed with their `error`.

    Examples
    --------
    >>> installed_separators()["blind"].options["sources"].default is None
    True
    """
    return dict(_entries_in(tuple((folder, _time_of_change(folder)) for folder in sys.path)))


@cache
def _entries_in(folders: tuple[tuple[str, float], ...]) -> dict[str, Entry]:
    """Return the separators by name; `folders` are those that hold packages, with the times of their changes.

    A command asks several times, and each search reads a file of every installed package.
    """
    points: dict[str, list[EntryPoint]] = {}
    for point in entry_points(group=GROUP):
        points.setdefault(point.name, []).append(point)
    return {name: Entry(name, tuple(points[name])) for name in sorted(points)}


def _time_of_change(folder: str) -> float:
    """Return when a folder was changed last; 0 where it does not exist."""
    try:
        return os.stat(folder or ".").st_mtime
    except OSError:
        return 0.0


def find(name: str) -> Entry:
    """Return the separator of that name.

    Raises
    ------
    SeparatorError
        When it does not exist or cannot be loaded.
    """
    entries = installed_separators()
    if name not in entries:
        names = ", ".join(entries) or "none: install nmfaudio itself with `pip install .`"
        meant = _meant(name, entries)
        raise SeparatorError(f"there is no separator {name!r}: use one of {names}{meant}")
    if entries[name].error:
        raise SeparatorError(f"separator {name!r}: {entries[name].error}")
    return entries[name]


def entry_of(kind: type[Any]) -> Entry | None:
    """Return the entry of a separator's class; None where it is not installed under a name."""
    value = f"{kind.__module__}:{kind.__qualname__}"
    for entry in installed_separators().values():
        if any(point.value.replace(" ", "") == value for point in entry.points):
            return entry
    return None


def make(name: str, **settings: Any) -> Separator:
    """Make the separator of that name with these options.

    Raises
    ------
    SeparatorError
        When the separator does not exist or cannot be loaded.
    OptionError
        When it lacks an option, or when a value is outside its limits.

    Examples
    --------
    >>> make("blind", sources=3).sources
    3
    """
    kind = find(name).kind
    options = options_of_class(kind)
    values = with_present_names(settings, options)
    for option in values:
        if option not in options:
            names = ", ".join(options) or "none"
            meant = suggestion(option, options) or _owners(option)
            raise OptionError(
                f"separator {name!r} has no option {option!r}: it has {names}{meant}", option=option
            )
    missing = [o.name for o in options.values() if o.default is dataclasses.MISSING and o.name not in values]
    if missing:
        raise OptionError(f"separator {name!r} needs a value for {', '.join(missing)}", option=missing[0])
    try:
        separator = kind(**values)
        check_options(separator)
    except (TypeError, ValueError) as error:
        if isinstance(error, OptionError):
            raise
        raise OptionError(f"separator {name!r} refuses its options: {error}") from None
    return typing.cast(Separator, separator)


def with_present_names(settings: Mapping[str, Any], options: Mapping[str, Option]) -> dict[str, Any]:
    """Return the settings with former names of options replaced by their present names."""
    present = {option.rules.former_name: name for name, option in options.items() if option.rules.former_name}
    return {name if name in options else present.get(name, name): value for name, value in settings.items()}


def default_name(settings: Iterable[str] = ()) -> str:
    """Return the separator for runs that name none: `auto`, or `blind` where `auto` lacks an option.

    Examples
    --------
    >>> default_name(["sources"]), default_name(["sources", "components"])
    ('auto', 'blind')
    """
    is_default = set(settings) <= set(find(DEFAULT_SEPARATOR).options)
    return DEFAULT_SEPARATOR if is_default else GENERAL_SEPARATOR


def _meant(name: str, known: Iterable[str]) -> str:
    """Return the end of a message that suggests a separator."""
    known = tuple(known)
    usual = _USUAL_NAMES.get(name.casefold().replace("_", "-"), "")
    return f"; did you mean {usual!r}?" if usual in known else suggestion(name, known)


def _owners(option: str) -> str:
    """Return the end of a message about an option that other separators have."""
    entries = installed_separators().items()
    owners = [name for name, entry in entries if not entry.error and option in entry.options]
    return f"; {option} is an option of {' and '.join(owners)}" if owners else ""


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist else "an unknown package"
