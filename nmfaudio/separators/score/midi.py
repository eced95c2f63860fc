"""Notes of a MIDI file: their times in seconds, and the part that each of them belongs to."""

from __future__ import annotations

import io
import math
import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Any

from nmfaudio.errors import OptionError
from nmfaudio.separators.score.channel_events import ChannelEvents, PedalSpan, Stroke
from nmfaudio.separators.score.instruments import DRUMS
from nmfaudio.separators.score.midi_parts import PlacedStroke, part_names
from nmfaudio.separators.score.notes import Note
from nmfaudio.separators.score.text import likely_encoding

_DRUM_CHANNEL = 9  # counted from 0: channel 10
_DEFAULT_TEMPO = 500_000  # microseconds a quarter note
_NTSC = 29  # code of the SMPTE rate of 30 / 1.001 frames a second; other codes are the rate itself
_KEY_SIGNATURE = re.compile(rb"\xff\x59\x02(..)", re.DOTALL)
_ENCODING_NAMES = {"cp932": "Shift-JIS", "cp1252": "Latin-1", "latin-1": "Latin-1"}


def is_midi(data: bytes) -> bool:
    """Return whether a file's content is that of a MIDI file, alone or in a RIFF container."""
    return data[:4] == b"MThd" or (data[:4] == b"RIFF" and data[8:12] == b"RMID")


def read_midi(data: bytes, *, merge_same_names: bool = False) -> tuple[list[Note], list[str]]:
    """Return the notes of a MIDI file and messages about how it was read.

    Each track is a part. A track that holds several instruments becomes several parts: in a file with one
    track of notes, one for each channel and program; else one for each program. Channel 10 is drums.

    Parameters
    ----------
    data : bytes
        Content of the file.
    merge_same_names : bool
        Whether parts of the same name become one part. Otherwise they are numbered.
    """
    import mido

    file = mido.MidiFile(file=io.BytesIO(_repaired(data)), clip=True)
    tracks = [ChannelEvents.of_track(track) for track in file.tracks]
    placed = [
        PlacedStroke(number, events.channel, _instrument(events, stroke, tracks), stroke)
        for number, channels in enumerate(tracks)
        for events in channels
        for stroke in events.strokes(_pedals(events, channels, tracks))
    ]
    names, messages = _track_names(file.tracks)
    parts, part_messages = part_names(placed, names, merge_same_names=merge_same_names)
    clock = _Clock.of(file)
    notes = [_note(one.stroke, clock, part, one.instrument) for one, part in zip(placed, parts, strict=True)]
    return notes, [*messages, *part_messages, *_ending_messages(placed)]


def _repaired(data: bytes) -> bytes:
    """Return the MIDI file inside the data, with key signatures that do not exist replaced by C major."""
    data = data[max(0, data.find(b"MThd")) :]

    def checked(match: re.Match[bytes]) -> bytes:
        accidentals, mode = match[1]
        valid = (accidentals <= 7 or accidentals >= 256 - 7) and mode in (0, 1)
        return match[0] if valid else match[0][:3] + b"\0\0"

    return _KEY_SIGNATURE.sub(checked, data)


def _note(stroke: Stroke, clock: _Clock, part: str, instrument: str) -> Note:
    onset = clock.seconds(stroke.onset)
    end = clock.seconds(int(stroke.end)) if math.isfinite(stroke.end) else math.inf
    return Note(onset, max(end, onset), stroke.pitch, part, instrument)


def _instrument(events: ChannelEvents, stroke: Stroke, tracks: Sequence[Sequence[ChannelEvents]]) -> str:
    """Return the instrument of a note, by the programs of its track or of a track without notes."""
    if events.channel == _DRUM_CHANNEL:
        return DRUMS
    program = events.program_at(stroke.onset)
    for other in chain.from_iterable(tracks) if program is None else ():
        if other.channel == events.channel and other.programs and not other.keys:
            program = other.program_at(stroke.onset)
            break
    return f"program{(program or 0) + 1}"


