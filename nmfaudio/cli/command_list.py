"""The commands by name. The module of a command is only imported where the command runs or is completed.

The list of commands, which `nmfaudio --help` prints, therefore needs none of these modules.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

import typer

from nmfaudio.cli.commands import Command

CONTEXT = {"help_option_names": ["-h", "--help"]}


@dataclass(frozen=True)
class Entry:
    """What is known of a command before its module is imported.

    Attributes
    ----------
    summary : str
        First paragraph of the docstring of the command's function.
    module : str
        Module in `nmfaudio.cli` that holds the function; by default the one that is named like the function.
    takes_separator_flags : bool
        Whether the options of the installed separators are flags of the command.
    """

    summary: str
    module: str = ""
    takes_separator_flags: bool = False


COMMANDS: dict[str, Entry] = {
    "separate": Entry("Separate audio files into stems that add up to them.", takes_separator_flags=True),
    "components": Entry(
        "Write each component of a separation as audio; together they add up to the recording.",
        module="regroup",
        takes_separator_flags=True,
    ),
    "regroup": Entry(
        "Put the components of a separation together to new stems that add up to the recording.",
        takes_separator_flags=True,
    ),
    "plot": Entry(
        "Draw the components of a recording, its stems or masks, a finished run, or a dictionary.",
        takes_separator_flags=True,
    ),
    "separators": Entry("List the separators, built in and installed, with their options and defaults."),
    "learn": Entry("Learn the sound of a source and write it to a dictionary file."),
    "join": Entry("Join dictionaries of several sources into one, with the settings of the first."),
    "show": Entry("Show the sources, settings, origin and templates of a dictionary."),
    "convert": Entry(
        "Convert a dictionary to other settings. `separate` does this by itself where it is needed."
    ),
    "export": Entry("Turn a dictionary into a plugin with a gain, mute and solo for each source."),
    "live": Entry("Separate live sound; the keys 1 to 9 mute a source, b bypasses, q ends."),
    "tune": Entry("Forecast how well sources can be separated, from a recording of each source alone."),
    "rank": Entry("Recommend a number of components and show the evidence."),
    "report": Entry(
        "Write one HTML page that plays, shows and regroups the stems of a finished run, without a network."
    ),
    "advise": Entry("Recommend a separator for a file, with the reasons."),
    "evaluate": Entry("Score stems against the true stems: SI-SDR and BSS Eval version 4, in dB."),
    "archive-status": Entry(
        "Count the files of an archive that are done, failed, and missing; exit with 0 when all are done."
    ),
}


def loaded_command(name: str) -> Any:
    """Import the module of a command and return the command with all its flags."""
    entry = COMMANDS[name]
    function_name = name.replace("-", "_")
    module = import_module(f"nmfaudio.cli.{entry.module or function_name}")
    function = getattr(module, function_name)
    if entry.takes_separator_flags:
        from nmfaudio.cli.separator_flags import with_separator_flags

        function = with_separator_flags(function)
    alone = typer.Typer(add_completion=False, context_settings=CONTEXT)
    alone.command(name, cls=Command, epilog=getattr(module, "EXAMPLES", None))(function)
    return typer.main.get_command(alone)
