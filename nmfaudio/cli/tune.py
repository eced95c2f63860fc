"""`nmfaudio tune`: a forecast of how well sources can be separated, before there is a mixture."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer

from nmfaudio.cli.console import FAILED, WRONG_USAGE, announce_compilation, progress_bar, stop


def tune(
    clips: Annotated[
        list[str],
        typer.Argument(metavar="LABEL=FILE...", help="A recording of each source alone, with its label."),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only errors.")] = False,
) -> None:
    """Forecast how well sources can be separated, from a recording of each source alone."""
    from nmfaudio.dictionaries.labels import check_label
    from nmfaudio.errors import DictionaryError, NmfaudioError, OptionError
    from nmfaudio.sound.files import read
    from nmfaudio.studies.forecast import forecast

    named = {}
    for text in clips:
        label, equals, path = text.partition("=")
        if not equals or not path:
            stop(f"{text!r} must have the form label=file", WRONG_USAGE)
        if label in named:
            stop(f"the label {label!r} is given twice: join its recordings into one file first", WRONG_USAGE)
        try:
            named[check_label(label)] = path
        except DictionaryError as error:
            stop(str(error), WRONG_USAGE)
    announce_compilation(not quiet)
    try:
        sounds = {label: read(path) for label, path in named.items()}
        with progress_bar("forecast", not quiet) as report:
            outlooks = forecast(sounds, report=report)
    except OptionError as error:
        stop(str(error), WRONG_USAGE)
    except NmfaudioError as error:
        stop(str(error), FAILED)
    if as_json:
        pairs = [
            {"sources": o.sources, "gains": o.gains, "leaks": o.leaks, "words": o.words} for o in outlooks
        ]
        print(json.dumps({"pairs": pairs}), flush=True)
    elif not quiet:
        _print_table(outlooks)


def _print_table(outlooks: Any) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title="forecast", title_justify="left")
    table.add_column("sources")
    for heading in ("dB gained", "leaks"):
        table.add_column(heading, justify="right")
    for outlook in outlooks:
        table.add_row(
            Text(" / ".join(outlook.sources)),
            " / ".join(f"{gain:.1f}" for gain in outlook.gains),
            " / ".join(f"{100 * leak:.0f} %" for leak in outlook.leaks),
        )
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 110)
    console.print(table)
    for outlook in sorted(outlooks, key=lambda one: one.gain):
        console.print(Text(outlook.words))
