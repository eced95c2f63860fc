"""`nmfaudio plot`: a picture of the components."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nmfaudio.cli.console import FAILED, announce_compilation, make_separator, progress_bar, stop


def plot(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Audio file to look into.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Picture: .png, .svg or .pdf.")] = Path(
        "components.png"
    ),
    separator: Annotated[str, typer.Option(help="Way of separating whose components are drawn.")] = "blind",
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Option of the separator; repeatable."),
    ] = None,
    sources: Annotated[
        int | None, typer.Option(help="Number of sources; default: chosen from the data.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of everything random.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors alone.")] = False,
) -> None:
    """Draw the mixture's spectrogram and each component's template and activation."""
    from nmfaudio.errors import NmfaudioError
    from nmfaudio.plots.components import draw_file

    made = make_separator(separator, settings or [], sources=sources, seed=seed)
    announce_compilation(not quiet)
    try:
        with progress_bar(file.name, not quiet) as report:
            draw_file(file, output, made, report=report)
    except NmfaudioError as error:
        stop(str(error) if str(file) in str(error) else f"{file}: {error}", FAILED)
    if not quiet:
        typer.echo(f"drawn in {output}")
