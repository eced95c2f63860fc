"""Rectangles of time and frequency in which a source sounds, or does not sound."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nmfaudio.errors import OptionError
from nmfaudio.separators.regions.text import source_and_rest
from nmfaudio.sound.times import parse_seconds

FORM = "snare=1.20-1.32@150-9000"


@dataclass(frozen=True)
class Region:
    """A rectangle of time and frequency, and what the user knows about a source there.

    Attributes
    ----------
    source : str
        Name of the source.
    start, stop : float
        Times in seconds; `stop` may lie beyond the end of the mixture.
    low, high : float
        Frequencies in Hz; `high` is infinite for all frequencies above `low`.
    sounds : bool
        Whether the source sounds in the rectangle.
    weight : float
        Above 0, at most 1. Where the source sounds, at least this part of the magnitude of each point is its
        own: 1 means that nothing else sounds there. Where it does not sound, this part of each point
        is not its own.
    """

    source: str
    start: float
    stop: float
    low: float = 0.0
    high: float = math.inf
    sounds: bool = True
    weight: float = 1.0

    @classmethod
    def parse(cls, text: str, *, sounds: bool = True) -> Region:
        """Read a region in the form `snare=1.20-1.32@150-9000`.

        The frequencies may be missing. A weight may follow a slash: `snare=1.20-1.32@150-9000/0.5`.

        Raises
        ------
        OptionError
            For a region that cannot be read.

        Examples
        --------
        >>> Region.parse("snare=1.20-1.32@150-9000").high
        9000.0
        """
        kind = "region" if sounds else "not_region"
        source, rest = source_and_rest(kind, text, FORM)
        rectangle, slash, weight = rest.partition("/")
        times, at, frequencies = rectangle.partition("@")
        try:
            start, stop = _limits(times)
            low, high = _limits(frequencies) if at else (0.0, math.inf)
            part = _number(weight) if slash else 1.0
        except ValueError:
            raise OptionError(
                f"{kind} {text!r}: write it in the form {FORM}, with times in seconds or minutes and "
                "seconds, and frequencies in Hz; a weight such as /0.5 may follow",
                option=kind,
            ) from None
        region = cls(source, start, stop, low, high, sounds, part)
        region._check(kind, text)
        return region

    def _check(self, kind: str, text: str) -> None:
        """Raise OptionError for a rectangle without area, and for an impossible weight."""
        if self.stop <= self.start:
            raise OptionError(f"{kind} {text!r}: the region ends before it begins", option=kind)
        if self.high <= self.low:
            raise OptionError(f"{kind} {text!r}: write the lower frequency first", option=kind)
        if not 0 < self.weight <= 1:
            raise OptionError(f"{kind} {text!r}: use a weight above 0 and at most 1", option=kind)

    def span(self, times: NDArray[np.float64], step: float) -> slice:
        """Return the range of the times, `step` seconds apart, that lie in the region.

        A region shorter than the step covers the nearest time.
        """
        return _inside(times, self.start, self.stop, step)

    def band(self, frequencies: NDArray[np.float64]) -> slice:
        """Return the range of the frequencies that lie in the region; a narrow region covers the nearest."""
        return _inside(frequencies, self.low, self.high, float(frequencies[1] - frequencies[0]))

    @property
    def described(self) -> str:
        """Words that name the region in messages."""
        where = "" if math.isinf(self.high) else f", {self.low:g} to {self.high:g} Hz"
        return f"{self.source} at {self.start:g} to {self.stop:g} s{where}"


@dataclass(frozen=True)
class Regions:
    """Regions in the order in which the user gave them. Where two overlap, the later one counts more.

    Attributes
    ----------
    items : tuple of Region
    """

    items: tuple[Region, ...] = ()

    @classmethod
    def parse(cls, region: Iterable[str] = (), not_region: Iterable[str] = ()) -> Regions:
        """Read regions in which sources sound, and regions in which they do not.

        Raises
        ------
        OptionError
            For a region that cannot be read.
        """
        absent = (Region.parse(text, sounds=False) for text in not_region)
        return cls((*(Region.parse(text) for text in region), *absent))

    def __bool__(self) -> bool:
        return bool(self.items)

    @property
    def sources(self) -> tuple[str, ...]:
        """Sources that the regions name, each once."""
        return tuple(dict.fromkeys(region.source for region in self.items))

    def of(self, sources: Iterable[str]) -> Regions:
        """Return the regions of these sources."""
        wanted = set(sources)
        return Regions(tuple(region for region in self.items if region.source in wanted))

    def check(self, sources: Iterable[str]) -> None:
        """Raise OptionError for a region of a source that is not among `sources`."""
        known = tuple(sources)
        for region in self.items:
            if region.source not in known:
                raise OptionError(
                    f"a region names {region.source!r}, but the sources are {', '.join(known)}",
                    option="region" if region.sounds else "not_region",
                )

    def messages(self, duration: float) -> list[str]:
        """Return a message about the regions of each source, in a recording of `duration` seconds."""
        found = []
        for source in self.sources:
            own = [region for region in self.items if region.source == source]
            count = f"{len(own)} region{'' if len(own) == 1 else 's'}"
            outside = [region for region in own if region.start >= duration]
            late = f" ({len(outside)} of them after the end of the recording)" if outside else ""
            found.append(f"{source}: {count} used{late}")
        return found


def _limits(text: str) -> tuple[float, float]:
    first, dash, last = text.partition("-")
    if not dash:
        raise ValueError(f"{text!r} has no end")
    return parse_seconds(first), parse_seconds(last)


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text!r} is not a finite number")
    return value


def _inside(values: NDArray[np.float64], low: float, high: float, step: float) -> slice:
    """Return the range of rising values from `low` to below `high`, or the one within half a step of both."""
    first, last = np.searchsorted(values, (low, high))
    if first == last and high - low <= step:
        middle = (low + high) / 2
        first, last = np.searchsorted(values, (middle - step / 2, middle + step / 2))
    return slice(int(first), int(last))
