"""The command line: one file per command, and the only place that prints or exits."""

from nmfaudio.cli.app import main

__all__ = ["main"]
