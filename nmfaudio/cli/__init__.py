"""The command line: one file per command, and the only place that prints or exits."""


def main() -> None:
    """Run the command line and exit."""
    from nmfaudio.cli.signals import listen

    listen()  # first of all: the imports below take longest
    from nmfaudio.cli.app import main as run

    run()


__all__ = ["main"]