def _pedals(
    events: ChannelEvents, track: Sequence[ChannelEvents], tracks: Sequence[Sequence[ChannelEvents]]
) -> list[PedalSpan]:
    """Return the pedals that act on a channel of a track.

    A track without pedals shares those of other tracks on the same channel, such as those of a piano's other
    hand, if the file says that both play the same program. Many files put all tracks on channel 1 without
    programs; there, each track keeps its own pedals.
    """
    if events.pedals:
        return events.pedal_spans()
    same_channel = [
        other
        for channels in tracks
        if channels is not track
        for other in channels
        if other.channel == events.channel and other.pedals
    ]
    programs = {number for _, number in events.programs}
    sharing = [other for other in same_channel if (programs or other.programs) and _agree(programs, other)]
    return list(chain.from_iterable(other.pedal_spans() for other in sharing[:1]))


def _agree(programs: set[int], other: ChannelEvents) -> bool:
    """Return whether the programs of two tracks on a channel are the same; a track may leave them out."""
    others = {number for _, number in other.programs}
    return not programs or not others or programs == others


def _track_names(tracks: Sequence[Any]) -> tuple[list[str], list[str]]:
    """Return the name of each track, empty where it has none, and messages about their encoding."""
    raw = [_raw_name(track) for track in tracks]
    encoding = likely_encoding([name for name in raw if name])
    names = [name.decode(encoding, "replace") for name in raw]
    if encoding in _ENCODING_NAMES:
        return names, [f"the names of the tracks were read as {_ENCODING_NAMES[encoding]}"]
    return names, []


def _raw_name(track: Any) -> bytes:
    """Return the bytes of the first name of a track; where it has none, of its instrument."""
    texts = {
        kind: [
            name
            for message in track
            if message.type == kind and (name := message.name.encode("latin-1").strip(b"\0 \t\r\n"))
        ]
        for kind in ("track_name", "instrument_name")
    }
    return next(iter([*texts["track_name"], *texts["instrument_name"]]), b"")


def _ending_messages(placed: Sequence[PlacedStroke]) -> list[str]:
    """Return messages about notes whose ends are not those of their keys."""
    held = sum(one.stroke.is_held for one in placed)
    missing = sum(not one.stroke.ends_in_file for one in placed)
    messages = [f"pedals lengthen {held} of {len(placed)} notes"] if held else []
    if missing:
        messages.append(
            f"{missing} of {len(placed)} notes have no end in the file: each lasts to the next note of its "
            "pitch, or to the end"
        )
    return messages


@dataclass(frozen=True)
class _Clock:
    """Times of ticks.

    Attributes
    ----------
    ticks : tuple of int
        Ticks at which the tempo changes, from 0 on.
    starts : tuple of float
        Times of these ticks in seconds.
    tempos : tuple of int
        Microseconds a quarter note from each of them on.
    ticks_per_quarter : float
    """

    ticks: tuple[int, ...]
    starts: tuple[float, ...]
    tempos: tuple[int, ...]
    ticks_per_quarter: float

    @classmethod
    def of(cls, file: Any) -> _Clock:
        """Return the clock of a file: by its tempos in all tracks, or by SMPTE frames."""
        division = file.ticks_per_beat  # negative for SMPTE: two bytes, the negative rate and ticks a frame
        if division < 0:
            code, ticks_per_frame = -(division >> 8), division & 0xFF
            rate = 30 / 1.001 if code == _NTSC else code
            return cls((0,), (0.0,), (1_000_000,), _checked_division(rate * ticks_per_frame))
        changes = {0: _DEFAULT_TEMPO}
        for track in file.tracks:
            tick = 0
            for message in track:
                tick += message.time
                if message.type == "set_tempo":
                    changes[tick] = message.tempo
        ticks = tuple(sorted(changes))
        starts, microseconds = [0.0], 1e6 * _checked_division(division)
        for start, stop in pairwise(ticks):
            starts.append(starts[-1] + (stop - start) * changes[start] / microseconds)
        return cls(ticks, tuple(starts), tuple(changes[tick] for tick in ticks), division)

    def seconds(self, tick: int) -> float:
        """Return the time of a tick in seconds."""
        number = max(0, bisect_right(self.ticks, tick) - 1)
        since = tick - self.ticks[number]
        return self.starts[number] + since * self.tempos[number] / (1e6 * self.ticks_per_quarter)


def _checked_division(ticks: float) -> float:
    if ticks <= 0:
        raise OptionError(
            "the MIDI file has no division of time, so its notes have no times: export it again",
            option="midi",
        )
    return ticks
