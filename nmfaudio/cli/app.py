"""The command `nmfaudio` and what all its commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from nmfaudio.cli.address_space import limit_error
from nmfaudio.cli.advise import advise
from nmfaudio.cli.archive_status import archive_status
from nmfaudio.cli.console import FAILED, complain, print_safely
from nmfaudio.cli.convert import convert
from nmfaudio.cli.export import export
from nmfaudio.cli.join import join
from nmfaudio.cli.learn import learn
from nmfaudio.cli.live import live
from nmfaudio.cli.plot import plot
from nmfaudio.cli.rank import rank
from nmfaudio.cli.separate import separate
from nmfaudio.cli.separator_flags import with_separator_flags
from nmfaudio.cli.separators import separators
from nmfaudio.cli.show import show
from nmfaudio.cli.tune import tune
from nmfaudio.cluster.job import NO_MEMORY, means_no_memory

_CONTEXT = {"help_option_names": ["-h", "--help"]}


class _Commands(TyperGroup):
    """The commands; `separate` gets the flags of the separators only where it is run or completed."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[Any, Any, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        if name == "separate":
            alone = typer.Typer(add_completion=False, context_settings=_CONTEXT)
            alone.command(name)(with_separator_flags(separate))
            command = typer.main.get_command(alone)
        return name, command, rest


app = typer.Typer(
    name="nmfaudio",
    cls=_Commands,
    help="Separate audio into stems by non-negative matrix factorization.",
    epilog="Exit codes: 0 success, 1 a file failed, 2 wrong usage, 130 or 143 interrupted.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings=_CONTEXT,
)


def main() -> None:
    """Run the command line and exit."""
    print_safely()
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
) -> None:
    """Separate audio into stems by non-negative matrix factorization."""


def _separate_without_flags() -> None:
    pass


_COMMANDS: tuple[Callable[..., Any], ...] = (
    separators,
    learn,
    join,
    show,
    convert,
    export,
    live,
    tune,
    plot,
    rank,
    advise,
    archive_status,
)
# Stands for `separate` in the list of commands; `_Commands` puts the real one in its place.
_separate_without_flags.__doc__ = separate.__doc__
app.command("separate")(_separate_without_flags)
for _command in _COMMANDS:
    app.command()(_command)
