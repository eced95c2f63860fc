"""Axes of time and frequency, the same in all pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nmfaudio.plots.figures import new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

LOWEST_HZ = 30.0
RANGE_DB = 80  # range of levels that is drawn, below the loudest
_TICKS = (20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000)
_FEW_TICKS = (50, 200, 1000, 5000, 20000)


def frequency_range(
    frequencies: NDArray[Any], wanted: tuple[float, float] | None = None
) -> tuple[float, float]:
    """Return the lowest and the highest frequency to draw: those wanted, else all that can be heard."""
    highest = float(frequencies[-1])
    lowest = float(frequencies[1]) if len(frequencies) > 1 else 1.0
    if wanted is not None:
        low, high = max(wanted[0], lowest / 2), min(wanted[1], highest)
        if low < high:
            return low, high
    return (max(LOWEST_HZ, lowest), highest) if highest > 4 * LOWEST_HZ else (lowest, highest)


def frequency_axis(
    axes: Axes, which: str, limits: tuple[float, float], *, label: bool = True, small: bool = False
) -> None:
    """Make the axis `which`, x or y, a logarithmic axis of frequencies with ticks in Hz and kHz.

    A small axis has few ticks.
    """
    axis: Any = axes.xaxis if which == "x" else axes.yaxis
    (axes.set_xscale if which == "x" else axes.set_yscale)("log")
    (axes.set_xlim if which == "x" else axes.set_ylim)(*limits)
    ticks: list[float] = [hz for hz in (_FEW_TICKS if small else _TICKS) if limits[0] <= hz <= limits[1]]
    if len(ticks) < 2:
        ticks = [float(f"{hz:.2g}") for hz in np.geomspace(*limits, 4)[1:-1]]
    axis.set_ticks(ticks, [f"{hz / 1000:g}k" if hz >= 1000 else f"{hz:g}" for hz in ticks])
    axis.set_ticks([], minor=True)
    if label:
        axis.set_label_text("frequency (Hz)")


def time_limits(times: NDArray[Any]) -> tuple[float, float]:
    """Return the limits of the time axis; a single time gets half a second on either side."""
    first, last = float(times[0]), float(times[-1])
    return (first, last) if last > first else (first - 0.5, last + 0.5)


def decibels(amplitudes: NDArray[Any], peak: float) -> NDArray[np.float64]:
    """Return levels in dB below the peak, at least `-RANGE_DB`."""
    relative = np.asarray(amplitudes, np.float64) / (peak or 1.0)
    return np.asarray(20 * np.log10(np.maximum(relative, 10 ** (-RANGE_DB / 20))))


def draw_levels(
    axes: Axes, times: NDArray[Any], frequencies: NDArray[Any], levels: NDArray[Any], **options: Any
) -> Any:
    """Draw levels in dB, shape (bins, columns), over time and frequency; return the image."""
    drawn: dict[str, Any] = {"cmap": "magma", "vmin": -RANGE_DB, "vmax": 0} | options
    mesh = axes.pcolormesh(
        times, np.maximum(frequencies, 1e-3), levels, shading="nearest", rasterized=True, **drawn
    )
    axes.set_xlim(*time_limits(times))
    return mesh


def figure_of(figure: Figure | SubFigure | None, width: float, height: float) -> Any:
    """Return the figure that the caller gave, or a new one of that size in inches."""
    return new_figure(width, height) if figure is None else figure


def axes_of(axes: Axes | None, width: float, height: float) -> Any:
    """Return the axes that the caller gave, or those of a new figure of that size in inches."""
    return new_figure(width, height).subplots() if axes is None else axes
