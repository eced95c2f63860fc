"""The outcome of one file as a table."""

from __future__ import annotations

import sys
from pathlib import Path

from nmfaudio.cli.console import one_line, with_flags
from nmfaudio.cluster.outcome import Outcome
from nmfaudio.pipeline.confidence import doubts


def print_table(outcome: Outcome) -> None:
    """Print the stems of a file that was separated."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(one_line(Path(outcome["file"]).name)), title_justify="left")
    table.add_column("stem")
    table.add_column("share", justify="right")
    table.add_column("peak dBFS", justify="right")
    table.add_column("verdict")
    table.add_column("components")
    for name, stem in outcome["stems"].items():
        peak = stem["peak_dbfs"]
        table.add_row(
            Text(one_line(name)),
            f"{100 * stem['share']:.1f} %",
            "silent" if peak is None else f"{peak:.1f}",
            (stem["confidence"] or {}).get("verdict", ""),
            ", ".join(f"{k} ({100 * share:.0f} %)" for k, share in stem["components"].items()),
        )
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 100)
    console.print(table)
    for message in (*outcome["notes"], *doubts({n: s["confidence"] for n, s in outcome["stems"].items()})):
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
    if "report" in outcome:
        console.print(Text(f"Open in a browser: {one_line(outcome['report'])}"))
