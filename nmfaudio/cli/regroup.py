"""`nmfaudio regroup` and `nmfaudio components`: stems put together by hand, and each component as audio."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nmfaudio.cli.analysis import Analysis
from nmfaudio.cli.console import FAILED, WRONG_USAGE, announce_compilation, progress_bar, stop
from nmfaudio.cli.separator_flags import Flag

if TYPE_CHECKING:
    from nmfaudio.models.components import Components
    from nmfaudio.pipeline.regrouping import Groups
    from nmfaudio.sound.source import SampleSource

_FILE = typer.Argument(metavar="FILE", help="Folder of a run with --keep, or an audio file.")
_SEPARATOR = typer.Option(help="Separator for an audio file. Default: auto.")
_SET = typer.Option("--set", metavar="NAME=VALUE", help="Option of the separator; repeatable.")
_SOURCES = typer.Option(help="Number of stems for an audio file. Default: chosen from the data.")
_SEED = typer.Option(help="Random seed.")
_FORMAT = typer.Option(help="Format of the files: wav, flac, ... Default: that of the stems.")
_OVERWRITE = typer.Option("--overwrite", help="Replace existing files.")
_QUIET = typer.Option("--quiet", "-q", help="Print only errors.")
_JSON = typer.Option("--json", help="Print one JSON object on stdout.")


def regroup(
    file: Annotated[Path, _FILE],
    grouping: Annotated[
        Path | None, typer.Argument(metavar="GROUPING", help="JSON file that the report page exported.")
    ] = None,
    group: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=NUMBERS", help="Components of a stem, such as kick=1,4; repeatable."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder for the stems. Default: RUN/regrouped.")
    ] = None,
    separator: Annotated[str | None, _SEPARATOR] = None,
    settings: Annotated[list[str] | None, _SET] = None,
    sources: Annotated[int | None, _SOURCES] = None,
    seed: Annotated[int | None, _SEED] = None,
    format: Annotated[str | None, _FORMAT] = None,
    overwrite: Annotated[bool, _OVERWRITE] = False,
    as_json: Annotated[bool, _JSON] = False,
    quiet: Annotated[bool, _QUIET] = False,
    flags: dict[str, tuple[Flag, Any]] | None = None,
) -> None:
    """Put the components of a separation together to new stems that add up to the recording."""
    from nmfaudio.errors import NmfaudioError
    from nmfaudio.pipeline.regrouping import complete_groups, parse_groups, read_grouping

    if not grouping and not group:
        stop("say what to put together: --group kick=1,4, or a GROUPING file", WRONG_USAGE)
    folder = output or (file if file.is_dir() else file.parent / file.stem) / "regrouped"
    analysis = Analysis(separator, settings or [], sources, seed, (None, None), flags or {})
    try:
        wanted = {**(read_grouping(grouping) if grouping else {}), **parse_groups(group or [])}
        with _separated(file, analysis, quiet) as (stems, components):
            groups = complete_groups(wanted, components)
            _write(file, stems, components, groups, (folder, format, overwrite), (as_json, quiet))
    except NmfaudioError as error:
        _fail(file, error)


def components(
    file: Annotated[Path, _FILE],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the components.")] = Path(
        "components"
    ),
    separator: Annotated[str | None, _SEPARATOR] = None,
    settings: Annotated[list[str] | None, _SET] = None,
    sources: Annotated[int | None, _SOURCES] = None,
    seed: Annotated[int | None, _SEED] = None,
    format: Annotated[str | None, _FORMAT] = None,
    overwrite: Annotated[bool, _OVERWRITE] = False,
    as_json: Annotated[bool, _JSON] = False,
    quiet: Annotated[bool, _QUIET] = False,
    flags: dict[str, tuple[Flag, Any]] | None = None,
) -> None:
    """Write each component of a separation as audio; together they add up to the recording."""
    from nmfaudio.errors import NmfaudioError
    from nmfaudio.pipeline.regrouped_files import component_groups

    analysis = Analysis(separator, settings or [], sources, seed, (None, None), flags or {})
    try:
        with _separated(file, analysis, quiet) as (stems, found):
            _write(file, stems, found, component_groups(found), (output, format, overwrite), (as_json, quiet))
    except NmfaudioError as error:
        _fail(file, error)


@contextmanager
def _separated(
    file: Path, analysis: Analysis, quiet: bool
) -> Iterator[tuple[dict[str, SampleSource], Components]]:
    """Open the stems and the components of a finished run, or separate an audio file in memory."""
    from nmfaudio.pipeline.finished_run import FinishedRun
    from nmfaudio.pipeline.separation import separate

    if file.is_dir() or file.suffix.lower() == ".json":
        run = FinishedRun.open(file)
        with run.opened_stems() as opened:
            yield dict(opened), run.components
        return
    chosen = analysis.separator()
    announce_compilation(not quiet)
    with progress_bar(file.name, not quiet) as report:
        separation = separate(file, chosen, report=report)
    yield dict(separation.stems), separation.components


def _write(
    file: Path,
    stems: dict[str, SampleSource],
    components: Components,
    groups: Groups,
    target: tuple[Path, str | None, bool],
    printing: tuple[bool, bool],
) -> None:
    """Write the groups, and print what was written."""
    from nmfaudio.pipeline.regrouped_files import RegroupTarget, write_groups

    (folder, format, overwrite), (as_json, quiet) = target, printing
    where = RegroupTarget(folder, format, overwrite=overwrite)
    written = write_groups(stems, components, groups, str(file), where)
    if as_json:
        import json

        found = {
            name: {"path": str(stem.path), "share": written.shares[name], "components": list(groups[name])}
            for name, stem in written.stems.items()
        }
        print(json.dumps({"manifest": str(written.manifest), "stems": found}), flush=True)
    elif not quiet:
        _print_table(groups, written)
        count = len(written.stems)
        typer.echo(
            f"Wrote {count} file{'' if count == 1 else 's'} to {folder} in {written.result.seconds:.1f} s"
        )


def _print_table(groups: Groups, written: Any) -> None:
    import sys

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from nmfaudio.cli.console import one_line

    table = Table()
    table.add_column("stem")
    table.add_column("share", justify="right")
    table.add_column("components")
    for name, share in written.shares.items():
        numbers = ", ".join(map(str, groups[name]))
        table.add_row(Text(one_line(name)), f"{100 * share:.1f} %", numbers)
    Console(file=sys.stdout, width=None if sys.stdout.isatty() else 100).print(table)


def _fail(file: Path, error: Exception) -> None:
    """End the command with an error that names the file."""
    from nmfaudio.errors import OptionError

    message = str(error) if str(file) in str(error) else f"{file}: {error}"
    stop(message, WRONG_USAGE if isinstance(error, OptionError) else FAILED)
