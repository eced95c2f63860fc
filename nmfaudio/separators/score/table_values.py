"""Times and pitches in a table of notes."""

from __future__ import annotations

import math

from nmfaudio.dictionaries.pitch import note_frequency

_CONCERT_A, _CONCERT_A_PITCH = 440.0, 69


def parse_number(text: str) -> float:
    """Return a number, written with a decimal point or a decimal comma.

    Raises
    ------
    ValueError
        When the text is not a finite number.

    Examples
    --------
    >>> parse_number("0,5"), parse_number("60.0")
    (0.5, 60.0)
    """
    number = float(text.replace(",", ".") if text.count(",") == 1 and "." not in text else text)
    if not math.isfinite(number):
        raise ValueError(f"{text!r} is not a finite number")
    return number


def parse_time(text: str) -> float:
    """Return a time: a number, or hours, minutes and seconds with colons between them.

    Examples
    --------
    >>> parse_time("1:02.5"), parse_time("7,25")
    (62.5, 7.25)
    """
    *higher, last = text.split(":")
    if len(higher) > 2:
        raise ValueError(f"{text!r} is not a time")
    whole = 0
    for part in higher:
        whole = 60 * (whole + int(part))
    return whole + parse_number(last)


def parse_pitch(text: str, *, is_frequency: bool = False) -> int:
    """Return the MIDI number of a pitch that is given as a number, the name of a note or a frequency in Hz.

    Raises
    ------
    ValueError
        When the text is none of these.

    Examples
    --------
    >>> parse_pitch("60.0"), parse_pitch("C4"), parse_pitch("440", is_frequency=True)
    (60, 60, 69)
    """
    try:
        number = parse_number(text)
    except ValueError:
        name = text.replace(" ", "").replace("♯", "#").replace("♭", "b")
        return nearest_pitch(note_frequency(name))
    return nearest_pitch(number) if is_frequency else round(number)


def nearest_pitch(frequency: float) -> int:
    """Return the MIDI number of the pitch nearest to a frequency in Hz.

    Raises
    ------
    ValueError
        When the frequency is not above 0.
    """
    return round(12 * math.log2(frequency / _CONCERT_A)) + _CONCERT_A_PITCH
