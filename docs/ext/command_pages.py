"""One page for each command, made from the command itself, so that no option is missing.

The pages are written to `docs/reference/commands/` when the build begins.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from nmfaudio.cli.app import app as command_line

if TYPE_CHECKING:
    from sphinx.application import Sphinx

FOLDER = "reference/commands"
# What kind of value an option takes, where the command line names no better word.
WORDS = {int: "whole number", float: "number", str: "text", Path: "path"}
EVERY_COMMAND = """`--debug`
: Show the traceback of an error.

`--help`, `-h`
: Show a shorter form of this page and exit.
"""
NOT_MARKUP = re.compile(r"(`[^`]*`)|([*_<>\[\]$])")


def commands() -> dict[str, Any]:
    """Return every command by name, with the flags that it gets from the separators."""
    group = typer.main.get_command(command_line)
    context = group.make_context("nmfaudio", ["separate"], resilient_parsing=True)
    names = group.list_commands(context)
    return {name: group.resolve_command(context, [name])[1] for name in names}


def escaped(text: str) -> str:
    """Return a text whose characters mean themselves in Markdown, except within backticks."""
    return NOT_MARKUP.sub(lambda found: found[1] or "\\" + found[2], text)


def value_word(parameter: Any) -> str:
    """Return what stands for the value of an option: its own word, or its type; nothing for a switch."""
    if parameter.metavar is not None or getattr(parameter, "is_flag", False):
        return parameter.metavar or ""
    kind = parameter.type_descriptor.annotation
    return next(
        (word for one, word in WORDS.items() if kind is one or str(one.__name__) in str(kind)), "value"
    )


def default_of(parameter: Any) -> str:
    """Return a sentence with the default, where it says something."""
    if parameter.default is None or parameter.default is False or "efault:" in (parameter.help or ""):
        return ""
    return f" Default: `{parameter.default}`."


def entry(parameter: Any) -> str:
    """Return the description of one option."""
    names = ", ".join(f"`{name}`" for name in [*parameter.opts, *parameter.secondary_opts])
    word = value_word(parameter)
    required = " This option is required." if parameter.required else ""
    text = f"{escaped(parameter.help or '')}{default_of(parameter)}{required}"
    return f"{names}{f' *{escaped(word)}*' if word else ''}\n: {text}\n"


def owners(parameter: Any) -> str:
    """Return the separators that have an option, as links to their pages."""
    names = (parameter.rich_help_panel or "").removeprefix("Options of ").split(" and ")
    return "Of " + ", ".join(f"[{name}](../../separators/{name}.md)" for name in names) + "."


def argument(parameter: Any) -> str:
    """Return the description of one argument."""
    return f"*{parameter.metavar or parameter.name.upper()}*\n: {escaped(parameter.help or '')}\n"


def in_groups(parameters: Iterable[Any]) -> Iterator[tuple[str, list[Any]]]:
    """Yield the headings of the help with their options."""
    groups: dict[str, list[Any]] = {}
    for parameter in parameters:
        groups.setdefault(parameter.rich_help_panel or "Options", []).append(parameter)
    yield from groups.items()


def usage(name: str, command: Any) -> str:
    """Return the form of a call."""
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    words = [(p.metavar or p.name.upper()).rstrip(".") + ("..." if p.nargs == -1 else "") for p in arguments]
    return f"```text\nnmfaudio {' '.join([name, *words])} [OPTIONS]\n```\n"


def without_examples(text: str) -> str:
    """Return the help of a command without its examples, which are set apart."""
    return escaped(text.partition("Examples:")[0].strip())


def examples_of(command: Any) -> str:
    """Return the commands that the help gives as examples."""
    text = f"{command.help or ''}\n\n{command.epilog or ''}".partition("Examples:")[2]
    lines = [line.strip().strip("`") for line in text.splitlines() if line.strip().startswith("nmfaudio")]
    return "\n".join(["## Examples", "", "```text", *lines, "```", ""]) if lines else ""


def page(name: str, command: Any) -> str:
    """Return the page of one command."""
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option" and p.name != "help"]
    parts = [f"# {name}\n", without_examples(command.help or "") + "\n", usage(name, command)]
    parts += [argument(parameter) for parameter in arguments]
    for title, group in in_groups(option for option in options if not option.hidden):
        parts += [f"## {title}\n", *map(entry, group)]
    parts += ["## Of every command\n", EVERY_COMMAND]
    if hidden := [option for option in options if option.hidden]:
        parts += ["## Other options of separators\n", "The help of the command does not list these.\n"]
        parts += [f"{entry(option).rstrip()} {owners(option)}\n" for option in hidden]
    return "\n".join([*parts, examples_of(command)])


def write_pages(app: Sphinx) -> None:
    """Write the pages that have changed, and remove those of commands that are gone."""
    folder = Path(app.srcdir) / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    pages = {f"{name}.md": page(name, command) for name, command in commands().items()}
    for old in set(path.name for path in folder.glob("*.md")) - set(pages):
        (folder / old).unlink()
    for name, text in pages.items():
        if not (folder / name).exists() or (folder / name).read_text("utf-8") != text:
            (folder / name).write_text(text, "utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Write the pages before Sphinx reads any."""
    app.connect("builder-inited", write_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
