"""Order of the channels in Ogg files (Vorbis and Opus), which differs from that of all other formats.

libsndfile passes the channels of Ogg files on in their own order. This package uses the order of WAV files.
"""

from __future__ import annotations

from nmfaudio.sound.metadata import SPEAKERS

# Speakers of files with 3 to 8 channels (Vorbis I specification, section 4.3.9).
_OGG_ORDER = {
    3: "FL FC FR",
    4: "FL FR BL BR",
    5: "FL FC FR BL BR",
    6: "FL FC FR BL BR LFE",
    7: "FL FC FR SL SR BC LFE",
    8: "FL FC FR SL SR BL BR LFE",
}


def channel_mask(channels: int) -> int | None:
    """Return the speakers of an Ogg file as a channel mask; None if the number of channels defines none.

    Examples
    --------
    >>> hex(channel_mask(6))
    '0x3f'
    """
    names = _OGG_ORDER.get(channels, "").split()
    return sum(1 << SPEAKERS.index(name) for name in names) or None


def from_ogg(channels: int) -> list[int] | None:
    """Return the position in an Ogg file of each channel of a WAV file; None if the orders are the same.

    Examples
    --------
    >>> from_ogg(6), from_ogg(2)
    ([0, 2, 1, 5, 3, 4], None)
    """
    names = _OGG_ORDER.get(channels, "").split()
    order = [names.index(name) for name in SPEAKERS if name in names]
    return order if order != sorted(order) else None


def to_ogg(channels: int) -> list[int] | None:
    """Return the position in a WAV file of each channel of an Ogg file; None if the orders are the same.

    Examples
    --------
    >>> to_ogg(6)
    [0, 2, 1, 4, 5, 3]
    """
    order = from_ogg(channels)
    return None if order is None else sorted(range(channels), key=order.__getitem__)
