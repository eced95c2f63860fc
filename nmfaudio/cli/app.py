"""The command `nmfaudio` and what all its commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from nmfaudio.cli.address_space import limit_error
from nmfaudio.cli.advise import advise
from nmfaudio.cli.archive_status import archive_status
from nmfaudio.cli.commands import Command
from nmfaudio.cli.console import FAILED, complain, print_safely, warn_in_one_line
from nmfaudio.cli.convert import convert
from nmfaudio.cli.debugging import switch_debugging_on
from nmfaudio.cli.evaluate import evaluate
from nmfaudio.cli.export import export
from nmfaudio.cli.join import join
from nmfaudio.cli.learn import learn
from nmfaudio.cli.live import live
from nmfaudio.cli.plot import plot
from nmfaudio.cli.rank import rank
from nmfaudio.cli.regroup import components, regroup
from nmfaudio.cli.report import report
from nmfaudio.cli.separate import EXAMPLES, separate
from nmfaudio.cli.separator_flags import with_separator_flags
from nmfaudio.cli.separators import separators
from nmfaudio.cli.show import show
from nmfaudio.cli.tune import tune
from nmfaudio.cluster.job import NO_MEMORY, means_no_memory

_CONTEXT = {"help_option_names": ["-h", "--help"]}


class _Commands(TyperGroup):
    """The commands; some get the flags of the separators, and only where they are run or completed."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[Any, Any, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        if name in _WITH_SEPARATOR_FLAGS:
            alone = typer.Typer(add_completion=False, context_settings=_CONTEXT)
            epilog = EXAMPLES if name == "separate" else None
            alone.command(name, cls=Command, epilog=epilog)(with_separator_flags(_WITH_SEPARATOR_FLAGS[name]))
            command = typer.main.get_command(alone)
        return name, command, rest


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
    context_settings=_CONTEXT,
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


_COMMANDS: tuple[Callable[..., Any], ...] = (
    separators,
    learn,
    join,
    show,
    convert,
    export,
    live,
    tune,
    rank,
    report,
    advise,
    evaluate,
    archive_status,
)
_WITH_SEPARATOR_FLAGS: dict[str, Callable[..., None]] = {
    "separate": separate,
    "components": components,
    "regroup": regroup,
    "plot": plot,
}


def _stand_in(command: Callable[..., None]) -> Callable[[], None]:
    """Return a function for the list of commands; `_Commands` puts the real command in its place."""

    def stand_in() -> None:
        pass

    stand_in.__doc__ = command.__doc__
    return stand_in


for _name, _command in _WITH_SEPARATOR_FLAGS.items():
    app.command(_name, cls=Command)(_stand_in(_command))
for _command in _COMMANDS:
    app.command(cls=Command)(_command)
