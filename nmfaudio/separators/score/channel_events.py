"""Events of one channel in one track of a MIDI file, and its notes with the effect of pedals."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

SUSTAIN, SOSTENUTO = 64, 66  # controllers
_PEDALS = (SUSTAIN, SOSTENUTO)
_PEDAL_DOWN = 64  # values of a pedal's controller from here on: the pedal is down
_RESET_CONTROLLERS = 121
_NOTES_OFF = (120, 123, 124, 125, 126, 127)  # controllers that end all notes of a channel


@dataclass(frozen=True)
class Stroke:
    """A note in ticks.

    Attributes
    ----------
    onset : int
    end : float
        Infinite where nothing ends the note.
    pitch : int
    ends_in_file : bool
        Whether the file has an event that ends the note; otherwise the next note of the pitch ends it.
    is_held : bool
        Whether a pedal makes the note longer.
    """

    onset: int
    end: float
    pitch: int
    ends_in_file: bool
    is_held: bool = False


@dataclass(frozen=True)
class PedalSpan:
    """A stretch of time in ticks in which a pedal is down; `up` is infinite where it stays down."""

    control: int
    down: int
    up: float


@dataclass
class ChannelEvents:
    """Events of one channel in one track, each list in the order of time.

    Attributes
    ----------
    channel : int
        Counted from 0.
    keys : dict of int to list of (int, bool)
        Tick and whether the key goes down, for each pitch.
    programs : list of (int, int)
        Tick and program, counted from 0.
    pedals : list of (int, int, bool)
        Tick, controller and whether the pedal goes down.
    """

    channel: int
    keys: dict[int, list[tuple[int, bool]]] = field(default_factory=dict)
    programs: list[tuple[int, int]] = field(default_factory=list)
    pedals: list[tuple[int, int, bool]] = field(default_factory=list)

    @classmethod
    def of_track(cls, messages: Iterable[Any]) -> list[ChannelEvents]:
        """Sort the messages of a track by channel."""
        channels: dict[int, ChannelEvents] = {}
        tick = 0
        for message in messages:
            tick += message.time
            if not message.is_meta and hasattr(message, "channel"):
                channels.setdefault(message.channel, cls(message.channel)).add(tick, message)
        return [channels[number] for number in sorted(channels)]

    def add(self, tick: int, message: Any) -> None:
        """Add a message of this channel."""
        if message.type in ("note_on", "note_off"):
            is_down = message.type == "note_on" and message.velocity > 0
            self.keys.setdefault(message.note, []).append((tick, is_down))
        elif message.type == "program_change":
            self.programs.append((tick, message.program))
        elif message.type == "control_change":
            self._add_control(tick, message.control, message.value)

    def _add_control(self, tick: int, control: int, value: int) -> None:
        if control in _PEDALS:
            self.pedals.append((tick, control, value >= _PEDAL_DOWN))
        elif control == _RESET_CONTROLLERS:
            self.pedals += [(tick, pedal, False) for pedal in _PEDALS]
        elif control in _NOTES_OFF:
            for events in self.keys.values():
                downs = sum(is_down for _, is_down in events)
                events += [(tick, False)] * max(0, 2 * downs - len(events))

    def program_at(self, tick: int) -> int | None:
        """Return the program at a tick; before the first change, the first program; None without any."""
        if not self.programs:
            return None
        number = bisect_right([at for at, _ in self.programs], tick)
        return self.programs[max(0, number - 1)][1]

    def pedal_spans(self) -> list[PedalSpan]:
        """Return the stretches of time in which a pedal is down, in the order of time for each pedal."""
        spans = []
        for control in _PEDALS:
            down: int | None = None
            for tick, pedal, is_down in self.pedals:
                if pedal == control and is_down and down is None:
                    down = tick
                elif pedal == control and not is_down and down is not None:
                    spans.append(PedalSpan(control, down, tick))
                    down = None
            if down is not None:
                spans.append(PedalSpan(control, down, math.inf))
        return spans

    def strokes(self, pedals: Sequence[PedalSpan]) -> Iterator[Stroke]:
        """Yield the notes; pedals lengthen them until the pedal goes up or the pitch sounds again."""
        for pitch, events in self.keys.items():
            onsets = sorted(tick for tick, is_down in events if is_down)
            for onset, end, ends_in_file in paired(events):
                held = max([end, *_held_until(onset, end, pedals)])
                following = bisect_right(onsets, onset)
                limit = onsets[following] if following < len(onsets) else math.inf
                lasting = max(end, min(held, limit))
                yield Stroke(onset, lasting, pitch, ends_in_file, is_held=lasting > end)


def paired(events: Sequence[tuple[int, bool]]) -> list[tuple[int, float, bool]]:
    """Return onset, end and whether the end is in the file, for each note of one pitch.

    The first end belongs to the first onset, so notes of one pitch may overlap. Where ends are missing, each
    onset ends the note before, from the last time on at which no key was down.

    Examples
    --------
    >>> paired([(0, True), (5, True), (6, False), (9, False)])
    [(0, 6, True), (5, 9, True)]
    >>> paired([(0, True), (5, True), (9, False), (10, True)])
    [(0, 5, False), (5, 9, True), (10, inf, False)]
    """
    sounding: list[int] = []
    notes: list[tuple[int, float, bool]] = []
    certain, events_until = 0, 0  # notes and events up to the last time at which no key was down
    for number, (tick, is_down) in enumerate(events, 1):
        if is_down:
            sounding.append(tick)
        elif sounding:
            notes.append((sounding.pop(0), tick, True))
        if not sounding:
            certain, events_until = len(notes), number
    return [*notes[:certain], *_paired_without_overlap(events[events_until:])] if sounding else notes


def _paired_without_overlap(events: Sequence[tuple[int, bool]]) -> list[tuple[int, float, bool]]:
    notes: list[tuple[int, float, bool]] = []
    onset: int | None = None
    for tick, is_down in events:
        if onset is not None:
            notes.append((onset, tick, not is_down))
        onset = tick if is_down else None
    if onset is not None:
        notes.append((onset, math.inf, False))
    return notes


def _held_until(onset: int, end: float, pedals: Sequence[PedalSpan]) -> Iterator[float]:
    """Yield the tick until which each pedal holds a note: it must be down just before the key goes up."""
    for control in _PEDALS:
        spans = [span for span in pedals if span.control == control]
        number = bisect_left([span.down for span in spans], end) - 1
        if number < 0 or end > spans[number].up:
            continue
        if control == SUSTAIN or onset <= spans[number].down:
            yield spans[number].up
