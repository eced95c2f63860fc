"""Finds separators by name: those of nmfaudio and those that other packages install, in the same way."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from nmfaudio.errors import OptionError, SeparatorError
from nmfaudio.models.contract import Separator

GROUP = "nmfaudio.separators"
DEFAULT, GENERAL = "auto", "blind"
_TRUTH = {
    "true": True,
    "yes": True,
    "on": True,
    "1": True,
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}


@dataclass(frozen=True)
class Option:
    """An option of a separator: a field of its dataclass.

    Attributes
    ----------
    name : str
    default : object
        `dataclasses.MISSING` where a value must be given.
    type : object
        The field's annotation.
    help : str
        What the field's metadata say under `"help"`.
    """

    name: str
    default: Any
    type: Any
    help: str

    def parse(self, text: str) -> Any:
        """Return the value that a text from a command line stands for.

        Raises
        ------
        OptionError
            When it stands for none.

        Examples
        --------
        >>> Option("seed", 0, int, "").parse("7")
        7
        """
        return _parse(text, self.type, self.name)


@dataclass(frozen=True)
class Entry:
    """A separator that can be asked for by name.

    Attributes
    ----------
    name : str
    points : tuple of EntryPoint
        Where it comes from; more than one when packages quarrel over the name.
    """

    name: str
    points: tuple[EntryPoint, ...]

    @property
    def origin(self) -> str:
        """The package, or packages, that it comes from."""
        return " and ".join(f"{_package(point)} ({point.value})" for point in self.points)

    @cached_property
    def error(self) -> str | None:
        """Why it cannot be used, or None."""
        if len(self.points) > 1:
            return f"the name is taken twice, by {self.origin}: uninstall one of them"
        try:
            found = self.points[0].load()
        except (Exception, SystemExit) as error:  # a broken plugin may raise anything at all
            return f"{self.origin} cannot be loaded ({type(error).__name__}: {error}): repair or uninstall it"
        if not (isinstance(found, type) and dataclasses.is_dataclass(found) and hasattr(found, "fit")):
            return f"{self.origin} is not a dataclass with a method `fit`: repair or uninstall it"
        return None

    @property
    def kind(self) -> type[Any]:
        """The separator's class.

        Raises
        ------
        SeparatorError
            When it cannot be used.
        """
        if self.error:
            raise SeparatorError(f"separator {self.name!r}: {self.error}")
        return typing.cast("type[Any]", self.points[0].load())

    @property
    def summary(self) -> str:
        """The first line of its documentation."""
        return (self.kind.__doc__ or "").strip().splitlines()[0] if self.kind.__doc__ else ""

    @property
    def options(self) -> dict[str, Option]:
        """Its options by name."""
        return options(self.kind)


def installed_separators() -> dict[str, Entry]:
    """Return every separator that is installed, by name; broken ones too, with their `error`.

    Examples
    --------
    >>> installed_separators()["blind"].summary
    'Separate without knowing anything of the sources: find components, group them by timbre.'
    """
    found: dict[str, list[EntryPoint]] = {}
    for point in entry_points(group=GROUP):
        found.setdefault(point.name, []).append(point)
    return {name: Entry(name, tuple(found[name])) for name in sorted(found)}


def find(name: str) -> Entry:
    """Return the separator of that name.

    Raises
    ------
    SeparatorError
        When there is none, or it cannot be loaded.
    """
    known = installed_separators()
    if name not in known:
        listed = ", ".join(known) or "none: install nmfaudio itself with `pip install .`"
        raise SeparatorError(f"there is no separator {name!r}: use one of {listed}")
    if known[name].error:
        raise SeparatorError(f"separator {name!r}: {known[name].error}")
    return known[name]


def make(name: str, **settings: Any) -> Separator:
    """Make the separator of that name with these options.

    Raises
    ------
    SeparatorError
        When there is no such separator, or it cannot be loaded.
    OptionError
        For an option that it does not have, or a value that it refuses.

    Examples
    --------
    >>> make("blind", sources=3).sources
    3
    """
    kind = find(name).kind
    known = options(kind)
    for option in settings:
        if option not in known:
            raise OptionError(
                f"separator {name!r} has no option {option!r}: it has {', '.join(known) or 'none'}"
            )
    missing = [o.name for o in known.values() if o.default is dataclasses.MISSING and o.name not in settings]
    if missing:
        raise OptionError(f"separator {name!r} needs a value for {', '.join(missing)}")
    try:
        return typing.cast(Separator, kind(**settings))
    except (TypeError, ValueError) as error:
        if isinstance(error, OptionError):
            raise
        raise OptionError(f"separator {name!r} refuses its options: {error}") from None


def default_name(settings: Iterable[str] = ()) -> str:
    """Return the separator that is meant where none is named: `auto`, or `blind` for options of its own.

    Examples
    --------
    >>> default_name(["sources"]), default_name(["sources", "components"])
    ('auto', 'blind')
    """
    given = set(settings)
    if given <= set(find(DEFAULT).options) or not given <= set(find(GENERAL).options):
        return DEFAULT
    return GENERAL


def options(kind: type[Any]) -> dict[str, Option]:
    """Return the options of a separator's class by name, in the order of its fields."""
    hints = typing.get_type_hints(kind)
    return {
        f.name: Option(f.name, _default(f), hints[f.name], str(f.metadata.get("help", "")))
        for f in dataclasses.fields(kind)
        if f.init
    }


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def _parse(text: str, kind: Any, name: str) -> Any:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return _parse_any(text, arguments, name)
    if origin is typing.Literal:
        if text in map(str, arguments):
            return next(a for a in arguments if str(a) == text)
        raise OptionError(f"{name}={text!r}: use one of {', '.join(map(str, arguments))}")
    if origin is tuple:
        return tuple(_parse(part.strip(), arguments[0], name) for part in text.split(",") if part.strip())
    if kind is bool:
        if text.lower() in _TRUTH:
            return _TRUTH[text.lower()]
        raise OptionError(f"{name}={text!r}: use true or false")
    if kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            number = "a whole number" if kind is int else "a number"
            raise OptionError(f"{name}={text!r}: it must be {number}") from None
    return text


def _parse_any(text: str, kinds: tuple[Any, ...], name: str) -> Any:
    """Return the first alternative that fits; text itself fits last."""
    if type(None) in kinds and text.lower() in ("none", "auto", ""):
        return None
    refusals = []
    for kind in sorted((k for k in kinds if k is not type(None)), key=lambda k: k is str):
        try:
            return _parse(text, kind, name)
        except OptionError as error:
            refusals.append(error)
    raise refusals[0]


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist else "an unknown package"
