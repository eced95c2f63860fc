"""`nmfaudio convert`: a dictionary for another sample rate or window."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nmfaudio.cli.console import FAILED, WRONG_USAGE, stop
from nmfaudio.cli.learn import dictionary_path


def convert(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A dictionary.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The converted dictionary.")],
    sample_rate: Annotated[int | None, typer.Option(help="In Hz; default: as it is.")] = None,
    n_fft: Annotated[
        int | None, typer.Option(help="Samples of the window; default: as many seconds as now, or nearly.")
    ] = None,
    hop_length: Annotated[
        int | None, typer.Option(help="Samples from frame to frame; default: a quarter of the window.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors alone.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a dictionary that exists.")] = False,
) -> None:
    """Convert a dictionary to other settings; `separate` does so by itself where it must."""
    from nmfaudio.dictionaries.dictionary import Dictionary
    from nmfaudio.disk.atomic import check_absent
    from nmfaudio.errors import NmfaudioError, OptionError
    from nmfaudio.sound.stft import STFT

    if hop_length is not None and n_fft is None:
        stop("--hop-length needs --n-fft beside it", WRONG_USAGE)
    try:
        target = dictionary_path(output)
        stft = STFT(n_fft, hop_length or 0) if n_fft is not None else None
    except OptionError as error:
        stop(str(error), WRONG_USAGE)
    try:
        if not overwrite:
            check_absent([target])
        known = Dictionary.load(file)
        made = known.to_settings(known.sample_rate if sample_rate is None else sample_rate, stft)
        made.save(target)
    except OptionError as error:
        stop(str(error), WRONG_USAGE)
    except NmfaudioError as error:
        stop(str(error) if str(file) in str(error) else f"{file}: {error}", FAILED)
    if not quiet:
        typer.echo(repr(made))
        lost = len(known.labels) - len(made.labels)
        if lost:
            typer.echo(f"{lost} templates lie above {made.sample_rate / 2:g} Hz and were left out")
        if made.sample_rate > known.sample_rate:
            typer.echo(f"above {known.sample_rate / 2:g} Hz nothing was learned, and nothing is there")
        typer.echo(f"kept in {target}")
