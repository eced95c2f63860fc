"""What part of the components is drawn: some of them, some sources, some seconds, some frequencies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nmfaudio.errors import OptionError
from nmfaudio.models.components import Components, Part

MOST_COMPONENTS = 32  # only the components with the most energy are drawn, unless some are named


@dataclass(frozen=True)
class Excerpt:
    """The part of a picture's subject that is drawn; by default everything.

    Attributes
    ----------
    components : tuple of int
        Numbers of the components, from 1.
    sources : tuple of str
        Names of the sources.
    time : tuple of float, optional
        First and last second.
    frequency : tuple of float, optional
        Lowest and highest frequency in Hz.

    Raises
    ------
    OptionError
        For a range whose end is not above its start.

    Examples
    --------
    >>> Excerpt(sources=("bass",), time=(0, 10)).time
    (0, 10)
    """

    components: tuple[int, ...] = ()
    sources: tuple[str, ...] = ()
    time: tuple[float, float] | None = None
    frequency: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        for name, bounds, unit in (("time", self.time, "s"), ("frequency", self.frequency, "Hz")):
            if bounds is not None and not 0 <= bounds[0] < bounds[1]:
                raise OptionError(
                    f"{name} {bounds[0]:g} to {bounds[1]:g} {unit}: the end must be above the start",
                    option=name,
                )

    def parts(self, components: Components) -> list[Part]:
        """Return the components that are drawn, in the order of their numbers.

        Raises
        ------
        InputError
            When a component is named that does not exist.
        OptionError
            When a source is named that does not exist, or nothing is left to draw.
        """
        named = {components.part(number).number for number in self.components}
        sources = self.chosen_sources(components.sources)
        parts = [
            part
            for part in components.parts
            if part.component is not None and part.source in sources and (not named or part.number in named)
        ]
        if not parts:
            raise OptionError(
                f"no components to draw: the stems {', '.join(sources)} were made without templates, or the "
                "named components belong to other sources",
                option="components",
            )
        if named:
            return parts
        strongest = sorted(parts, key=lambda part: -components.shares[part.component or 0])
        kept = {part.number for part in strongest[:MOST_COMPONENTS]}
        return [part for part in parts if part.number in kept]

    def chosen_sources(self, sources: tuple[str, ...]) -> tuple[str, ...]:
        """Return the sources that are drawn.

        Raises
        ------
        OptionError
            When one is named that does not exist.
        """
        for name in self.sources:
            if name not in sources:
                raise OptionError(f"there is no source {name!r}: use {', '.join(sources)}", option="sources")
        return tuple(name for name in sources if not self.sources or name in self.sources)

    def columns(self, times: NDArray[np.float64]) -> slice:
        """Return the range of frames that is drawn.

        Raises
        ------
        OptionError
            When the recording ends before the range begins.
        """
        if self.time is None:
            return slice(0, len(times))
        first, last = np.searchsorted(times, self.time)
        if first >= len(times):
            raise OptionError(
                f"the recording ends at {times[-1]:.2f} s, before {self.time[0]:g} s", option="time"
            )
        return slice(int(first), max(int(last), int(first) + 1))
