"""The form of all commands: how their help shows flags, and the flag `--debug`."""

from __future__ import annotations

import inspect
import re
from typing import Any

from typer.core import TyperArgument, TyperCommand

from nmfaudio.cli.debugging import switch_debugging_on


class Command(TyperCommand):
    """A command whose help shows no Python types where they say nothing.

    A switch has no value (`--drums` and not `--drums <bool>`), and the name of an argument says what it is.
    """

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        # Lines break where the terminal ends, and not where they end in the source.
        self.help = re.sub(r"(?<!\n)\n(?!\n)", " ", inspect.cleandoc(self.help or ""))
        for parameter in self.params:
            if getattr(parameter, "is_flag", False):
                parameter.metavar = ""
            if isinstance(parameter, TyperArgument):
                # Beside its name, an argument would show its Python type, such as `<list[str]>`.
                vars(parameter)["display_type_rich"] = lambda ctx: ""

    def get_help_option(self, ctx: Any) -> Any:
        """Return the option `--help`, which is a switch too."""
        option = super().get_help_option(ctx)
        if option is not None:
            option.metavar = ""
        return option

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take `--debug`, which every command has, out of the arguments; then parse the others."""
        if "--debug" in args[: args.index("--")] if "--" in args else "--debug" in args:
            switch_debugging_on()
            args.remove("--debug")
        return super().parse_args(ctx, args)
