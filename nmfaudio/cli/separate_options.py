"""The flags of `nmfaudio separate`: types, help and completion."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

# Groups of flags in the help.
_METHOD, _STEMS, _FORMAT = "Method", "Stems", "Names and format of the stems"
_PASSAGE, _MANY, _RUN = "Passage", "Many files", "Run"


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


Files = Annotated[
    list[str] | None,
    typer.Argument(metavar="FILE", help="Audio files, folders or patterns; `-` is standard input."),
]
SeparatorName = Annotated[
    str | None,
    typer.Option(
        help="Separator to use; `nmfaudio separators` lists them. Default: auto.",
        autocompletion=_separator_names,
        rich_help_panel=_METHOD,
    ),
]
Drums = Annotated[
    bool, typer.Option("--drums", help="Separate kick, snare and hi-hat.", rich_help_panel=_METHOD)
]
Vocals = Annotated[
    bool,
    typer.Option("--vocals", help="Separate the lead voice from its accompaniment.", rich_help_panel=_METHOD),
]
Stereo = Annotated[
    bool,
    typer.Option(
        "--stereo",
        help="Separate sources by their positions between the loudspeakers.",
        rich_help_panel=_METHOD,
    ),
]
Sources = Annotated[
    int | None,
    typer.Option(help="Number of stems. Default: chosen from the data.", rich_help_panel=_METHOD),
]
Output = Annotated[
    str,
    typer.Option(
        "-o",
        "--output",
        help="Folder or URL for the stems; `-` is standard output.",
        rich_help_panel=_STEMS,
    ),
]
Only = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="Stem to keep; repeatable. Default: all.",
        autocompletion=_dictionary_labels,
        rich_help_panel=_STEMS,
    ),
]
Without = Annotated[
    list[str] | None,
    typer.Option(
        "--except",
        metavar="NAME",
        help="Source to leave out of a single stem, the sum of all others; repeatable.",
        autocompletion=_dictionary_labels,
        rich_help_panel=_STEMS,
    ),
]
Start = Annotated[
    str | None,
    typer.Option(
        metavar="TIME", help="Start of the passage to separate, such as 1:02.5.", rich_help_panel=_PASSAGE
    ),
]
End = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="End of the passage to separate.", rich_help_panel=_PASSAGE),
]
InPlace = Annotated[
    bool,
    typer.Option(
        "--in-place",
        help="Put silence around the stems of a passage, so that they fit.",
        rich_help_panel=_PASSAGE,
    ),
]
StemFile = Annotated[
    bool,
    typer.Option(
        "--stem-file",
        help="Also write a .stem.mp4 file of up to four stems for DJ software.",
        rich_help_panel=_STEMS,
    ),
]
Labels = Annotated[
    str | None,
    typer.Option(
        metavar="FORMAT",
        help="Also write when each stem sounds, and its level: audacity (label track) or csv.",
        rich_help_panel=_STEMS,
    ),
]
Keep = Annotated[
    bool,
    typer.Option(
        "--keep",
        help="Keep the components beside the stems, to look, listen and regroup.",
        rich_help_panel=_STEMS,
    ),
]
Report = Annotated[
    bool,
    typer.Option(
        "--report",
        help="Write report.html too: a page that plays and regroups the stems.",
        rich_help_panel=_STEMS,
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Option of the separator; repeatable.",
        autocompletion=_setting_names,
        rich_help_panel=_METHOD,
    ),
]
Seed = Annotated[int | None, typer.Option(help="Random seed.", rich_help_panel=_METHOD)]
StemFormat = Annotated[
    str | None,
    typer.Option(
        help="Format of the stems: wav, flac, ... Default: that of the input.", rich_help_panel=_FORMAT
    ),
]
Subtype = Annotated[
    str | None,
    typer.Option(
        help="Sample type: PCM_16, PCM_24, FLOAT, ... Default: that of the input.",
        rich_help_panel=_FORMAT,
    ),
]
Filename = Annotated[
    str,
    typer.Option(help="Pattern for the names of the stems inside the folder.", rich_help_panel=_FORMAT),
]
ClipMode = Annotated[
    str,
    typer.Option(
        help="For stems beyond full scale: clamp, rescale (all stems alike) or float.",
        rich_help_panel=_FORMAT,
    ),
]
PhaseRounds = Annotated[
    int,
    typer.Option(
        help="Rounds of phase refinement; 1 to 3 help where stems are good already.",
        rich_help_panel=_METHOD,
    ),
]
Memory = Annotated[
    str | None,
    typer.Option(
        metavar="SIZE",
        help="Memory for spectrograms, such as 2G. Default: a quarter of all.",
        rich_help_panel=_RUN,
    ),
]
FromFile = Annotated[
    Path | None,
    typer.Option(
        metavar="LIST", help="File with the names of audio files, one a line.", rich_help_panel=_MANY
    ),
]
FromManifest = Annotated[
    Path | None,
    typer.Option(metavar="JSON", help="Repeat the run that wrote this manifest.", rich_help_panel=_RUN),
]
Processes = Annotated[
    int,
    typer.Option(
        "-j", "--jobs", min=1, help="Number of files to separate at the same time.", rich_help_panel=_MANY
    ),
]
Cluster = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Dask cluster to separate on: tcp://HOST:8786, a scheduler file, or local:4.",
        rich_help_panel=_MANY,
    ),
]
AnyVersion = Annotated[
    bool,
    typer.Option(
        "--any-version",
        help="Use workers with other versions; samples may differ.",
        rich_help_panel=_MANY,
    ),
]
Piece = Annotated[
    str,
    typer.Option(
        metavar="TIME",
        help="With --cluster: recordings longer than this are separated in pieces by several workers.",
        rich_help_panel=_MANY,
    ),
]
Shard = Annotated[
    str | None,
    typer.Option(
        metavar="K/N",
        help="Part of the files that this job of an array takes, such as 3/20.",
        rich_help_panel=_MANY,
    ),
]
Stem = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="With `-o -`: the stem for standard output.", rich_help_panel=_STEMS),
]
Strict = Annotated[bool, typer.Option("--strict", help="Refuse files that end early.", rich_help_panel=_MANY)]
Resume = Annotated[
    bool,
    typer.Option("--resume", help="Skip files whose stems exist and are up to date.", rich_help_panel=_MANY),
]
Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON object a file on stdout.", rich_help_panel=_RUN)
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print only errors.", rich_help_panel=_RUN)]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace existing stems.", rich_help_panel=_STEMS)
]
