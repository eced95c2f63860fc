"""`nmfaudio rank`: how many components a recording needs."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nmfaudio.cli.console import (
    FAILED,
    WRONG_USAGE,
    announce_compilation,
    complain,
    one_line,
    parse_settings,
    progress_bar,
    stop,
)
from nmfaudio.suggestion import suggestion

if TYPE_CHECKING:
    from nmfaudio.nmf import CrossValidation, Recommendation

_SETTINGS = ("divergence", "window")  # as for the separator `blind`
_LISTED = 12  # relevance weights that are printed


def rank(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Audio file to analyse.")],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Picture of the evidence to write: .png, .svg or .pdf."),
    ] = None,
    most: Annotated[
        int,
        typer.Option(
            help="Largest number of components to try, at most 100; the time grows with its square."
        ),
    ] = 12,
    restarts: Annotated[int, typer.Option(help="Number of random starts for each number of components.")] = 6,
    hidden: Annotated[
        bool,
        typer.Option(
            "--hidden",
            help="Also measure how well hidden entries are predicted; the best number is usually larger.",
        ),
    ] = False,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="divergence=kl|is|... or window=SECONDS."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Random seed.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only errors.")] = False,
) -> None:
    """Recommend a number of components and show the evidence."""
    from nmfaudio.errors import NmfaudioError, OptionError

    options = {"most": most, "restarts": restarts, "seed": seed, **_parsed(settings or [])}
    announce_compilation(not quiet)
    start = time.perf_counter()
    try:
        with progress_bar(file.name, not quiet) as report:
            recommendation = _recommended(file, output, options, report)
            prediction = _predicted(file, options, report) if hidden else None
    except OptionError as error:
        stop(str(error), WRONG_USAGE)
    except NmfaudioError as error:
        _fail(file, str(error), as_json)
    if as_json:
        document = _as_json(file, output, options, recommendation)
        if prediction is not None:
            document["hidden"] = {"rank": prediction.rank, "errors": prediction.means.tolist()}
        print(json.dumps({**document, "seconds": round(time.perf_counter() - start, 3)}), flush=True)
    elif not quiet:
        _print_evidence(file, recommendation)
        if prediction is not None:
            errors = ", ".join(f"{rank}: {error:.3g}" for rank, error in enumerate(prediction.means, 1))
            typer.echo(f"error of predicting hidden entries, by number of components: {errors}")
            typer.echo(f"{prediction.rank} predict them best, or as well as more")
        if output:
            typer.echo(f"written to {output}")


def _parsed(settings: list[str]) -> dict[str, Any]:
    """Return the values of `--set` texts, as the separator `blind` understands them."""
    from nmfaudio.errors import OptionError
    from nmfaudio.pipeline.registry import find

    options = find("blind").options
    parsed = {}
    for name, text in parse_settings(settings).items():
        if name not in _SETTINGS:
            meant = suggestion(name, _SETTINGS)
            stop(f"there is no option {name!r}: use one of {', '.join(_SETTINGS)}{meant}", WRONG_USAGE)
        try:
            parsed[name] = options[name].parse(text)
        except OptionError as error:
            stop(str(error), WRONG_USAGE)
    return parsed


def _recommended(file: Path, output: Path | None, options: dict[str, Any], report: Any) -> Recommendation:
    from nmfaudio.sound.files import AudioFile
    from nmfaudio.studies.counting import count_components

    if output is None:
        with AudioFile(file) as source:
            return count_components(source, report=report, **options)
    from nmfaudio.plots.figures import check_picture, save_picture
    from nmfaudio.plots.rank import plot_rank

    check_picture(output)
    with AudioFile(file) as source:
        recommendation = count_components(source, report=report, **options)
    save_picture(plot_rank(recommendation, name=file.name), output)
    return recommendation


def _predicted(file: Path, options: dict[str, Any], report: Any) -> CrossValidation:
    from nmfaudio.sound.files import AudioFile
    from nmfaudio.studies.hidden_entries import predict_hidden_entries

    chosen = {name: value for name, value in options.items() if name != "restarts"}
    with AudioFile(file) as source:
        return predict_hidden_entries(source, report=report, **chosen)


def _fail(file: Path, reason: str, as_json: bool) -> None:
    complain(reason if str(file) in reason else f"{file}: {reason}")
    if as_json:
        print(json.dumps({"file": str(file), "ok": False, "error": reason}), flush=True)
    raise typer.Exit(FAILED)


def _as_json(
    file: Path, output: Path | None, options: dict[str, Any], recommendation: Recommendation
) -> dict[str, Any]:
    relevance, stability = recommendation.relevance, recommendation.stability
    return {
        "file": str(file),
        "ok": True,
        "rank": recommendation.rank,
        "reason": recommendation.reason,
        "options": options,
        "frames": int(stability.best[0].H.shape[1]),
        "relevance": {
            "rank": relevance.rank,
            "weights": relevance.weights.tolist(),
            "dispersion": relevance.dispersion,
            "converged": relevance.converged,
        },
        "ranks": [
            {
                "rank": int(rank),
                "stability": float(stability.means[i]),
                "components": stability.components[i].tolist(),
                "explained": float(recommendation.explained[i]),
                "objective": float(stability.lowest[i]),
            }
            for i, rank in enumerate(stability.ranks)
        ],
        "picture": str(output) if output else None,
    }


def _print_evidence(file: Path, recommendation: Recommendation) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    stability, relevance = recommendation.stability, recommendation.relevance
    table = Table(title=Text(one_line(file.name)), title_justify="left")
    for heading in ("components", "stability", "least stable", "explained", "divergence"):
        table.add_column(heading, justify="right")
    for i, rank in enumerate(stability.ranks):
        table.add_row(
            str(rank),
            f"{stability.means[i]:.2f}",
            f"{stability.components[i].min():.2f}",
            f"{100 * recommendation.explained[i]:.0f} %",
            f"{stability.lowest[i]:.4g}",
            style="bold" if rank == recommendation.rank else None,
        )
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 100)
    console.print(table)
    weights = " ".join(f"{weight:.3g}" for weight in relevance.weights[:_LISTED])
    rest = " ..." if relevance.most > _LISTED else ""
    frames = stability.best[0].H.shape[1]
    plural = "" if recommendation.rank == 1 else "s"
    for line in (
        f"relevance, {relevance.rank} of {relevance.most} above 2: {weights}{rest}",
        f"based on {frames} frames, evenly spaced over the file",
        f"{recommendation.rank} component{plural}: {recommendation.reason}",
    ):
        console.print(Text(line), soft_wrap=True)
