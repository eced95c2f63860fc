"""Flags of `nmfaudio separate` that come from the options of the installed separators.

Every option of every separator is a flag, `--window 0.1` as well as `--set window=0.1`. The help lists those
that the separators give a place there (`flag` in `nmfaudio.models.options`).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nmfaudio.cli.console import WRONG_USAGE, stop

if TYPE_CHECKING:
    from nmfaudio.pipeline.option_values import Option


@dataclass
class Flag:
    """A flag and the options of separators that it sets.

    Attributes
    ----------
    name : str
        The flag without its two dashes.
    options : dict of str to Option
        The option that it sets, by the name of its separator.
    """

    name: str
    options: dict[str, Option] = field(default_factory=dict)

    @property
    def parameter(self) -> str:
        """Name of the parameter of the command's function."""
        return "flag_" + self.name.replace("-", "_")

    @property
    def option(self) -> Option:
        """The option that its help is taken from: the first that has a place in the help."""
        return next((o for o in self.options.values() if o.rules.flag), next(iter(self.options.values())))

    @property
    def is_listed(self) -> bool:
        """Whether the help of the command lists the flag."""
        return any(option.rules.flag for option in self.options.values())

    def values(self, separator: str, given: Any) -> tuple[str, Any]:
        """Return the option of a separator and its value from what the command line gives."""
        option = self.options[separator]
        if option.is_switch:
            return option.name, given
        if option.takes_several:
            whole = option.rules.reads or option.rules.whole
            parsed = [text if whole else option.parse(text) for text in given]
            each = [value if isinstance(value, tuple) else (value,) for value in parsed]
            return option.name, tuple(value for values in each for value in values)
        if len(given) > 1:
            stop(f"--{self.name} was given {len(given)} times: give it once", WRONG_USAGE)
        return option.name, option.parse(given[0])


def separator_flags(taken: Collection[str]) -> dict[str, Flag]:
    """Return the flags of all installed separators by name, without those whose names are taken."""
    from nmfaudio.pipeline.registry import installed_separators

    flags: dict[str, Flag] = {}
    for separator, entry in installed_separators().items():
        for option in entry.options.values() if not entry.error else ():
            name = option.rules.flag or option.name.replace("_", "-")
            if name not in taken:
                flags.setdefault(name, Flag(name)).options[separator] = option
    return flags


def with_separator_flags(command: Callable[..., None]) -> Callable[..., None]:
    """Return the function of a command with a parameter for each flag of the separators.

    The command gets the flags that were given as `flags`, a dict of `Flag` to value.
    """
    own = inspect.signature(command, eval_str=True).parameters
    kept = [parameter for name, parameter in own.items() if name != "flags"]
    taken = {name.replace("_", "-") for name in own} | {"except", "json", "jobs"}
    flags = separator_flags(taken)

    def extended(**values: Any) -> None:
        given = {flag.name: values.pop(flag.parameter) for flag in flags.values()}
        chosen = {name: value for name, value in given.items() if value not in (None, [])}
        command(**values, flags={name: (flags[name], value) for name, value in chosen.items()})

    parameters = [*kept, *(_parameter(flag) for flag in flags.values())]
    extended.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    extended.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    extended.__doc__, extended.__name__ = command.__doc__, command.__name__
    return extended


def _parameter(flag: Flag) -> inspect.Parameter:
    option = flag.option
    separators = " and ".join(flag.options)
    repeatable = option.takes_several and option.rules.flag is not None
    help_text = f"{option.help[:1].upper()}{option.help[1:]}{'; repeatable' if repeatable else ''}."
    settings: dict[str, Any] = {
        "help": help_text,
        "hidden": not flag.is_listed,
        "rich_help_panel": f"Options of {separators}",
    }
    if option.is_switch:
        kind: Any = Annotated[bool | None, typer.Option(f"--{flag.name}/--no-{flag.name}", **settings)]
    else:
        metavar = option.rules.metavar or option.name.upper()
        kind = Annotated[list[str] | None, typer.Option(f"--{flag.name}", metavar=metavar, **settings)]
    return inspect.Parameter(flag.parameter, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)


def chosen_separator(
    separator: str | None, switches: Mapping[str, str], flags: Mapping[str, tuple[Flag, Any]], names: set[str]
) -> str:
    """Return the name of the separator that the command line asks for; end the command if there are several.

    Parameters
    ----------
    separator : str or None
        Value of `--separator`.
    switches : mapping of str to str
        Flags such as `--drums` that were given, and the separators that they stand for.
    flags : mapping of str to (Flag, value)
        Flags of separators that were given.
    names : set of str
        Names of all options that were given by flags and by `--set`.
    """
    requests = {f"--separator {separator}": separator} if separator else {}
    requests |= switches
    requests |= _requests_of_flags(flags, set(requests.values()), names)
    if len(set(requests.values())) > 1:
        stop(f"{' and '.join(requests)} ask for different separators: use one of them", WRONG_USAGE)
    if requests:
        return next(iter(requests.values()))
    from nmfaudio.pipeline.registry import default_name

    owners = [set(flag.options) for flag, _ in flags.values()]
    common = set.intersection(*owners) if owners else set()
    if common & {"auto", "blind"} or len(common) != 1:
        return default_name(names)
    return common.pop()


def _requests_of_flags(
    flags: Mapping[str, tuple[Flag, Any]], chosen: set[str], names: set[str]
) -> dict[str, str]:
    """Return the separators that flags choose; a flag of several separators yields to all other requests.

    Parameters
    ----------
    flags : mapping of str to (Flag, value)
    chosen : set of str
        Separators that are chosen without these flags.
    names : set of str
        Names of all options that were given.
    """
    from nmfaudio.pipeline.registry import find

    requests: dict[str, str] = {}
    for name, (flag, _) in sorted(flags.items(), key=lambda item: len(item[1][0].options)):
        wanted = chosen | set(requests.values())
        shared = len(flag.options) > 1
        if shared and wanted & set(flag.options):
            continue
        for owner, option in flag.options.items():
            if option.rules.selects and (not shared or wanted or names <= set(find(owner).options)):
                requests[f"--{name}"] = owner
    return requests


def flag_options(separator: str, flags: Mapping[str, tuple[Flag, Any]]) -> dict[str, Any]:
    """Return the options of a separator from the flags that were given; end the command at one it lacks."""
    from nmfaudio.errors import OptionError

    options = {}
    for name, (flag, value) in flags.items():
        if separator not in flag.options:
            owners = " or ".join(f"--separator {owner}" for owner in flag.options)
            selecting = [f"--{o.rules.flag}" for o in _selecting(flag.options)]
            way_out = " or ".join([*selecting, owners])
            stop(f"--{name} is not an option of the separator {separator}: pass {way_out}", WRONG_USAGE)
        try:
            option, parsed = flag.values(separator, value)
        except OptionError as error:
            stop(str(error), WRONG_USAGE)
        options[option] = parsed
    return options


def _selecting(owners: Collection[str]) -> list[Option]:
    """Return the options that alone choose one of the separators."""
    from nmfaudio.pipeline.registry import find

    return [option for owner in owners for option in find(owner).options.values() if option.rules.selects]
