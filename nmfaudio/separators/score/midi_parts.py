"""Parts of a MIDI file: which notes belong together, and the names of the parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from nmfaudio.separators.score.channel_events import Stroke
from nmfaudio.separators.score.instruments import DRUMS, instrument_name
from nmfaudio.separators.score.text import distinct, file_name_part

_LONGEST_NAME = 90  # bytes; longer names are cut, so that they fit into the name of a stem

PartKey = tuple[int, int, str]  # track, channel and instrument; -1 and "" where the part has several


@dataclass(frozen=True)
class PlacedStroke:
    """A note, and where it stands in the file.

    Attributes
    ----------
    track : int
        Number of its track, counted from 0.
    channel : int
        Number of its channel, counted from 0.
    instrument : str
        ``program`` and the number of its program, counted from 1, or ``drums``.
    stroke : Stroke
    """

    track: int
    channel: int
    instrument: str
    stroke: Stroke


def part_names(
    placed: Sequence[PlacedStroke], track_names: Sequence[str], *, merge_same_names: bool
) -> tuple[list[str], list[str]]:
    """Return the name of the part of each note, and messages about parts that are not tracks.

    Parameters
    ----------
    placed : sequence of PlacedStroke
    track_names : sequence of str
        Name of each track; empty where it has none.
    merge_same_names : bool
        Whether parts of the same name become one part. Otherwise they are numbered.
    """
    keys = _part_keys(placed)
    parts = sorted(set(keys))
    tracks = {track for track, _, _ in parts}
    names = [_name(part, track_names, alone=len(tracks) == 1) for part in parts]
    messages = []
    if len(parts) > len(tracks):
        messages.append(
            f"{len(tracks)} {'track of the score has' if len(tracks) == 1 else 'tracks of the score have'} "
            f"several instruments: they became {len(parts)} parts"
        )
    repeated = [name for name, count in Counter(name.casefold() for name in names).items() if count > 1]
    if repeated and merge_same_names:
        first = {name.casefold(): name for name in reversed(names)}
        names = [first[name.casefold()] for name in names]
    elif repeated:
        original = next(name for name in names if name.casefold() == repeated[0])
        messages.append(
            f"several parts of the score are called {original!r}: they are numbered "
            "(merge_same_names=True makes one part of them)"
        )
        names = distinct(names)
    by_part = dict(zip(parts, names, strict=True))
    return [by_part[key] for key in keys], messages


def _part_keys(placed: Sequence[PlacedStroke]) -> list[PartKey]:
    """Return the part of each note.

    A single track of notes is split by channel and instrument. One of several tracks is split by instrument
    only where channels differ in it: an instrument can use several channels, one for each string.
    """
    channels: dict[int, set[int]] = {}
    for one in placed:
        channels.setdefault(one.track, set()).add(one.channel)

    def key(one: PlacedStroke) -> PartKey:
        if len(channels) == 1:
            return one.track, one.channel, one.instrument
        if len(channels[one.track]) == 1:
            return one.track, -1, ""
        return one.track, -1, one.instrument

    keys = [key(one) for one in placed]
    whole = {track for track in channels if len({k for k in keys if k[0] == track}) == 1}
    return [(k[0], -1, "") if k[0] in whole else k for k in keys]


def _name(part: PartKey, track_names: Sequence[str], *, alone: bool) -> str:
    """Return the name of a part: that of its track, or of its instrument where the track has several."""
    track, _, instrument = part
    written = file_name_part(track_names[track], _LONGEST_NAME)
    if not instrument:
        return written or f"track{track + 1}"
    sound = instrument if instrument == DRUMS else instrument_name(instrument)
    return file_name_part(sound if alone or not written else f"{written} {sound}", _LONGEST_NAME)
