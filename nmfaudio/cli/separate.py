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
from nmfaudio.cli.debugging import is_debugging
from nmfaudio.cli.inputs import STANDARD_STREAM, check_names, collect_tasks
from nmfaudio.cli.pipes import stem_to_stdout
from nmfaudio.cli.repeat_run import refuse_other_flags, repeated_run
from nmfaudio.cli.separator_flags import Flag, chosen_separator, flag_options
from nmfaudio.cli.times import seconds
from nmfaudio.cluster.job import Job
from nmfaudio.cluster.places import place_of

EXAMPLES = (
    "Examples:\n\n"
    "nmfaudio separate song.flac -o stems\n\n"
    "nmfaudio separate loop.wav --drums --only kick --format wav\n\n"
    "nmfaudio separate mix.wav --dictionary piano.safetensors --dictionary flute.safetensors\n\n"
    "nmfaudio separate takes/ -o archive -j 2 --resume --json > archive.jsonl"
)
# Groups of flags in the help.
_METHOD, _STEMS, _FORMAT = "Method", "Stems", "Names and format of the stems"
_PASSAGE, _MANY, _RUN = "Passage", "Many files", "Run"
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
    separator: Annotated[
        str | None,
        typer.Option(
            help="Separator to use; `nmfaudio separators` lists them. Default: auto.",
            autocompletion=_separator_names,
            rich_help_panel=_METHOD,
        ),
    ] = None,
    drums: Annotated[
        bool, typer.Option("--drums", help="Separate kick, snare and hi-hat.", rich_help_panel=_METHOD)
    ] = False,
    vocals: Annotated[
        bool,
        typer.Option(
            "--vocals", help="Separate the lead voice from its accompaniment.", rich_help_panel=_METHOD
        ),
    ] = False,
    stereo: Annotated[
        bool,
        typer.Option(
            "--stereo",
            help="Separate sources by their positions between the loudspeakers.",
            rich_help_panel=_METHOD,
        ),
    ] = False,
    sources: Annotated[
        int | None,
        typer.Option(help="Number of stems. Default: chosen from the data.", rich_help_panel=_METHOD),
    ] = None,
    output: Annotated[
        str,
        typer.Option(
            "-o",
            "--output",
            help="Folder or URL for the stems; `-` is standard output.",
            rich_help_panel=_STEMS,
        ),
    ] = "separated",
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Stem to keep; repeatable. Default: all.",
            autocompletion=_dictionary_labels,
            rich_help_panel=_STEMS,
        ),
    ] = None,
    without: Annotated[
        list[str] | None,
        typer.Option(
            "--except",
            metavar="NAME",
            help="Source to leave out of a single stem, the sum of all others; repeatable.",
            autocompletion=_dictionary_labels,
            rich_help_panel=_STEMS,
        ),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="Start of the passage to separate, such as 1:02.5.", rich_help_panel=_PASSAGE
        ),
    ] = None,
    end: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="End of the passage to separate.", rich_help_panel=_PASSAGE),
    ] = None,
    in_place: Annotated[
        bool,
        typer.Option(
            "--in-place",
            help="Put silence around the stems of a passage, so that they fit.",
            rich_help_panel=_PASSAGE,
        ),
    ] = False,
    stem_file: Annotated[
        bool,
        typer.Option(
            "--stem-file",
            help="Also write a .stem.mp4 file of up to four stems for DJ software.",
            rich_help_panel=_STEMS,
        ),
    ] = False,
    labels: Annotated[
        str | None,
        typer.Option(
            metavar="FORMAT",
            help="Also write when each stem sounds, and its level: audacity (label track) or csv.",
            rich_help_panel=_STEMS,
        ),
    ] = None,
    keep: Annotated[
        bool,
        typer.Option(
            "--keep",
            help="Keep the components beside the stems, to look, listen and regroup.",
            rich_help_panel=_STEMS,
        ),
    ] = False,
    report: Annotated[
        bool,
        typer.Option(
            "--report",
            help="Write report.html too: a page that plays and regroups the stems.",
            rich_help_panel=_STEMS,
        ),
    ] = False,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="Option of the separator; repeatable.",
            autocompletion=_setting_names,
            rich_help_panel=_METHOD,
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Random seed.", rich_help_panel=_METHOD)] = None,
    format: Annotated[
        str | None,
        typer.Option(
            help="Format of the stems: wav, flac, ... Default: that of the input.", rich_help_panel=_FORMAT
        ),
    ] = None,
    subtype: Annotated[
        str | None,
        typer.Option(
            help="Sample type: PCM_16, PCM_24, FLOAT, ... Default: that of the input.",
            rich_help_panel=_FORMAT,
        ),
    ] = None,
    filename: Annotated[
        str,
        typer.Option(help="Pattern for the names of the stems inside the folder.", rich_help_panel=_FORMAT),
    ] = "{track}/{stem}.{ext}",
    clip_mode: Annotated[
        str,
        typer.Option(
            help="For stems beyond full scale: clamp, rescale (all stems alike) or float.",
            rich_help_panel=_FORMAT,
        ),
    ] = "clamp",
    phase_rounds: Annotated[
        int,
        typer.Option(
            help="Rounds of phase refinement; 1 to 3 help where stems are good already.",
            rich_help_panel=_METHOD,
        ),
    ] = 0,
    memory: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE",
            help="Memory for spectrograms, such as 2G. Default: a quarter of all.",
            rich_help_panel=_RUN,
        ),
    ] = None,
    from_file: Annotated[
        Path | None,
        typer.Option(
            metavar="LIST", help="File with the names of audio files, one a line.", rich_help_panel=_MANY
        ),
    ] = None,
    from_manifest: Annotated[
        Path | None,
        typer.Option(metavar="JSON", help="Repeat the run that wrote this manifest.", rich_help_panel=_RUN),
    ] = None,
    processes: Annotated[
        int,
        typer.Option(
            "-j", "--jobs", min=1, help="Number of files to separate at the same time.", rich_help_panel=_MANY
        ),
    ] = 1,
    cluster: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Dask cluster to separate on: tcp://HOST:8786, a scheduler file, or local:4.",
            rich_help_panel=_MANY,
        ),
    ] = None,
    any_version: Annotated[
        bool,
        typer.Option(
            "--any-version",
            help="Use workers with other versions; samples may differ.",
            rich_help_panel=_MANY,
        ),
    ] = False,
    piece: Annotated[
        str,
        typer.Option(
            metavar="TIME",
            help="With --cluster: recordings longer than this are separated in pieces by several workers.",
            rich_help_panel=_MANY,
        ),
    ] = "30:00",
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="K/N",
            help="Part of the files that this job of an array takes, such as 3/20.",
            rich_help_panel=_MANY,
        ),
    ] = None,
    stem: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="With `-o -`: the stem for standard output.", rich_help_panel=_STEMS
        ),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse files that end early.", rich_help_panel=_MANY)
    ] = False,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Skip files whose stems exist and are up to date.", rich_help_panel=_MANY
        ),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object a file on stdout.", rich_help_panel=_RUN)
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print only errors.", rich_help_panel=_RUN)
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace existing stems.", rich_help_panel=_STEMS)
    ] = False,
    flags: dict[str, tuple[Flag, Any]] | None = None,
) -> None:
    """Separate audio files into stems that add up to them.

    The stem `left60` comes from 60 % of the way from the middle to the left loudspeaker, and `rest` has no
    position. Half of the energy of `low1` lies below 250 Hz, of `high1` above 2000 Hz, of `mid1` between; and
    `percussive1` consists of strikes. The column `share` is the part of the energy of all stems.
    """
    names, flags = list(files or []), flags or {}
    check_names(names)
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
        "labels": labels,
        "keep": keep or report,
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
    if report:
        _check_report(writing, output)
    writing["memory"] = _checked_memory(writing, memory)
    announce_compilation(not quiet)
    job, printer = Job(chosen, writing, is_debugging(), report), OutcomePrinter(as_json, quiet)
    choice = _cluster_choice(cluster, any_version, piece, processes)
    if output == STANDARD_STREAM:
        stem_to_stdout(job, names, stem, printer)
        return
    folder = place_of(output)
    tasks = collect_tasks(names, from_file, folder)
    archive = folder if cluster or shard or len(tasks) > 1 else None
    if not run_files(job, tasks, printer, processes, cluster=choice, shard=shard, archive=archive):
        raise typer.Exit(FAILED)


