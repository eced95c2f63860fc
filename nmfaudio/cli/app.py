"""The command `nmfaudio` and what all its commands share."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from nmfaudio.cli.address_space import limit_error
from nmfaudio.cli.command_list import COMMANDS, CONTEXT, loaded_command
from nmfaudio.cli.commands import Command
from nmfaudio.cli.console import FAILED, complain, print_safely, warn_in_one_line
from nmfaudio.cli.debugging import switch_debugging_on
from nmfaudio.cluster.job import NO_MEMORY, means_no_memory


class _Commands(TyperGroup):
    """The commands; each is loaded where it is run or completed."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[Any, Any, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        return name, loaded_command(name) if name in COMMANDS else command, rest

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write plain text: the package that draws frames takes longer to load than all the rest."""
        super(TyperGroup, self).format_help(ctx, formatter)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write each command with its whole summary."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in COMMANDS.items()])


app = typer.Typer(
    name="nmfaudio",
    cls=_Commands,
    help="Separate audio into stems by non-negative matrix factorization.",
    epilog=(
        "`--debug` after a command shows the traceback of an error. "
        "Exit codes: 0 success, 1 a file failed, 2 wrong usage, 130 or 143 interrupted."
    ),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings=CONTEXT,
)


def main() -> None:
    """Run the command line and exit."""
    print_safely()
    warn_in_one_line()
    if message := limit_error():
        complain(message)
        raise SystemExit(FAILED)
    try:
        app()
    except (MemoryError, ImportError, OSError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and not means_no_memory(error):
            raise
        complain(NO_MEMORY)
        raise SystemExit(FAILED) from None


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"nmfaudio {version('nmfaudio')}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Separate audio into stems by non-negative matrix factorization."""
    switch_debugging_on(debug)


def _stand_in() -> None:
    """Stand in the list of commands; `_Commands` puts the loaded command in its place."""


for _name, _entry in COMMANDS.items():
    app.command(_name, cls=Command, help=_entry.summary)(_stand_in)
