"""The command `nmfaudio` and what all its commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from nmfaudio.cli.advise import advise
from nmfaudio.cli.console import FAILED, complain, print_safely
from nmfaudio.cli.convert import convert
from nmfaudio.cli.export import export
from nmfaudio.cli.job import NO_MEMORY, means_no_memory
from nmfaudio.cli.join import join
from nmfaudio.cli.learn import learn
from nmfaudio.cli.limits import complaint
from nmfaudio.cli.live import live
from nmfaudio.cli.plot import plot
from nmfaudio.cli.rank import rank
from nmfaudio.cli.separate import separate
from nmfaudio.cli.separators import separators
from nmfaudio.cli.show import show
from nmfaudio.cli.tune import tune

app = typer.Typer(
    name="nmfaudio",
    help="Separate audio into stems by non-negative matrix factorization.",
    epilog="Exit codes: 0 all good, 1 some file failed, 2 wrong usage, 130 or 143 interrupted.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Run the command line and exit."""
    print_safely()
    if told := complaint():
        complain(told)
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


_COMMANDS: tuple[Callable[..., Any], ...] = (
    separate,
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
)
for _command in _COMMANDS:
    app.command()(_command)
