"""`nmfaudio advise`: which separator to try first, and why."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nmfaudio.cli.console import FAILED, complain, one_line, progress_bar
from nmfaudio.cli.times import seconds

if TYPE_CHECKING:
    from nmfaudio.separators.auto.advice import Advice, Facts


def advise(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Audio file to analyse.")],
    sources: Annotated[int | None, typer.Option(min=1, help="Number of stems, if you know it.")] = None,
    start: Annotated[
        str | None, typer.Option(metavar="TIME", help="Start of the passage to use, such as 1:02.5.")
    ] = None,
    end: Annotated[str | None, typer.Option(metavar="TIME", help="End of the passage to use.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only errors and the advice.")] = False,
) -> None:
    """Recommend a separator for a file, with the reasons."""
    from nmfaudio.errors import NmfaudioError

    passage = seconds(start, "--start"), seconds(end, "--end")
    try:
        with progress_bar(file.name, not quiet) as report:
            facts, advice = _analysed(file, passage, sources, report)
    except NmfaudioError as error:
        reason = str(error)
        complain(reason if str(file) in reason else f"{file}: {reason}")
        if as_json:
            print(json.dumps({"file": str(file), "ok": False, "error": reason}), flush=True)
        raise typer.Exit(FAILED) from None
    if as_json:
        print(json.dumps(_as_json(file, facts, advice)), flush=True)
    else:
        _print(file, facts, advice)


def _analysed(
    file: Path, passage: tuple[float | None, float | None], sources: int | None, report: Any
) -> tuple[Facts, Advice]:
    from nmfaudio.pipeline.fitting import blocks_of
    from nmfaudio.separators.auto import advice
    from nmfaudio.sound.files import AudioFile
    from nmfaudio.sound.passage import passage_in_seconds

    with AudioFile(file) as source:
        facts = advice.listen(blocks_of(passage_in_seconds(source, *passage), report=report))
    return facts, advice.advise(facts, sources=sources)


def _as_json(file: Path, facts: Facts, advice: Advice) -> dict[str, Any]:
    panning = facts.panning
    places = None
    if panning is not None:
        places = {
            "angles": panning.angles.tolist(),
            "masses": panning.masses.tolist(),
            "confidence": panning.confidence,
            "trusted": panning.trusted,
        }
    return {
        "file": str(file),
        "ok": True,
        "channels": facts.channels,
        "seconds": facts.seconds,
        "percussive": facts.percussive,
        "steady": facts.steady,
        "places": places,
        "advice": asdict(advice),
    }


def _print(file: Path, facts: Facts, advice: Advice) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    name = one_line(str(file))
    table = Table(box=None, padding=(0, 2), show_header=False)
    for line in _lines(facts):
        table.add_row(*map(Text, line))
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 120)
    console.print(Text(name), soft_wrap=True)
    console.print(table)
    options = "".join(f" --{option} {value}" for option, value in advice.options.items())
    console.print(Text(f"try first: nmfaudio separate {name}{options}", style="bold"), soft_wrap=True)
    console.print(Text(f"           uses {advice.separator}: {advice.reason}"), soft_wrap=True)
    for arguments, when in advice.others:
        console.print(Text(f"or with:   {arguments}: {when}"), soft_wrap=True)


def _lines(facts: Facts) -> list[tuple[str, str]]:
    percent = f"{100 * facts.percussive:.0f} %"
    kind = "drums" if facts.is_drums else "some strikes" if facts.percussive > 0.35 else "hardly any strikes"
    change = "much is steady noise" if facts.is_noisy else "it changes all the time"
    lines = [
        ("length", f"{facts.seconds:.1f} s"),
        ("channels", str(facts.channels)),
        ("percussive", f"{percent}: {kind}"),
        ("steady", f"{100 * facts.steady:.0f} %: {change}"),
    ]
    if facts.panning is not None:
        doubt = facts.panning.doubt()
        lines.insert(2, ("places", doubt or ", ".join(facts.places)))
    return lines