def _cluster_choice(
    address: str | None, any_version: bool, piece: str, processes: int
) -> ClusterChoice | None:
    if address and processes > 1:
        stop(
            "-j counts processes of this machine, and --cluster names workers: give one of them", WRONG_USAGE
        )
    return ClusterChoice(address, any_version, seconds(piece, "--piece") or 0.0) if address else None


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


def _check_report(writing: dict[str, Any], output: str) -> None:
    """End the command where no report is possible; else the components are kept, also in a repeated run."""
    if str(output) == STANDARD_STREAM:
        stop("--report needs a folder: leave out `-o -`", WRONG_USAGE)
    if writing.get("only") or writing.get("without"):
        stop("--report shows all stems of a recording: leave out --only and --except", WRONG_USAGE)
    writing["keep"] = True


def _checked_memory(writing: dict[str, Any], memory: str | None) -> int:
    """Return the memory in bytes; end the command at an option with which no file could be written."""
    from nmfaudio.disk.memory_budget import parse_size
    from nmfaudio.errors import OptionError
    from nmfaudio.models.phased import check_rounds
    from nmfaudio.pipeline.passage_choice import PassageChoice
    from nmfaudio.pipeline.sounding import check_label_format
    from nmfaudio.pipeline.target import check_clip_mode, check_filename, check_keep
    from nmfaudio.sound.encoding import stem_encoding
    from nmfaudio.sound.source import Encoding

    try:
        check_filename(writing["filename"])
        passage = PassageChoice(writing.get("start"), writing.get("end"), writing.get("in_place", False))
        check_keep(writing.get("keep", False), passage)
        check_clip_mode(writing["clip_mode"])
        check_label_format(writing.get("labels"))
        check_rounds(writing["phase_rounds"])
        stem_encoding(Encoding(), writing["format"], None)
        return parse_size(memory) if memory else 0
    except OptionError as error:
        stop(str(error), WRONG_USAGE)
