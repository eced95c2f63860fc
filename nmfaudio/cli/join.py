"""`nmfaudio join`: several dictionaries in, one dictionary out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nmfaudio.cli.console import FAILED, WRONG_USAGE, stop
from nmfaudio.cli.learn import dictionary_path


def join(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="Dictionaries to join.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="Dictionary to write.")],
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only errors.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing dictionary.")] = False,
) -> None:
    """Join dictionaries of several sources into one, with the settings of the first."""
    from nmfaudio.dictionaries.dictionary import Dictionary
    from nmfaudio.disk.atomic import check_absent
    from nmfaudio.errors import NmfaudioError, OptionError

    try:
        target = dictionary_path(output)
    except OptionError as error:
        stop(str(error), WRONG_USAGE)
    try:
        if not overwrite:
            check_absent([target])
        joined = Dictionary.join([Dictionary.load(file) for file in files])
        joined.save(target)
    except NmfaudioError as error:
        stop(str(error), FAILED)
    if not quiet:
        typer.echo(f"{', '.join(joined.sources)} written to {target}")
