"""`nmfaudio separate`: audio files in, stems out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from nmfaudio.cli.batch import OutcomePrinter, run_files
from nmfaudio.cli.cluster_run import ClusterChoice
from nmfaudio.cli.console import (
    FAILED,
    WRONG_USAGE,
    announce_compilation,
    make_separator,
    parse_settings,
    stop,
)
from nmfaudio.cli.inputs import STANDARD_STREAM, collect_tasks
from nmfaudio.cli.pipes import stem_to_stdout
from nmfaudio.cli.repeat_run import refuse_other_flags, repeated_run
from nmfaudio.cli.separator_flags import Flag, chosen_separator, flag_options
from nmfaudio.cli.times import seconds
from nmfaudio.cluster.job import Job
from nmfaudio.cluster.places import place_of

_SWITCHES = {"drums": "drums", "vocals": "voice", "stereo": "stereo"}  # and the separators they stand for


def _separator_names() -> list[str]:
    from nmfaudio.pipeline.registry import installed_separators

    return list(installed_separators())


def _setting_names() -> list[str]:
    from nmfaudio.pipeline.registry import installed_separators

    entries = [entry for entry in installed_separators().values() if not entry.error]
    return sorted({f"{option}=" for entry in entries for option in entry.options})


def _dictionary_labels(context: typer.Context, incomplete: str) -> list[str]:
    """Return the sources of the dictionaries that the command line names so far."""
    from nmfaudio.dictionaries.dictionary import Dictionary
    from nmfaudio.errors import NmfaudioError

    labels: list[str] = []
    for path in context.params.get("flag_dictionary") or []:
        try:
            labels += Dictionary.load(path).sources
        except NmfaudioError:
            continue
    return [label for label in labels if label.startswith(incomplete)]


def separate(  # each parameter is a flag of the command line; those of the separators are added in app.py
    context: typer.Context,
    files: Annotated[
        list[str] | None,
        typer.Argument(metavar="FILE", help="Audio files, folders or patterns; `-` is standard input."),
    ] = None,
    output: Annotated[
        str, typer.Option("-o", "--output", help="Folder or URL for the stems; `-` is standard output.")
    ] = "separated",
    separator: Annotated[
        str | None,
        typer.Option(
            help="Separator to use; `nmfaudio separators` lists them. Default: auto.",
            autocompletion=_separator_names,
        ),
    ] = None,
    drums: Annotated[bool, typer.Option("--drums", help="Separate kick, snare and hi-hat.")] = False,
    vocals: Annotated[
        bool, typer.Option("--vocals", help="Separate the lead voice from its accompaniment.")
    ] = False,
    stereo: Annotated[
        bool, typer.Option("--stereo", help="Separate sources by their positions between the loudspeakers.")
    ] = False,
    sources: Annotated[
        int | None, typer.Option(help="Number of stems. Default: chosen from the data.")
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(help="Stem to keep; repeatable. Default: all.", autocompletion=_dictionary_labels),
    ] = None,
    without: Annotated[
        list[str] | None,
        typer.Option(
            "--except",
            help="Source to leave out of a single stem, the sum of all others; repeatable.",
            autocompletion=_dictionary_labels,
        ),
    ] = None,
    start: Annotated[
        str | None, typer.Option(metavar="TIME", help="Start of the passage to separate, such as 1:02.5.")
    ] = None,
    end: Annotated[str | None, typer.Option(metavar="TIME", help="End of the passage to separate.")] = None,
    in_place: Annotated[
        bool, typer.Option("--in-place", help="Put silence around the stems of a passage, so that they fit.")
    ] = False,
    stem_file: Annotated[
        bool,
        typer.Option("--stem-file", help="Also write a .stem.mp4 file of up to four stems for DJ software."),
    ] = False,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="Option of the separator; repeatable.",
            autocompletion=_setting_names,
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of all random numbers.")] = None,
    format: Annotated[
        str | None, typer.Option(help="Format of the stems: wav, flac, ... Default: that of the input.")
    ] = None,
    subtype: Annotated[
        str | None, typer.Option(help="Sample type: PCM_16, PCM_24, FLOAT, ... Default: that of the input.")
    ] = None,
    filename: Annotated[
        str, typer.Option(help="Pattern for the names of the stems inside the folder.")
    ] = "{track}/{stem}.{ext}",
    clip_mode: Annotated[
        str, typer.Option(help="For stems beyond full scale: clamp, rescale (all stems alike) or float.")
    ] = "clamp",
    phase_rounds: Annotated[
        int, typer.Option(help="Rounds of phase refinement; 1 to 3 help where stems are good already.")
    ] = 0,
    memory: Annotated[
        str | None,
        typer.Option(metavar="SIZE", help="Memory for spectrograms, such as 2G. Default: a quarter of all."),
    ] = None,
    from_file: Annotated[
        Path | None, typer.Option(metavar="LIST", help="File with the names of audio files, one a line.")
    ] = None,
    from_manifest: Annotated[
        Path | None, typer.Option(metavar="JSON", help="Repeat the run that wrote this manifest.")
    ] = None,
    processes: Annotated[
        int, typer.Option("-j", "--jobs", min=1, help="Number of files to separate at the same time.")
    ] = 1,
    cluster: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Dask cluster to separate on: tcp://HOST:8786, a scheduler file, or local:4.",
        ),
    ] = None,
    any_version: Annotated[
        bool, typer.Option("--any-version", help="Use workers with other versions; samples may differ.")
    ] = False,
    shard: Annotated[
        str | None,
        typer.Option(metavar="K/N", help="Part of the files that this job of an array takes, such as 3/20."),
    ] = None,
    stem: Annotated[
        str | None, typer.Option(metavar="NAME", help="With `-o -`: the stem for standard output.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse files that end early.")] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Skip files whose stems exist and are up to date.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a file on stdout.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only errors.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing stems.")] = False,
    flags: dict[str, tuple[Flag, Any]] | None = None,
) -> None:
    """Separate audio files into stems that add up to them."""
    names, flags = list(files or []), flags or {}
    writing: dict[str, Any] = {
        "format": format,
        "subtype": subtype,
        "filename": filename,
        "clip_mode": clip_mode,
        "phase_rounds": phase_rounds,
        "only": tuple(only or ()),
        "without": tuple(without or ()),
        "start": seconds(start, "--start"),
        "end": seconds(end, "--end"),
        "in_place": in_place,
        "stem_file": stem_file,
        "overwrite": overwrite,
        "resume": resume,
        "strict": strict,
    }
    if from_manifest:
        refuse_other_flags(_given(context))
        file, chosen, recorded = repeated_run(from_manifest, names)
        names, writing = [file], {**writing, **recorded}
    else:
        switches = {"drums": drums, "vocals": vocals, "stereo": stereo}
        given = {f"--{name}": _SWITCHES[name] for name, is_on in switches.items() if is_on}
        chosen = _chosen_separator(
            separator, given, flags, settings or [], {"sources": sources, "seed": seed}
        )
        _check_choice(chosen, writing["only"], writing["without"])
    if not names and not from_file:
        stop("no files: name one, or a folder, or a list with --from-file", WRONG_USAGE)
    if stem and output != STANDARD_STREAM:
        stop(f"--stem chooses the stem for standard output: add `-o -`, or use --only {stem}", WRONG_USAGE)
    writing["memory"] = _checked_memory(writing, memory)
    announce_compilation(not quiet)
    job, printer = Job(chosen, writing), OutcomePrinter(as_json, quiet)
    choice = _cluster_choice(cluster, any_version, processes)
    if output == STANDARD_STREAM:
        stem_to_stdout(job, names, stem, printer)
        return
    folder = place_of(output)
    tasks = collect_tasks(names, from_file, folder)
    archive = folder if cluster or shard else None
    if not run_files(job, tasks, printer, processes, cluster=choice, shard=shard, archive=archive):
        raise typer.Exit(FAILED)


def _cluster_choice(address: str | None, any_version: bool, processes: int) -> ClusterChoice | None:
    if address and processes > 1:
        stop(
            "-j counts processes of this machine, and --cluster names workers: give one of them", WRONG_USAGE
        )
    return ClusterChoice(address, any_version) if address else None


def _given(context: typer.Context) -> list[str]:
    """Return the names of the parameters that the command line gives."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    return [name for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"]


