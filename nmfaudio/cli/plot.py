"""`nmfaudio plot`: a picture of the components of a recording."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nmfaudio.cli.console import FAILED, announce_compilation, make_separator, progress_bar, stop
from nmfaudio.cli.times import seconds


def plot(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Audio file to analyse.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Picture to write: .png, .svg or .pdf.")
    ] = Path("components.png"),
    separator: Annotated[str, typer.Option(help="Separator whose components are drawn.")] = "blind",
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Option of the separator; repeatable."),
    ] = None,
    sources: Annotated[
        int | None, typer.Option(help="Number of sources. Default: chosen from the data.")
    ] = None,
    start: Annotated[
        str | None, typer.Option(metavar="TIME", help="Start of the passage to use, such as 1:02.5.")
    ] = None,
    end: Annotated[str | None, typer.Option(metavar="TIME", help="End of the passage to use.")] = None,
    seed: Annotated[int | None, typer.Option(help="Random seed.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only errors.")] = False,
) -> None:
    """Draw the spectrogram of a recording, and the template and activation of each component."""
    from nmfaudio.errors import NmfaudioError
    from nmfaudio.plots.components import draw_file

    chosen = make_separator(separator, settings or [], sources=sources, seed=seed)
    first, last = seconds(start, "--start"), seconds(end, "--end")
    announce_compilation(not quiet)
    try:
        with progress_bar(file.name, not quiet) as report:
            draw_file(file, output, chosen, start=first, end=last, report=report)
    except NmfaudioError as error:
        stop(str(error) if str(file) in str(error) else f"{file}: {error}", FAILED)
    if not quiet:
        typer.echo(f"written to {output}")
