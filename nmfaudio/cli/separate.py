"""`nmfaudio separate`: files in, stems out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nmfaudio.cli.batch import Job, Telling, run_files
from nmfaudio.cli.console import FAILED, WRONG_USAGE, announce_compilation, make_separator, stop


def separate(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Audio files to take apart.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the stems.")] = Path("separated"),
    separator: Annotated[
        str, typer.Option(help="Way of separating; `nmfaudio separators` lists them.")
    ] = "blind",
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Option of the separator; repeatable."),
    ] = None,
    sources: Annotated[
        int | None, typer.Option(help="Number of stems; default: chosen from the data.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of everything random.")] = None,
    format: Annotated[str | None, typer.Option(help="wav, flac, ...; default: as the input.")] = None,
    subtype: Annotated[
        str | None, typer.Option(help="PCM_16, PCM_24, FLOAT, ...; default: as the input.")
    ] = None,
    filename: Annotated[
        str, typer.Option(help="Names of the stems inside the folder.")
    ] = "{track}/{stem}.{ext}",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a file on stdout.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors alone.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace stems that exist.")] = False,
) -> None:
    """Separate audio files into stems that add up to them."""
    from nmfaudio.errors import OptionError
    from nmfaudio.sound.audio import Encoding
    from nmfaudio.sound.writing import stem_encoding
    from nmfaudio.stems import check_filename

    made = make_separator(separator, settings or [], sources=sources, seed=seed)
    try:
        check_filename(filename)
        stem_encoding(Encoding(), format, None)
    except OptionError as error:
        stop(str(error), WRONG_USAGE)
    if not quiet:
        announce_compilation()
    writing = {"format": format, "subtype": subtype, "filename": filename, "overwrite": overwrite}
    job = Job(output, made, writing)
    if not run_files(job, [str(file) for file in files], Telling(as_json, quiet)):
        raise typer.Exit(FAILED)