def _chosen_separator(
    separator: str | None,
    switches: dict[str, str],
    flags: dict[str, tuple[Flag, Any]],
    settings: list[str],
    common: dict[str, Any],
) -> Any:
    """Return the separator that the command line asks for, with its options."""
    names = {
        *flags,
        *parse_settings(settings),
        *(name for name, value in common.items() if value is not None),
    }
    name = chosen_separator(separator, switches, flags, {option.replace("-", "_") for option in names})
    return make_separator(name, settings, **common, **flag_options(name, flags))


def _check_choice(chosen: Any, only: tuple[str, ...], without: tuple[str, ...]) -> None:
    """Check the chosen stems against the sources that are known before any file is read."""
    from nmfaudio.errors import NmfaudioError, OptionError
    from nmfaudio.models.options import Options
    from nmfaudio.models.selection import StemChoice

    try:
        choice = StemChoice(only, without)
        known = chosen.known_sources() if isinstance(chosen, Options) else ()
        if known:
            choice.check(known)
    except OptionError as error:
        stop(str(error), WRONG_USAGE)
    except NmfaudioError as error:
        stop(str(error), FAILED)


def _checked_memory(writing: dict[str, Any], memory: str | None) -> int:
    """Return the memory in bytes; end the command at an option with which no file could be written."""
    from nmfaudio.disk.memory_budget import parse_size
    from nmfaudio.errors import OptionError
    from nmfaudio.models.phased import check_rounds
    from nmfaudio.pipeline.passage_choice import PassageChoice
    from nmfaudio.pipeline.target import check_clip_mode, check_filename
    from nmfaudio.sound.audio import Encoding
    from nmfaudio.sound.encoding import stem_encoding

    try:
        check_filename(writing["filename"])
        PassageChoice(writing.get("start"), writing.get("end"), writing.get("in_place", False))
        check_clip_mode(writing["clip_mode"])
        check_rounds(writing["phase_rounds"])
        stem_encoding(Encoding(), writing["format"], None)
        return parse_size(memory) if memory else 0
    except OptionError as error:
        stop(str(error), WRONG_USAGE)
