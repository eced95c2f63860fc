"""`nmfaudio evaluate`: scores of stems against references."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nmfaudio.cli.console import FAILED, WRONG_USAGE, one_line, progress_bar, stop

if TYPE_CHECKING:
    from nmfaudio.studies.comparison import Comparison


def evaluate(
    stems: Annotated[
        Path, typer.Argument(metavar="STEMS", help="Folder of a run, folder of audio files, or one file.")
    ],
    references: Annotated[
        Path, typer.Argument(metavar="REFERENCES", help="Folder of the true stems, or one file.")
    ],
    mixture: Annotated[
        Path | None,
        typer.Option(help="Mixture. Default: mixture.* among the references, else their sum."),
    ] = None,
    match: Annotated[
        str,
        typer.Option(
            metavar="names|best|auto",
            help="Match stems to references by name, or by the best SI-SDR. "
            "Default: by name where a name fits, else the best.",
        ),
    ] = "auto",
    plot: Annotated[
        Path | None, typer.Option(metavar="PICTURE", help="Picture to write: .png, .svg or .pdf.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object in the schema of museval.")
    ] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print the table as Markdown.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only errors.")] = False,
) -> None:
    """Score stems against the true stems: SI-SDR and BSS Eval version 4, in dB."""
    from nmfaudio.errors import NmfaudioError
    from nmfaudio.studies import score_tables
    from nmfaudio.studies.comparison import MATCHINGS

    if match not in MATCHINGS:
        stop(f"--match {match}: use one of {', '.join(MATCHINGS)}", WRONG_USAGE)
    if as_json and as_markdown:
        stop("--json and --markdown exclude each other: choose one", WRONG_USAGE)
    try:
        with progress_bar(stems.name, not quiet) as report:
            comparison = _compared(stems, references, mixture, match, plot, report)
    except NmfaudioError as error:
        stop(str(error), FAILED)
    if as_json:
        print(json.dumps(score_tables.document(comparison), allow_nan=False), flush=True)
    elif as_markdown:
        print(score_tables.markdown(comparison), end="", flush=True)
    elif not quiet:
        _print_table(comparison)
        if plot:
            typer.echo(f"written to {plot}")


def _compared(
    stems: Path, references: Path, mixture: Path | None, match: str, picture: Path | None, report: Any
) -> Comparison:
    from nmfaudio.plots.figures import check_picture
    from nmfaudio.sound.files import AudioFile
    from nmfaudio.sound.progress import ignore_progress
    from nmfaudio.studies.comparison import compare
    from nmfaudio.studies.stem_folders import MIXTURE, open_all, stem_paths

    if picture:
        check_picture(picture)
    true, estimated = stem_paths(references), stem_paths(stems)
    inside = true.pop(MIXTURE, None) if len(true) > 1 else None
    if stems.is_file() and references.is_file():
        estimated = {name: path for name, path in zip(true, estimated.values(), strict=True)}
    with ExitStack() as opened:
        path = mixture or inside
        whole = opened.enter_context(AudioFile(path)) if path else None
        comparison = compare(
            open_all(true, opened),
            open_all(estimated, opened),
            mixture=whole,
            matching=match,
            report=report or ignore_progress,
        )
    if picture:
        _draw(comparison, picture, stems.name)
    return comparison


def _draw(comparison: Comparison, picture: Path, title: str) -> None:
    from nmfaudio.plots.figures import save_picture
    from nmfaudio.plots.scores import plot_scores
    from nmfaudio.studies.comparison import STEMS

    whole = {kind: {n: s.si_sdr for n, s in scores.items()} for kind, scores in comparison.rows.items()}
    course = {
        name: ([f.time for f in scores.frames], [f.ratios.sdr for f in scores.frames])
        for name, scores in comparison.rows[STEMS].items()
    }
    save_picture(plot_scores(whole, course, title=title), picture)


def _print_table(comparison: Comparison) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from nmfaudio.studies.score_tables import COLUMNS, MEAN, shown, table

    grid = Table(title="scores in dB; higher is better", title_justify="left")
    grid.add_column("reference")
    for heading in COLUMNS:
        grid.add_column(heading.replace(", ", "\n"), justify="right")
    former = ""
    for kind, name, values in table(comparison):
        if kind != former:
            grid.add_row(Text(kind, style="bold"))
        former = kind
        cells = [shown(value) for value in values]
        grid.add_row(Text(f"  {one_line(name)}"), *cells, end_section=name == MEAN)
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 120)
    console.print(grid)
    console.print(Text("SDR, ISR, SIR, SAR: BSS Eval v4, medians over frames of 1 s, and of the whole file"))
    for note in comparison.notes:
        console.print(Text(one_line(note)), soft_wrap=True)
