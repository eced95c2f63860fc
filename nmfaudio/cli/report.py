"""`nmfaudio report`: one HTML page of a finished run, to look at it, listen to it and regroup it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nmfaudio.cli.console import FAILED, WRONG_USAGE, complain, progress_bar, stop
from nmfaudio.cli.times import seconds

if TYPE_CHECKING:
    from nmfaudio.pipeline.finished_run import FinishedRun
    from nmfaudio.report.preview import Preview


def report(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="Folder of a run with --keep or --report, or its manifest.")
    ],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Page to write. Default: report.html beside the manifest."),
    ] = None,
    start: Annotated[
        str | None, typer.Option(metavar="TIME", help="Start of the passage that the page plays.")
    ] = None,
    end: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="End of the passage. Default: all, or the loudest minute."),
    ] = None,
    references: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="True stems, named like the stems of the run: adds scores."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a page that exists.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only errors.")] = False,
) -> None:
    """Write one HTML page that plays, shows and regroups the stems of a finished run, without a network."""
    from nmfaudio.errors import NmfaudioError

    if run.is_file() and run.suffix.lower() != ".json":
        stop(
            f"{run}: name the folder of a run; `nmfaudio separate {run} --report` separates this file and "
            "writes the page",
            WRONG_USAGE,
        )
    passage = seconds(start, "--start"), seconds(end, "--end")
    try:
        with progress_bar(run.name, not quiet) as progress:
            path, preview = write_page(run, output, passage, references, overwrite, progress)
    except NmfaudioError as error:
        stop(str(error), FAILED)
    if quiet:
        return
    if not preview.is_whole:
        first, last = preview.seconds
        complain(
            f"the page plays {first:.1f} s to {last:.1f} s of {preview.length / preview.sample_rate:.1f} s: "
            "--start and --end choose another passage"
        )
    typer.echo(f"written to {path} ({path.stat().st_size / 1e6:.1f} MB)")


def write_page(
    run: Path,
    output: Path | None,
    passage: tuple[float | None, float | None] = (None, None),
    references: Path | None = None,
    overwrite: bool = False,
    progress: Any = None,
) -> tuple[Path, Preview]:
    """Write the report of a run; return its path and the passage that it plays."""
    from nmfaudio.pipeline.finished_run import FinishedRun
    from nmfaudio.report.making import report_path, write_report
    from nmfaudio.report.run import opened_run

    finished = FinishedRun.open(run)
    path = output or report_path(finished.path)
    scores = scores_of(finished, references) if references else {}
    with opened_run(finished, scores) as subject:
        preview = write_report(
            subject, path, start=passage[0], end=passage[1], overwrite=overwrite, report=progress
        )
    return path, preview


def scores_of(run: FinishedRun, folder: Path) -> dict[str, dict[str, float]]:
    """Return the measures of each stem that has a reference of its name in a folder."""
    from nmfaudio.errors import InputError
    from nmfaudio.sound.files import read
    from nmfaudio.studies.evaluation import evaluate, si_sdr

    paths = {path.stem: path for path in sorted(folder.glob("*")) if path.is_file()}
    references = {name: read(paths[name]) for name in run.stem_paths if name in paths}
    if not references:
        raise InputError(
            f"{folder}: no file has the name of a stem ({', '.join(run.stem_paths)}): name the references "
            "like the stems, or rename the stems with `nmfaudio regroup`"
        )
    stems = {name: read(path) for name, path in run.stem_paths.items()}
    mixture = sum(stem.samples for stem in stems.values())
    scores = evaluate(references, {name: stems[name] for name in references})
    return {
        name: {
            "SDR": score.sdr,
            "SIR": score.sir,
            "SAR": score.sar,
            "SI-SDR": score.si_sdr,
            "SI-SDR of the mixture": si_sdr(references[name].samples, mixture),
        }
        for name, score in scores.items()
    }
