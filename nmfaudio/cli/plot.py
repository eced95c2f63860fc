"""`nmfaudio plot`: pictures of a recording's components, of a finished run, or of a dictionary."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nmfaudio.cli.analysis import Analysis
from nmfaudio.cli.console import (
    FAILED,
    WRONG_USAGE,
    announce_compilation,
    progress_bar,
    stop,
)
from nmfaudio.cli.separator_flags import Flag
from nmfaudio.cli.times import seconds

if TYPE_CHECKING:
    from nmfaudio.plots.excerpt import Excerpt

_VIEWS = "components, templates, activations, masks, stems, reconstruction, convergence or stability"


def plot(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Audio file, folder of a finished run, or dictionary.")
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Picture to write: .png, .svg or .pdf.")
    ] = Path("components.png"),
    view: Annotated[
        str | None,
        typer.Option(help=f"What to draw: {_VIEWS}. Default: components, or stems where there are none."),
    ] = None,
    components: Annotated[
        str | None, typer.Option(metavar="3,7", help="Numbers of the components to draw. Default: all.")
    ] = None,
    sources: Annotated[
        str | None,
        typer.Option(metavar="NAMES", help="Sources to draw, or a number of sources to separate into."),
    ] = None,
    time: Annotated[
        str | None, typer.Option(metavar="0:10-0:20", help="Part of the time axis to draw.")
    ] = None,
    frequency: Annotated[
        str | None, typer.Option(metavar="50-2000", help="Lowest and highest frequency to draw, in Hz.")
    ] = None,
    dark: Annotated[bool, typer.Option("--dark", help="Draw on a dark ground.")] = False,
    separator: Annotated[
        str | None, typer.Option(help="Separator whose components are drawn. Default: auto.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Option of the separator; repeatable."),
    ] = None,
    start: Annotated[
        str | None, typer.Option(metavar="TIME", help="Start of the passage to analyse, such as 1:02.5.")
    ] = None,
    end: Annotated[str | None, typer.Option(metavar="TIME", help="End of the passage to analyse.")] = None,
    seed: Annotated[int | None, typer.Option(help="Random seed.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only errors.")] = False,
    flags: dict[str, tuple[Flag, Any]] | None = None,
) -> None:
    """Draw the components of a recording, its stems or masks, a finished run, or a dictionary."""
    from nmfaudio.errors import NmfaudioError, OptionError
    from nmfaudio.plots.figures import check_picture, save_picture

    count = int(sources) if sources and sources.isdecimal() else None
    try:
        check_picture(output)
        excerpt = _excerpt(components, None if count else sources, time, frequency)
    except OptionError as error:
        stop(f"--{error.option}: {error}", WRONG_USAGE)
    except NmfaudioError as error:
        stop(str(error), FAILED)
    options = Analysis(separator, settings or [], count, seed, (start, end), flags or {})
    announce_compilation(not quiet)
    try:
        figure = _figure(file, view, excerpt, dark, options, quiet)
        save_picture(figure, output)
    except OptionError as error:
        stop(str(error), WRONG_USAGE)
    except NmfaudioError as error:
        stop(str(error) if str(file) in str(error) else f"{file}: {error}", FAILED)
    if not quiet:
        typer.echo(f"Wrote {output}")


def _figure(
    file: Path, view: str | None, excerpt: Excerpt, dark: bool, options: Analysis, quiet: bool
) -> Any:
    """Return the picture of a dictionary, of a finished run, or of an audio file."""
    from nmfaudio.pipeline.finished_run import FinishedRun
    from nmfaudio.pipeline.fitting import fit
    from nmfaudio.plots.scene import Scene
    from nmfaudio.plots.views import draw
    from nmfaudio.sound.files import AudioFile
    from nmfaudio.sound.passage import passage_in_seconds

    if file.suffix.lower() == ".safetensors":
        return _dictionary_figure(file, dark)
    if file.is_dir() or file.suffix.lower() == ".json":
        run = FinishedRun.open(file)
        with run.opened_stems() as stems:
            return draw(view, Scene.of_run(run, stems), excerpt=excerpt, dark=dark)
    chosen = options.separator()
    with AudioFile(file) as source, progress_bar(file.name, not quiet) as report:
        passage = passage_in_seconds(source, options.start, options.end)
        fitted = fit(passage, chosen, report=report)
        return draw(view, Scene.of_fitted(fitted), excerpt=excerpt, dark=dark)


def _dictionary_figure(file: Path, dark: bool) -> Any:
    from nmfaudio.dictionaries.dictionary import Dictionary
    from nmfaudio.plots.colours import ground
    from nmfaudio.plots.templates import plot_dictionary

    dictionary = Dictionary.load(file)
    with ground(dark=dark):
        return plot_dictionary(dictionary, title=file.stem)


def _excerpt(components: str | None, sources: str | None, time: str | None, frequency: str | None) -> Excerpt:
    """Return the part to draw.

    Raises
    ------
    OptionError
        When a text is not understood.
    """
    from nmfaudio.errors import OptionError
    from nmfaudio.plots.excerpt import Excerpt

    numbers: tuple[int, ...] = ()
    if components:
        try:
            numbers = tuple(int(text) for text in components.split(","))
        except ValueError:
            message = f"{components!r}: write numbers with commas between, such as 3,7"
            raise OptionError(message, option="components") from None
    names = tuple(name.strip() for name in sources.split(",")) if sources else ()
    times = _bounds(time, "time", lambda text: seconds(text, "--time")) if time else None
    hertz = _bounds(frequency, "frequency", float) if frequency else None
    return Excerpt(numbers, names, times, hertz)


def _bounds(text: str, option: str, number: Any) -> tuple[float, float]:
    """Return both ends of a range such as 50-2000."""
    from nmfaudio.errors import OptionError

    low, dash, high = text.partition("-")
    try:
        if not dash:
            raise ValueError
        return number(low), number(high)
    except ValueError:
        example = "0:10-0:20" if option == "time" else "50-2000"
        message = f"{text!r}: write both ends with a dash between, such as {example}"
        raise OptionError(message, option=option) from None
