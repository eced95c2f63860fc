"""How a command separates an audio file before it shows or writes something of it."""

from __future__ import annotations

from typing import Any

from nmfaudio.cli.console import make_separator, parse_settings
from nmfaudio.cli.separator_flags import Flag, chosen_separator, flag_options
from nmfaudio.cli.times import seconds


class Analysis:
    """How an audio file is separated.

    Parameters
    ----------
    name : str or None
        Value of `--separator`.
    settings : list of str
        Texts of `--set`.
    sources, seed : int or None
        Values of `--sources` and `--seed`.
    passage : tuple of (str or None)
        Values of `--start` and `--end`.
    flags : dict of str to (Flag, value)
        Flags of separators that were given.
    """

    def __init__(
        self,
        name: str | None,
        settings: list[str],
        sources: int | None,
        seed: int | None,
        passage: tuple[str | None, str | None],
        flags: dict[str, tuple[Flag, Any]],
    ) -> None:
        self.start, self.end = seconds(passage[0], "--start"), seconds(passage[1], "--end")
        self._name, self._settings, self._flags = name, settings, flags
        self._common = {"sources": sources, "seed": seed}

    def separator(self) -> Any:
        """Return the separator that the command line asks for, with its options."""
        given = {name for name, value in self._common.items() if value is not None}
        names = {*self._flags, *parse_settings(self._settings), *given}
        options = {option.replace("-", "_") for option in names}
        name = chosen_separator(self._name, {}, self._flags, options)
        return make_separator(name, self._settings, **self._common, **flag_options(name, self._flags))
