"""`nmfaudio separators`: the separators that are installed, with their options."""

from __future__ import annotations

import dataclasses
import json
import sys
import types
import typing
from typing import Annotated, Any

import typer


def separators(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """List the separators, built in and installed, with their options and defaults."""
    from nmfaudio.pipeline.registry import installed_separators

    entries = installed_separators()
    if as_json:
        print(json.dumps({name: _described(entry) for name, entry in entries.items()}, default=str))
        return
    for name, entry in entries.items():
        _print_entry(name, entry)


def _described(entry: Any) -> dict[str, Any]:
    if entry.error:
        return {"origin": entry.origin, "error": entry.error}
    options = {
        o.name: {
            "default": None if o.default is dataclasses.MISSING else o.default,
            "type": _type_name(o.type),
            "help": o.help,
        }
        for o in entry.options.values()
    }
    whole = getattr(entry.kind, "needs_whole", None)
    return {"origin": entry.origin, "summary": entry.summary, "needs_whole": whole, "options": options}


def _print_entry(name: str, entry: Any) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 120)
    heading = Text(name, style="bold")
    if entry.error:
        console.print(heading.append(f"  cannot be used: {entry.error}", style="not bold red"))
        return
    console.print(heading.append(f"  {entry.summary}", style="not bold"))
    table = Table(box=None, padding=(0, 2), show_header=False)
    for option in entry.options.values():
        default = "(required)" if option.default is dataclasses.MISSING else str(option.default)
        table.add_row(
            f"  {option.name}",
            Text(default),
            Text(_type_in_words(option.type), style="dim"),
            Text(option.help),
        )
    console.print(table)
    memory: dict[Any, str] = {
        True: "needs the whole recording; ",
        False: "works on recordings of any length; ",
    }
    note = memory.get(getattr(entry.kind, "needs_whole", None), "")
    console.print(Text(f"    {note}from {entry.origin}\n", style="dim"))


def _type_name(kind: Any) -> str:
    return kind.__name__ if isinstance(kind, type) else str(kind).replace("typing.", "")


def _type_in_words(kind: Any) -> str:
    """Return what may be given for an option of a type, such as `number, or none`."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        words = dict.fromkeys(_type_in_words(one) for one in arguments if one is not type(None))
        return " or ".join(words) + (", or none" if type(None) in arguments else "")
    if origin is typing.Literal:
        return ", ".join(map(str, arguments))
    if origin is tuple:
        word = _type_in_words(arguments[0])
        return f"{word}[,{word}...]"
    words_of_types = {int: "whole number", float: "number", bool: "true or false", str: "text"}
    return words_of_types.get(kind, _type_name(kind))
