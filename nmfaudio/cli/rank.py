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

if TYPE_CHECKING:
    from nmfaudio.nmf import Recommendation

_SETTINGS = ("divergence", "window")  # as for the separator `blind`
_LISTED = 12  # relevance weights shown


def rank(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Audio file to look into.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Draw the evidence: .png, .svg or .pdf.")
    ] = None,
    most: Annotated[int, typer.Option(help="Components to try; twice as many are weighed.")] = 12,
    restarts: Annotated[int, typer.Option(help="Random starts at each number of components.")] = 6,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="divergence=kl|is|... or window=SECONDS."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors alone.")] = False,
) -> None:
    """Recommend a number of components, and show why."""
    from nmfaudio.errors import NmfaudioError, OptionError

    options = {"most": most, "restarts": restarts, "seed": seed, **_parsed(settings or [])}
    announce_compilation(not quiet)
    began = time.perf_counter()
    try:
        with progress_bar(file.name, not quiet) as report:
            found = _look(file, output, options, report)
    except OptionError as error:
        stop(str(error), WRONG_USAGE)
    except NmfaudioError as error:
        _fail(file, str(error), as_json)
    if as_json:
        told = _as_json(file, output, options, found)
        print(json.dumps({**told, "seconds": round(time.perf_counter() - began, 3)}), flush=True)
    elif not quiet:
        _print_evidence(file, found)
        if output:
            typer.echo(f"drawn in {output}")


def _parsed(settings: list[str]) -> dict[str, Any]:
    """Parse `--set` texts as the separator `blind` does."""
    from nmfaudio.errors import OptionError
    from nmfaudio.pipeline.registry import find

    known = find("blind").options
    parsed = {}
    for name, text in parse_settings(settings).items():
        if name not in _SETTINGS:
            stop(f"no option {name!r}: use one of {', '.join(_SETTINGS)}", WRONG_USAGE)
        try:
            parsed[name] = known[name].parse(text)
        except OptionError as error:
            stop(str(error), WRONG_USAGE)
    return parsed


def _look(file: Path, output: Path | None, options: dict[str, Any], report: Any) -> Recommendation:
    from nmfaudio.sound.files import AudioFile
    from nmfaudio.studies.counting import count_components

    if output is None:
        with AudioFile(file) as source:
            return count_components(source, report=report, **options)
    from nmfaudio.plots.figures import check_picture, save_picture
    from nmfaudio.plots.rank import plot_rank

    check_picture(output)
    with AudioFile(file) as source:
        found = count_components(source, report=report, **options)
    save_picture(plot_rank(found, name=file.name), output)
    return found


def _fail(file: Path, reason: str, as_json: bool) -> None:
    complain(reason if str(file) in reason else f"{file}: {reason}")
    if as_json:
        print(json.dumps({"file": str(file), "ok": False, "error": reason}), flush=True)
    raise typer.Exit(FAILED)


def _as_json(
    file: Path, output: Path | None, options: dict[str, Any], found: Recommendation
) -> dict[str, Any]:
    relevance, stability = found.relevance, found.stability
    return {
        "file": str(file),
        "ok": True,
        "rank": found.rank,
        "reason": found.reason,
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
                "explained": float(found.explained[i]),
                "objective": float(stability.lowest[i]),
            }
            for i, rank in enumerate(stability.ranks)
        ],
        "picture": str(output) if output else None,
    }


def _print_evidence(file: Path, found: Recommendation) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    stability, relevance = found.stability, found.relevance
    table = Table(title=Text(one_line(file.name)), title_justify="left")
    for heading in ("components", "stability", "least stable", "explained", "divergence"):
        table.add_column(heading, justify="right")
    for i, rank in enumerate(stability.ranks):
        table.add_row(
            str(rank),
            f"{stability.means[i]:.2f}",
            f"{stability.components[i].min():.2f}",
            f"{100 * found.explained[i]:.0f} %",
            f"{stability.lowest[i]:.4g}",
            style="bold" if rank == found.rank else None,
        )
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 100)
    console.print(table)
    weights = " ".join(f"{weight:.3g}" for weight in relevance.weights[:_LISTED])
    rest = " ..." if relevance.most > _LISTED else ""
    frames = stability.best[0].H.shape[1]
    plural = "" if found.rank == 1 else "s"
    for line in (
        f"relevance, {relevance.rank} of {relevance.most} above 2: {weights}{rest}",
        f"judged by {frames} frames, evenly spread over the file",
        f"{found.rank} component{plural}: {found.reason}",
    ):
        console.print(Text(line), soft_wrap=True)
