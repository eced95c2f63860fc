"""The form of all commands: how their help shows flags, and the flag `--debug`."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand

from nmfaudio.cli.debugging import switch_debugging_on


class Command(TyperCommand):
    """A command whose help shows a switch without a value, such as `--drums` and not `--drums <bool>`."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        for parameter in self.params:
            if getattr(parameter, "is_flag", False):
                parameter.metavar = ""

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
