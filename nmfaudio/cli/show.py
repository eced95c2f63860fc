"""`nmfaudio show`: the content of a dictionary."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from nmfaudio.cli.console import FAILED, one_line, stop


def show(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Dictionary to show.")],
    plot: Annotated[
        Path | None, typer.Option(help="Picture of the templates to write: .png, .svg or .pdf.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Show the sources, settings, origin and templates of a dictionary."""
    from nmfaudio.dictionaries.dictionary import Dictionary
    from nmfaudio.errors import NmfaudioError
    from nmfaudio.plots.figures import check_picture, save_picture
    from nmfaudio.plots.templates import plot_dictionary

    try:
        if plot is not None:
            check_picture(plot)
        dictionary = Dictionary.load(file)
        if plot is not None:
            save_picture(plot_dictionary(dictionary, title=file.stem), plot)
    except NmfaudioError as error:
        stop(str(error), FAILED)
    if as_json:
        print(json.dumps(_as_json(dictionary)), flush=True)
        return
    _print_sources(file, dictionary)
    if plot is not None:
        typer.echo(f"written to {plot}")


def _as_json(dictionary: Any) -> dict[str, Any]:
    return {
        "sample_rate": dictionary.sample_rate,
        **dataclasses.asdict(dictionary.stft),
        "exponent": dictionary.magnitude_power,
        "beta": dictionary.beta,
        "seed": dictionary.seed,
        "sources": {
            source: {
                "templates": len(members),
                "energies": dictionary.energies[members].tolist(),
                "pitches": dictionary.pitches[members].tolist(),
                "clips": [dataclasses.asdict(clip) for clip in dictionary.clips if clip.label == source],
            }
            for source, members in dictionary.members.items()
        },
    }


def _print_sources(file: Path, dictionary: Any) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(one_line(file.name)), title_justify="left")
    table.add_column("source")
    table.add_column("templates", justify="right")
    table.add_column("pitches")
    table.add_column("learned from")
    for source, members in dictionary.members.items():
        table.add_row(
            Text(source),
            str(len(members)),
            _pitches(dictionary.pitches[members]),
            Text(_clips(dictionary, source)),
        )
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 110)
    console.print(table)
    stft, rate = dictionary.stft, dictionary.sample_rate
    console.print(
        f"{rate} Hz, window {stft.win_length} samples ({1000 * stft.win_length / rate:.0f} ms, "
        f"{stft.window}), n_fft {stft.n_fft}, hop {stft.hop_length}",
        highlight=False,
    )
    console.print(
        f"magnitudes to the power {dictionary.magnitude_power:g}, "
        f"divergence beta {dictionary.beta:g}, seed {dictionary.seed}",
        highlight=False,
    )


def _pitches(pitches: Any) -> str:
    from nmfaudio.dictionaries.pitch import note_name

    heard = pitches[pitches > 0]
    if not len(heard):
        return "none"
    low, high = note_name(float(heard.min())), note_name(float(heard.max()))
    return f"{low} to {high} ({len(heard)})" if low != high else f"{low} ({len(heard)})"


def _clips(dictionary: Any, source: str) -> str:
    clips = [clip for clip in dictionary.clips if clip.label == source]
    if not clips:
        return "unknown"
    names = ", ".join(one_line(clip.name) for clip in clips[:3]) + (" ..." if len(clips) > 3 else "")
    return f"{names} ({sum(clip.seconds for clip in clips):.1f} s)"
