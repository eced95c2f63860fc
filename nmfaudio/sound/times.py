"""Times that people write: seconds, or minutes and seconds."""

from __future__ import annotations


def parse_seconds(text: str) -> float:
    """Return the number of seconds in a text such as `7.5`, `1:02` or `1:00:05`.

    Raises
    ------
    ValueError
        When the text is not a time.

    Examples
    --------
    >>> parse_seconds("1:02.5")
    62.5
    """
    parts = text.strip().split(":")
    if not 1 <= len(parts) <= 3 or not all(part and set(part) <= set("0123456789.") for part in parts):
        raise ValueError(f"{text!r} is not a time")
    seconds = 0.0
    for part in parts:
        seconds = 60 * seconds + float(part)
    return seconds
