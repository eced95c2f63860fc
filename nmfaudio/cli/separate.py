"""`nmfaudio separate`: audio files in, stems out."""

from __future__ import annotations

from typing import Any

import typer

from nmfaudio.cli import separate_options as flag
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
_SWITCHES = {"drums": "drums", "vocals": "voice", "stereo": "stereo"}  # and the separators they stand for


def separate(  # each parameter is a flag of the command line; those of the separators are added in app.py
    context: typer.Context,
    files: flag.Files = None,
    separator: flag.SeparatorName = None,
    drums: flag.Drums = False,
    vocals: flag.Vocals = False,
    stereo: flag.Stereo = False,
    sources: flag.Sources = None,
    output: flag.Output = "separated",
    only: flag.Only = None,
    without: flag.Without = None,
    start: flag.Start = None,
    end: flag.End = None,
    in_place: flag.InPlace = False,
    stem_file: flag.StemFile = False,
    labels: flag.Labels = None,
    keep: flag.Keep = False,
    report: flag.Report = False,
    settings: flag.Settings = None,
    seed: flag.Seed = None,
    format: flag.StemFormat = None,
    subtype: flag.Subtype = None,
    filename: flag.Filename = "{track}/{stem}.{ext}",
    clip_mode: flag.ClipMode = "clamp",
    phase_rounds: flag.PhaseRounds = 0,
    memory: flag.Memory = None,
    from_file: flag.FromFile = None,
    from_manifest: flag.FromManifest = None,
    processes: flag.Processes = 1,
    cluster: flag.Cluster = None,
    any_version: flag.AnyVersion = False,
    piece: flag.Piece = "30:00",
    shard: flag.Shard = None,
    stem: flag.Stem = None,
    strict: flag.Strict = False,
    resume: flag.Resume = False,
    as_json: flag.Json = False,
    quiet: flag.Quiet = False,
    overwrite: flag.Overwrite = False,
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
