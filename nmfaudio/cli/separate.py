"""`nmfaudio separate`: files in, stems out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from nmfaudio.cli.again import repeated
from nmfaudio.cli.batch import Telling, run_files
from nmfaudio.cli.console import FAILED, WRONG_USAGE, announce_compilation, make_separator, stop
from nmfaudio.cli.inputs import STANDARD_STREAM, collect
from nmfaudio.cli.job import Job
from nmfaudio.cli.knowledge import dictionary_options
from nmfaudio.cli.pipes import stem_to_stdout
from nmfaudio.cli.presets import preset


def separate(
    files: Annotated[
        list[str] | None,
        typer.Argument(metavar="FILE...", help="Audio files, folders or patterns; `-` is standard input."),
    ] = None,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the stems; `-`: stdout.")] = Path(
        "separated"
    ),
    separator: Annotated[
        str | None, typer.Option(help="Way of separating; `nmfaudio separators` lists them; default: auto.")
    ] = None,
    drums: Annotated[bool, typer.Option("--drums", help="Kick, snare, hi-hat, each by name.")] = False,
    vocals: Annotated[bool, typer.Option("--vocals", help="The lead voice, and the rest.")] = False,
    stereo: Annotated[bool, typer.Option("--stereo", help="Sources by where they are panned.")] = False,
    midi: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Sources by the tracks of this score.")
    ] = None,
    dictionary: Annotated[
        list[Path] | None, typer.Option(help="Separate by what `learn` made; repeatable.")
    ] = None,
    free: Annotated[
        int | None, typer.Option(help="Templates for what the dictionary does not know: stem `residual`.")
    ] = None,
    adapt: Annotated[
        str | None,
        typer.Option(
            metavar="gain|templates", help="Fit the dictionary to the mixture's microphone and room."
        ),
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(help="Stem of the dictionary to keep; repeatable.")
    ] = None,
    without: Annotated[
        list[str] | None, typer.Option("--except", help="Source to leave out of a single stem; repeatable.")
    ] = None,
    solo: Annotated[
        list[str] | None, typer.Option(help="Where a source sounds alone: drums=0:00-0:07; repeatable.")
    ] = None,
    silent: Annotated[
        list[str] | None, typer.Option(help="Where a source is silent: voice=1:02-1:15; repeatable.")
    ] = None,
    range: Annotated[
        list[str] | None, typer.Option(help="Notes of a source: piano=C4-C6; repeatable.")
    ] = None,
    pan: Annotated[
        list[str] | None, typer.Option(help="Place of a source, -1 to 1: guitar=-0.5; repeatable.")
    ] = None,
    hints: Annotated[Path | None, typer.Option(help="TOML file of solo, silent, range, pan.")] = None,
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
    clip_mode: Annotated[
        str, typer.Option(help="Stems beyond full scale: clamp, rescale (all alike) or float.")
    ] = "clamp",
    phase_rounds: Annotated[
        int, typer.Option(help="Rounds that make phases agree; 1 to 3 where stems are good already.")
    ] = 0,
    memory: Annotated[
        str | None, typer.Option(metavar="SIZE", help="For spectrograms, like 2G; default: a quarter of it.")
    ] = None,
    from_file: Annotated[
        Path | None, typer.Option(metavar="LIST", help="Take names of files from this file, one a line.")
    ] = None,
    from_manifest: Annotated[
        Path | None, typer.Option(metavar="JSON", help="Repeat the run that wrote this manifest.")
    ] = None,
    processes: Annotated[
        int, typer.Option("-j", "--jobs", min=1, help="Files that are separated at the same time.")
    ] = 1,
    stem: Annotated[
        str | None, typer.Option(metavar="NAME", help="With `-o -`: the stem for standard output.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse files that end early.")] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Skip what is done and unchanged; replace what is not.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a file on stdout.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors alone.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace stems that exist.")] = False,
) -> None:
    """Separate audio files into stems that add up to them."""
    writing: dict[str, Any] = {
        "format": format,
        "subtype": subtype,
        "filename": filename,
        "clip_mode": clip_mode,
        "phase_rounds": phase_rounds,
        "overwrite": overwrite,
        "resume": resume,
        "strict": strict,
    }
    names = list(files or [])
    if from_manifest:
        given = (from_file, dictionary, settings, sources, format, subtype, names[1:])
        if any(given) or seed is not None:
            stop("--from-manifest repeats a run: give nothing else but one FILE, -o and -q", WRONG_USAGE)
        file, made, told = repeated(from_manifest, names[0] if names else None)
        names, writing = [file], {**writing, **told}
    else:
        told = {"solo": solo, "silent": silent, "range": range, "pan": pan, "hints": hints}
        known = dictionary_options(separator, dictionary, free, adapt, only, without, told)
        ways = {"drums": drums, "vocals": vocals, "stereo": stereo, "dictionary": bool(known)}
        name, more = preset(separator, settings or [], **ways, midi=midi)
        made = make_separator(name, settings or [], sources=sources, seed=seed, **more, **known)
    if not names and not from_file:
        stop("no files: name one, or a folder, or a list with --from-file", WRONG_USAGE)
    writing["memory"] = _checked(writing, memory)
    announce_compilation(not quiet)
    job, telling = Job(made, writing), Telling(as_json, quiet)
    if str(output) == STANDARD_STREAM:
        stem_to_stdout(job, names, stem, telling)
    elif not run_files(job, collect(names, from_file, output), telling, processes):
        raise typer.Exit(FAILED)


def _checked(writing: dict[str, Any], memory: str | None) -> int:
    """Return the memory in bytes; end the command at an option that no file could be written with."""
    from nmfaudio.disk.memory_budget import parse_size
    from nmfaudio.errors import OptionError
    from nmfaudio.models.phased import check_rounds
    from nmfaudio.pipeline.target import check_clip_mode, check_filename
    from nmfaudio.sound.audio import Encoding
    from nmfaudio.sound.encoding import stem_encoding

    try:
        check_filename(writing["filename"])
        check_clip_mode(writing["clip_mode"])
        check_rounds(writing["phase_rounds"])
        stem_encoding(Encoding(), writing["format"], None)
        return parse_size(memory) if memory else 0
    except OptionError as error:
        stop(str(error), WRONG_USAGE)
