"""`nmfaudio learn`: recordings of one source in, a dictionary out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from nmfaudio.cli.console import FAILED, WRONG_USAGE, announce_compilation, complain, progress_bar, stop
from nmfaudio.cli.times import seconds


def learn(
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE", help="Recordings in which only the source plays, or their URLs."),
    ],
    label: Annotated[str, typer.Option(help="Name of the source; its stems get this name.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="FILE", help="Dictionary to write. Default: LABEL.safetensors."
        ),
    ] = None,
    rank: Annotated[
        int | None, typer.Option(help="Number of templates. Default: chosen from the data.")
    ] = None,
    sample_rate: Annotated[
        int | None, typer.Option(help="Sample rate of the dictionary in Hz. Default: that of the first file.")
    ] = None,
    window: Annotated[float, typer.Option(help="Length of the analysis window in seconds.")] = 0.093,
    divergence: Annotated[
        str, typer.Option(help="Divergence: kl, is, euclidean, or a beta in [-1, 3].")
    ] = "kl",
    add_to: Annotated[
        Path | None, typer.Option(help="Dictionary of the same source to extend with the files.")
    ] = None,
    start: Annotated[
        str | None, typer.Option(metavar="TIME", help="Start of the passage to use, such as 1:02.5.")
    ] = None,
    end: Annotated[str | None, typer.Option(metavar="TIME", help="End of the passage to use.")] = None,
    seed: Annotated[int, typer.Option(help="Random seed.")] = 0,
    whole_corpus: Annotated[
        bool, typer.Option("--whole-corpus", help="Learn from all frames, not from a random choice of them.")
    ] = False,
    minibatch: Annotated[
        bool,
        typer.Option(
            "--minibatch",
            help="Learn from all frames in passes that keep none of them; the templates fit less well.",
        ),
    ] = False,
    passes: Annotated[int, typer.Option(min=1, help="With --minibatch: passes over all frames.")] = 1,
    cluster: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Dask cluster to learn on from the whole corpus: tcp://HOST:8786, a file, or local:4.",
        ),
    ] = None,
    any_version: Annotated[
        bool, typer.Option("--any-version", help="Use workers with other versions; bits may differ.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only errors.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing dictionary.")] = False,
) -> None:
    """Learn the sound of a source and write it to a dictionary file."""
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
    passage = seconds(start, "--start"), seconds(end, "--end")
    announce_compilation(not quiet)
    try:
        if not overwrite:
            check_absent([target])
        options["add_to"] = Dictionary.load(add_to) if add_to else None
        with progress_bar(label, not quiet) as report:
            if whole_corpus or minibatch or cluster:
                _refuse_passage(passage)
                options.update(minibatch=minibatch, passes=passes)
                options["checkpoint"] = target.with_suffix(".checkpoint")
                dictionary = _learned_from_corpus(files, label, cluster, any_version, report, options)
                silent: list[str] = []
            else:
                dictionary, silent = _learned(files, label, passage, options, report)
        dictionary.save(target)
    except OptionError as error:
        stop(str(error), WRONG_USAGE)
    except NmfaudioError as error:
        stop(str(error), FAILED)
    if not quiet:
        for name in silent:
            complain(f"{name}: warning: the recording is silent, so nothing was learned from it")
        _print_summary(dictionary, target)


def _learned(
    files: list[str],
    label: str,
    passage: tuple[float | None, float | None],
    options: dict[str, Any],
    report: Any,
) -> tuple[Any, list[str]]:
    from nmfaudio.cluster.places import is_url
    from nmfaudio.cluster.remote import RemoteRecording
    from nmfaudio.dictionaries.learning import Learner

    extended = options.pop("add_to")
    learner = Learner(label, report=report, **options)
    if extended is not None:
        learner.recall(extended)
    for file in files:
        if is_url(file):
            with RemoteRecording(file).fetched() as path:
                learner.partial_fit(_clip(Path(path), passage))
        else:
            learner.partial_fit(_clip(Path(file), passage))
    return learner.dictionary(), learner.silent


def _learned_from_corpus(
    files: list[str],
    label: str,
    cluster: str | None,
    any_version: bool,
    report: Any,
    options: dict[str, Any],
) -> Any:
    """Learn from all frames of the files, and of the audio files in folders."""
    from nmfaudio.cli.inputs import collect_tasks
    from nmfaudio.cluster.remote import recording_at
    from nmfaudio.dictionaries.learning import learn

    recordings = [task.file for task in collect_tasks(files, None, Path("."))]
    if cluster is None:
        return learn(map(recording_at, recordings), label, whole_corpus=True, report=report, **options)
    from nmfaudio.cluster.learning import learn_on_cluster

    return learn_on_cluster(cluster, recordings, label, any_version=any_version, report=report, **options)


def _refuse_passage(passage: tuple[float | None, float | None]) -> None:
    if passage != (None, None):
        stop("--start and --end choose a passage, and a whole corpus has none: leave them out", WRONG_USAGE)


def _clip(file: Path, passage: tuple[float | None, float | None]) -> Any:
    """Return a file, or the passage of it as samples in memory."""
    if passage == (None, None):
        return file
    from nmfaudio.sound.files import read
    from nmfaudio.sound.passage import Passage, passage_in_seconds

    audio = read(file)
    part = passage_in_seconds(audio, *passage)
    return audio.cut(part.start, part.stop) if isinstance(part, Passage) else audio


def _number(text: str) -> str | float:
    try:
        return float(text)
    except ValueError:
        return text


def dictionary_path(path: Path) -> Path:
    """Check the path of a dictionary that is to be written, and return it.

    Raises
    ------
    OptionError
        When the name does not end in .safetensors.
    """
    from nmfaudio.errors import OptionError

    if path.suffix.lower() != ".safetensors":
        raise OptionError(f"{path}: the name of a dictionary must end in .safetensors")
    return path


def _print_summary(dictionary: Any, target: Path) -> None:
    seconds = sum(clip.seconds for clip in dictionary.clips)
    pitched = int((dictionary.pitches > 0).sum())
    count = len(dictionary.labels)
    recordings = f"{len(dictionary.clips)} recordings" if len(dictionary.clips) > 1 else "one recording"
    typer.echo(
        f"{dictionary.sources[0]}: {count} template{'s' if count > 1 else ''} ({pitched} with a pitch) "
        f"from {seconds:.1f} s in {recordings}"
    )
    typer.echo(f"written to {target}")
