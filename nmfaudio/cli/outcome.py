"""The outcome of one file: as a JSON object, which worker processes can send, and as a table."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nmfaudio.cli.console import one_line, with_flags

if TYPE_CHECKING:
    from nmfaudio.pipeline.target import Written

# One JSON object with `ok`, `file`, and what `succeeded` or `failed` add.
Outcome = dict[str, Any]


def succeeded(file: str, written: Written) -> Outcome:
    """Return the outcome of a file that was separated."""
    from nmfaudio.pipeline.manifest import options_of

    shares = written.shares
    return {
        "file": file,
        "ok": True,
        "separator": type(written.result.separator).__name__.lower(),
        "options": options_of(written.result.separator),
        "stems": {
            name: {
                "path": str(stem.path),
                "share": shares[name],
                "peak_dbfs": _decibels(stem.peak),
                "clipped": stem.clipped,
                "components": _components_of(written, position),
            }
            for position, name in enumerate(written.stems)
            for stem in (written.stems[name],)
        },
        "manifest": str(written.manifest),
        "labels": str(written.labels) if written.labels else None,
        "found": written.already_there,
        "notes": list(written.result.messages),
        "warnings": list(written.warnings),
        "seconds": round(written.result.seconds, 3),
    }


def failed(file: str, reason: str, traceback: str = "") -> Outcome:
    """Return the outcome of a file that was not separated, with the traceback of the error if it is given."""
    outcome = {"file": file, "ok": False, "error": reason}
    return {**outcome, "traceback": traceback} if traceback else outcome


def print_table(outcome: Outcome) -> None:
    """Print the stems of a file that was separated."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(one_line(Path(outcome["file"]).name)), title_justify="left")
    table.add_column("stem")
    table.add_column("share", justify="right")
    table.add_column("peak dBFS", justify="right")
    table.add_column("components")
    for name, stem in outcome["stems"].items():
        peak = stem["peak_dbfs"]
        table.add_row(
            Text(one_line(name)),
            f"{100 * stem['share']:.1f} %",
            "silent" if peak is None else f"{peak:.1f}",
            ", ".join(f"{k} ({100 * share:.0f} %)" for k, share in stem["components"].items()),
        )
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 100)
    console.print(table)
    for message in outcome["notes"]:
        console.print(Text(one_line(with_flags(message))))
    folder = Path(next(iter(outcome["stems"].values()))["path"]).parent
    count = len(outcome["stems"])
    stems = f"{count} stem{'' if count == 1 else 's'}"
    place = one_line(str(folder))
    if outcome["found"]:
        console.print(Text(f"{stems} in {place} existed already"))
    else:
        console.print(Text(f"Wrote {stems} to {place} in {outcome['seconds']:.1f} s"))
    if outcome["labels"]:
        console.print(Text(f"Labels are in {one_line(outcome['labels'])}"))


def _components_of(written: Written, source: int) -> dict[str, float]:
    """Return the shares of the components of one stem, by component number from 1."""
    labelled = written.result.factorization
    if labelled is None:
        return {}
    shares, labels = labelled.shares, labelled.labels
    return {str(k + 1): float(shares[k]) for k in (-shares).argsort() if labels[k] == source}


def _decibels(level: float) -> float | None:
    return round(20 * math.log10(level), 2) if level > 0 else None
