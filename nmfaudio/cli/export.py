"""`nmfaudio export`: a dictionary as a plugin for audio hosts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nmfaudio.cli.console import FAILED, WRONG_USAGE, stop

if TYPE_CHECKING:
    from nmfaudio.live.bundles import Export


def export(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A dictionary with two sources or more.")],
    plugin: Annotated[
        str, typer.Option(help="Formats, with commas between: lv2, vst3, clap, ladspa.")
    ] = "lv2",
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Folder for the plugins; each format gets one inside."),
    ] = None,
    install: Annotated[
        bool, typer.Option("--install", help="Write into the folders where this user's hosts look.")
    ] = False,
    name: Annotated[str | None, typer.Option(help="Title of the plugin; default: the file's name.")] = None,
    latency: Annotated[str, typer.Option(help="low (12 ms) or normal (46 ms, separates better).")] = "normal",
    iterations: Annotated[
        int, typer.Option(help="Initial value: updates of the activations, 1 to 100.")
    ] = 30,
    sharpness: Annotated[float, typer.Option(help="Initial value: exponent of the masks, 0.5 to 4.")] = 1.5,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only errors.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace plugins that exist.")] = False,
) -> None:
    """Turn a dictionary into a plugin with a gain, mute and solo for each source."""
    from nmfaudio import Dictionary, NmfaudioError
    from nmfaudio.errors import OptionError
    from nmfaudio.live.build import shared_object
    from nmfaudio.live.bundles import Export, parse_formats, slug_of
    from nmfaudio.live.compilers import this_machine
    from nmfaudio.live.exported import PluginSettings

    if (output is None) != install:
        stop("say where the plugins go: either -o FOLDER or --install", WRONG_USAGE)
    try:
        formats = parse_formats(plugin)
        settings = PluginSettings(name or file.stem, latency, iterations, sharpness)
        slug_of(settings.name)
    except OptionError as error:
        stop(str(error), WRONG_USAGE)
    try:
        dictionary = Dictionary.load(file)
        _check_sources(dictionary.sources)
        exported = Export(dictionary, settings, shared_object(), this_machine())
        _write_all(exported, formats, output, overwrite, quiet)
    except NmfaudioError as error:
        stop(str(error), FAILED)


def _check_sources(sources: tuple[str, ...]) -> None:
    from nmfaudio.errors import OptionError

    if len(sources) < 2:
        raise OptionError(
            f"the dictionary knows one source, {sources[0]}, so there is nothing to separate it from: "
            "join it with a dictionary of the rest (`nmfaudio join`)"
        )


def _write_all(
    exported: Export, formats: list[str], output: Path | None, overwrite: bool, quiet: bool
) -> None:
    from nmfaudio.live import usage
    from nmfaudio.live.bundles import all_names, user_folder, write_files

    contents = {format: exported.files(format) for format in formats}
    for format, files in contents.items():
        folder = output / format if output else user_folder(format)
        written = write_files(folder, files, overwrite=overwrite)
        if quiet:
            continue
        typer.echo(f"{format}: {all_names(written)}")
        for line in usage.lines(format, folder, exported.slug, exported.dictionary.sources):
            typer.echo(f"    {line}")
