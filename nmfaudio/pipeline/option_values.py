"""Options of separators as the registry knows them, and their values from texts of a command line."""

from __future__ import annotations

import dataclasses
import types
import typing
from dataclasses import dataclass, field
from typing import Any

from nmfaudio.errors import OptionError
from nmfaudio.models.options import OptionRules, rules_of
from nmfaudio.suggestion import suggestion

_TRUTH_VALUES = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0"), False),
}


@dataclass(frozen=True)
class Option:
    """An option of a separator: a field of its dataclass.

    Attributes
    ----------
    name : str
        Name of the field.
    default : object
        Value where none is given; `dataclasses.MISSING` where a value must be given.
    type : object
        Annotation of the field.
    help : str
        A phrase that says what the option sets.
    rules : OptionRules
        Limits, place on the command line and former name.
    """

    name: str
    default: Any
    type: Any
    help: str
    rules: OptionRules = field(default_factory=OptionRules)

    @property
    def takes_several(self) -> bool:
        """Whether the value is a tuple, so that a flag may be repeated."""
        return any(typing.get_origin(kind) is tuple for kind in _alternatives(self.type))

    @property
    def is_switch(self) -> bool:
        """Whether the value is true or false."""
        return self.type is bool

    def parse(self, text: str) -> Any:
        """Return the value that a text stands for.

        Raises
        ------
        OptionError
            When the text stands for no value of the option's type.

        Examples
        --------
        >>> Option("seed", 0, int, "").parse("7")
        7
        """
        return _parsed(text, self.type, self.name)


def options_of_class(kind: type[Any]) -> dict[str, Option]:
    """Return the options of a separator's class by name: its fields in order, keyword-only ones last."""
    hints = typing.get_type_hints(kind)
    fields = sorted(dataclasses.fields(kind), key=lambda field: bool(field.kw_only))
    return {
        field.name: Option(
            field.name,
            _default(field),
            hints[field.name],
            str(field.metadata.get("help", "")),
            rules_of(field),
        )
        for field in fields
        if field.init
    }


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def _alternatives(kind: Any) -> tuple[Any, ...]:
    union = typing.get_origin(kind) in (typing.Union, types.UnionType)
    return typing.get_args(kind) if union else (kind,)


def _parsed(text: str, kind: Any, name: str) -> Any:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return _parsed_as_any(text, arguments, name)
    if origin is typing.Literal:
        if text in map(str, arguments):
            return next(a for a in arguments if str(a) == text)
        values = list(map(str, arguments))
        raise OptionError(
            f"{name}={text!r}: use one of {', '.join(values)}{suggestion(text, values)}", option=name
        )
    if origin is tuple:
        return tuple(_parsed(part.strip(), arguments[0], name) for part in text.split(",") if part.strip())
    if kind is bool:
        if text.lower() in _TRUTH_VALUES:
            return _TRUTH_VALUES[text.lower()]
        raise OptionError(f"{name}={text!r}: use true or false", option=name)
    if kind in (int, float):
        return _number(text, kind, name)
    return text


def _number(text: str, kind: type, name: str) -> Any:
    try:
        return kind(text)
    except ValueError:
        number = "a whole number" if kind is int else "a number"
        raise OptionError(f"{name}={text!r}: it must be {number}", option=name) from None


def _parsed_as_any(text: str, kinds: tuple[Any, ...], name: str) -> Any:
    """Return the value of the first type that fits; plain text is tried last."""
    if type(None) in kinds and text.lower() in ("none", "auto", ""):
        return None
    errors = []
    for kind in sorted((k for k in kinds if k is not type(None)), key=lambda k: k is str):
        try:
            return _parsed(text, kind, name)
        except OptionError as error:
            errors.append(error)
    raise errors[0]
