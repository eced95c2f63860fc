"""`nmfaudio archive-status`: how far an archive is."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from nmfaudio.cli.console import FAILED, complain, one_line, stop


def archive_status(
    output: Annotated[str, typer.Argument(metavar="OUT", help="Folder of the stems, or its URL.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Count the files of an archive that are done, failed, and missing; exit with 0 when all are done."""
    from nmfaudio.cluster.archive import status
    from nmfaudio.cluster.places import place_of
    from nmfaudio.errors import NmfaudioError

    try:
        found = status(place_of(output))
    except NmfaudioError as error:
        stop(str(error), FAILED)
    if as_json:
        document = {"done": len(found.done), "failed": found.failed, "missing": list(found.missing)}
        typer.echo(json.dumps(document))
    else:
        for file, reason in found.failed.items():
            typer.echo(one_line(f"failed: {file}: {reason.removeprefix(f'{file}: ')}"))
        for file in found.missing:
            typer.echo(one_line(f"missing: {file}"))
        if not found.is_listed:
            complain(f"{output}: it has no list of files, so files that were not begun are not counted")
        counts = f"{len(found.done)} done, {len(found.failed)} failed, {len(found.missing)} missing"
        typer.echo(f"{counts} of {len(found.done) + len(found.failed) + len(found.missing)} files")
    if found.failed or found.missing:
        raise typer.Exit(FAILED)
