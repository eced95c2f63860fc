"""`nmfaudio convert`: a dictionary with another sample rate or window."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nmfaudio.cli.console import FAILED, WRONG_USAGE, stop
from nmfaudio.cli.learn import dictionary_path


def convert(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Dictionary to convert.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="Dictionary to write.")],
    sample_rate: Annotated[
        int | None, typer.Option(help="New sample rate in Hz. Default: unchanged.")
    ] = None,
    n_fft: Annotated[
        int | None,
        typer.Option(help="New window length in samples. Default: the present length in seconds, or nearly."),
    ] = None,
    hop_length: Annotated[
        int | None, typer.Option(help="New hop length in samples. Default: a quarter of the window.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only errors.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing dictionary.")] = False,
) -> None:
    """Convert a dictionary to other settings. `separate` does this by itself where it is needed."""
    from nmfaudio.dictionaries.dictionary import Dictionary
    from nmfaudio.disk.atomic import check_absent
    from nmfaudio.errors import NmfaudioError, OptionError
    from nmfaudio.sound.stft import STFT

    if hop_length is not None and n_fft is None:
        stop("--hop-length needs --n-fft: give both", WRONG_USAGE)
    try:
        target = dictionary_path(output)
        stft = STFT(n_fft, hop_length or 0) if n_fft is not None else None
    except OptionError as error:
        stop(str(error), WRONG_USAGE)
    try:
        if not overwrite:
            check_absent([target])
        original = Dictionary.load(file)
        converted = original.to_settings(original.sample_rate if sample_rate is None else sample_rate, stft)
        converted.save(target)
    except OptionError as error:
        stop(str(error), WRONG_USAGE)
    except NmfaudioError as error:
        stop(str(error) if str(file) in str(error) else f"{file}: {error}", FAILED)
    if not quiet:
        typer.echo(repr(converted))
        lost = len(original.labels) - len(converted.labels)
        if lost:
            typer.echo(f"{lost} templates lie above {converted.sample_rate / 2:g} Hz and were left out")
        if converted.sample_rate > original.sample_rate:
            typer.echo(
                f"nothing was learned above {original.sample_rate / 2:g} Hz, so the templates are empty there"
            )
        typer.echo(f"written to {target}")
