"""`nmfaudio separate`: files in, stems out."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nmfaudio.cli.console import (
    FAILED,
    WRONG_USAGE,
    announce_compilation,
    complain,
    make_separator,
    one_line,
    progress_bar,
    stop,
)

if TYPE_CHECKING:
    from nmfaudio.stems import Written


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
    job = _Job(output, made, writing, as_json, quiet)
    if not all([job.run(file) for file in files]):
        raise typer.Exit(FAILED)


@dataclass
class _Job:
    """What is done to each file."""

    output: Path
    separator: Any
    writing: dict[str, Any]
    as_json: bool
    quiet: bool

    def run(self, file: Path) -> bool:
        """Separate one file; say what came of it; return whether it went well."""
        from nmfaudio.errors import NmfaudioError

        try:
            with progress_bar(file.name, not self.quiet) as report:
                written = self._separate(file, report)
        except NmfaudioError as error:
            return self._failed(file, str(error))
        except MemoryError:
            return self._failed(
                file, "the memory did not suffice: separate a shorter part, or close other programs"
            )
        except Exception as error:  # one file must not end the others; what a bug says is told
            return self._failed(
                file, f"{type(error).__name__}: {error} (a bug in nmfaudio: please report it)"
            )
        self._tell(file, written)
        return True

    def _separate(self, file: Path, report: Any) -> Written:
        from nmfaudio.separation import separate_file

        return separate_file(file, self.output, self.separator, report=report, **self.writing)

    def _failed(self, file: Path, reason: str) -> bool:
        complain(reason if str(file) in reason else f"{file}: {reason}")
        if self.as_json:
            _print_json({"file": str(file), "ok": False, "error": reason})
        return False

    def _tell(self, file: Path, written: Written) -> None:
        if not self.quiet:
            for warning in written.warnings:
                complain(f"{file}: warning: {warning}")
        if self.as_json:
            _print_json(_as_json(file, written))
        elif not self.quiet:
            _print_table(file, written)


def _print_json(content: dict[str, Any]) -> None:
    print(json.dumps(content), flush=True)


def _as_json(file: Path, written: Written) -> dict[str, Any]:
    from nmfaudio.stems import options_of

    shares = written.shares
    return {
        "file": str(file),
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
        "notes": list(written.result.notes),
        "warnings": list(written.warnings),
        "seconds": round(written.result.seconds, 3),
    }


def _components_of(written: Written, source: int) -> dict[str, float]:
    """Return the shares of the components of one stem, by component number from 1."""
    components = written.result.components
    if components is None:
        return {}
    shares, labels = components.shares, components.labels
    return {str(k + 1): float(shares[k]) for k in (-shares).argsort() if labels[k] == source}


def _decibels(level: float) -> float | None:
    return round(20 * math.log10(level), 2) if level > 0 else None


def _print_table(file: Path, written: Written) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(one_line(file.name)), title_justify="left")
    for heading, justify in (
        ("stem", "left"),
        ("share", "right"),
        ("peak dBFS", "right"),
        ("components", "left"),
    ):
        table.add_column(heading, justify=justify)  # type: ignore[arg-type]
    shares = written.shares
    for position, (name, stem) in enumerate(written.stems.items()):
        peak = _decibels(stem.peak)
        listed = ", ".join(
            f"{k} ({100 * share:.0f} %)" for k, share in _components_of(written, position).items()
        )
        table.add_row(
            Text(one_line(name)),
            f"{100 * shares[name]:.1f} %",
            "silent" if peak is None else f"{peak:.1f}",
            listed,
        )
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 100)
    console.print(table)
    for note in written.result.notes:
        console.print(Text(one_line(note)))
    folder = next(iter(written.stems.values())).path.parent
    console.print(
        Text(f"{len(written.stems)} stems in {one_line(str(folder))} after {written.result.seconds:.1f} s")
    )
