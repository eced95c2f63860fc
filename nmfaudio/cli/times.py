"""Times on the command line: seconds, or minutes and seconds."""

from __future__ import annotations

from nmfaudio.cli.console import WRONG_USAGE, stop


def seconds(text: str | None, flag: str) -> float | None:
    """Return a time in seconds from a text such as `62.5`, `1:02.5` or `-0:10`.

    A time with a minus sign is counted from the end of the recording. Another text ends the command.
    """
    from nmfaudio.sound.times import parse_seconds

    if text is None:
        return None
    try:
        return -parse_seconds(text[1:]) if text.startswith("-") else parse_seconds(text)
    except ValueError:
        stop(f"{flag} {text}: write seconds, or minutes and seconds like 1:02.5", WRONG_USAGE)
