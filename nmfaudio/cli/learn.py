"""`nmfaudio learn`: recordings of one source in, a dictionary out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from nmfaudio.cli.console import FAILED, WRONG_USAGE, announce_compilation, complain, progress_bar, stop


def learn(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Recordings of one source, alone.")],
    label: Annotated[str, typer.Option(help="Name of the source: what its stems will be called.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Dictionary; default: LABEL.safetensors.")
    ] = None,
    rank: Annotated[int | None, typer.Option(help="Templates; default: chosen from the data.")] = None,
    sample_rate: Annotated[
        int | None, typer.Option(help="Of the dictionary, in Hz; default: that of the first file.")
    ] = None,
    window: Annotated[float, typer.Option(help="Seconds of the analysis window.")] = 0.093,
    divergence: Annotated[str, typer.Option(help="kl, is, euclidean, or a beta in [-1, 3].")] = "kl",
    add_to: Annotated[
        Path | None, typer.Option(help="Dictionary of the same source that the files are added to.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors alone.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a dictionary that exists.")] = False,
) -> None:
    """Learn the sound of a source, and keep it in a file."""
    from nmfaudio.dictionaries.dictionary import Dictionary
    from nmfaudio.dictionaries.labels import check_label
    from nmfaudio.disk.atomic import check_absent
    from nmfaudio.errors import DictionaryError, NmfaudioError, OptionError

    options: dict[str, Any] = {"rank": rank, "sample_rate": sample_rate, "window": window, "seed": seed}
    options["divergence"] = _number(divergence)
    try:
        check_label(label)
        target = dictionary_path(output or Path(f"{label}.safetensors"))
    except (DictionaryError, OptionError) as error:
        stop(str(error), WRONG_USAGE)
    announce_compilation(not quiet)
    try:
        if not overwrite:
            check_absent([target])
        options["add_to"] = Dictionary.load(add_to) if add_to else None
        with progress_bar(label, not quiet) as report:
            found, silent = _learned(files, label, options, report)
        found.save(target)
    except OptionError as error:
        stop(str(error), WRONG_USAGE)
    except NmfaudioError as error:
        stop(str(error), FAILED)
    if not quiet:
        for name in silent:
            complain(f"{name}: warning: it is silent and taught nothing")
        _tell(found, target)


def _learned(files: list[Path], label: str, options: dict[str, Any], report: Any) -> tuple[Any, list[str]]:
    from nmfaudio.dictionaries.learning import Learner

    known = options.pop("add_to")
    learner = Learner(label, report=report, **options)
    if known is not None:
        learner.recall(known)
    for file in files:
        learner.partial_fit(file)
    return learner.dictionary(), learner.silent


def _number(text: str) -> str | float:
    try:
        return float(text)
    except ValueError:
        return text


def dictionary_path(path: Path) -> Path:
    """Return where a dictionary goes.

    Raises
    ------
    OptionError
        For a name that does not end in .safetensors, or a folder that is not there.
    """
    from nmfaudio.errors import OptionError

    if path.suffix.lower() != ".safetensors":
        raise OptionError(f"{path}: a dictionary's name ends in .safetensors")
    return path


def _tell(found: Any, target: Path) -> None:
    seconds = sum(clip.seconds for clip in found.clips)
    pitched = int((found.pitches > 0).sum())
    count = len(found.labels)
    several = f"{len(found.clips)} recordings" if len(found.clips) > 1 else "one recording"
    typer.echo(
        f"{found.sources[0]}: {count} template{'s' if count > 1 else ''} ({pitched} with a pitch) "
        f"from {seconds:.1f} s in {several}"
    )
    typer.echo(f"kept in {target}")
