"""Figures of the components of a separation."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nmfaudio.errors import SeparatorError
from nmfaudio.models.components import Components
from nmfaudio.models.contract import Separator
from nmfaudio.pipeline.fitting import Fitted, Report, fit
from nmfaudio.pipeline.registry import make
from nmfaudio.plots.figures import check_picture, new_figure, save_picture
from nmfaudio.plots.names import drawable
from nmfaudio.sound.audio import Audio
from nmfaudio.sound.files import AudioFile, read
from nmfaudio.sound.passage import passage_in_seconds

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RANGE_DB = 80  # range of levels that is drawn, below the loudest bin
_COLUMNS = 1200  # greatest number of columns; each shows the loudest of its frames
_LOWEST_HZ = 30.0
_MOST_COMPONENTS = 32  # only the components with the most energy are drawn


def plot_components(
    mixture: Audio | str | os.PathLike[str],
    separator: str | Separator = "blind",
    *,
    report: Report | None = None,
    **options: Any,
) -> Figure:
    """Draw a mixture's spectrogram and, for each component, its template and its activation.

    Components are ordered by source and energy; each source has a colour.

    Parameters
    ----------
    mixture : Audio or path-like
        The mixture, or its file.
    separator : str or Separator
        Separator that finds components, such as `"blind"`.
    report : callable, optional
        Function that takes a `Progress`; it may raise an exception to stop the work.
    **options
        Options of the separator, when `separator` is a name.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    SeparatorError
        When the separator has no components.

    Examples
    --------
    >>> noise = np.random.default_rng(0).standard_normal((1, 8000)) / 8
    >>> figure = plot_components(Audio(noise, 8000), sources=2)
    >>> figure.axes[0].get_xlabel()
    'time (s)'
    """
    audio = mixture if isinstance(mixture, Audio) else read(mixture)
    chosen = make(separator, **options) if isinstance(separator, str) else separator
    return _draw(fit(audio, chosen, report=report))


def draw_file(
    path: str | os.PathLike[str],
    picture: str | os.PathLike[str],
    separator: Separator,
    *,
    start: float | None = None,
    end: float | None = None,
    report: Report | None = None,
) -> None:
    """Draw the components of an audio file to a picture. The ending of the picture's name decides its kind.

    `start` and `end` are times in seconds of the passage that is drawn; by default the whole file is drawn.

    Raises
    ------
    AudioFileError
        When the audio file cannot be read.
    SeparatorError
        When the separator has no components.
    OutputError
        When the picture cannot be written.
    """
    check_picture(picture)
    with AudioFile(path) as source:
        figure = _draw(fit(passage_in_seconds(source, start, end), separator, report=report))
    save_picture(figure, picture)


def _draw(fitted: Fitted) -> Figure:
    components = fitted.find_components()
    if not len(components):
        raise SeparatorError(
            f"the stems {', '.join(components.sources)} were made without templates, so there are no "
            "components to draw: use another separator, such as blind"
        )
    order = _drawing_order(components)
    height = 3.4 + 0.75 * len(order)
    figure = new_figure(11, height)
    panels: Any = figure.subfigures(2, 1, height_ratios=[3.0, height - 3.0])
    top, bottom = panels
    _draw_mixture(top, fitted)
    _draw_components(bottom, fitted, components, order)
    return figure


def _drawing_order(components: Components) -> list[int]:
    """Return the components to draw, ordered by source and then by decreasing energy."""
    strongest = np.argsort(-components.shares)[:_MOST_COMPONENTS]
    return [int(k) for k in sorted(strongest, key=lambda k: (components.labels[k], -components.shares[k]))]


def _draw_mixture(panel: Any, fitted: Fitted) -> None:
    mixture = fitted.mixture
    axes = panel.subplots()
    levels, times = _overview(fitted)
    frequencies = mixture.stft.frequencies(mixture.sample_rate)
    mesh = axes.pcolormesh(
        times, frequencies, levels, shading="nearest", cmap="magma", vmin=-RANGE_DB, vmax=0, rasterized=True
    )
    _frequency_axis(axes.yaxis, axes.set_yscale, axes.set_ylim, frequencies)
    axes.set(xlabel="time (s)", ylabel="frequency (Hz)")
    (name,), properties = drawable([mixture.source.name])
    axes.set_title(f"mixture: {name}", **properties)
    panel.colorbar(mesh, ax=axes, label="level (dB below peak)", pad=0.01)


def _overview(fitted: Fitted) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return levels in dB below the peak, shape (bins, columns), and times; all channels are added up."""
    mixture = fitted.mixture
    step = -(-mixture.frames // _COLUMNS)
    power, times = [], []
    for block in mixture:
        power_of_block = (block.magnitude**2).sum(axis=0)
        starts = np.arange(0, block.frames, step)
        power.append(np.maximum.reduceat(power_of_block, starts, axis=1))
        times.append(block.times[starts])
    joined = np.concatenate(power, axis=1)
    loudest = joined.max() or 1.0
    levels = 10 * np.log10(np.maximum(joined / loudest, 10 ** (-RANGE_DB / 10)))
    return levels, np.concatenate(times)


def _draw_components(panel: Any, fitted: Fitted, components: Components, order: list[int]) -> None:
    grid = panel.subplots(len(order), 2, sharex="col", squeeze=False, width_ratios=[1, 2])
    frequencies = fitted.mixture.stft.frequencies(fitted.mixture.sample_rate)
    activations = components.activations.sum(axis=1)
    step = -(-activations.shape[1] // _COLUMNS)
    times = components.times[::step]
    names, properties = drawable(fitted.sources)
    loudest = float(activations[order].max(initial=0.0)) or 1.0
    for row, k in enumerate(order):
        color = f"C{components.labels[k] % 10}"
        _draw_template(grid[row, 0], frequencies, components.templates[k].mean(axis=(0, 2)), color)
        peaks = np.maximum.reduceat(activations[k], np.arange(0, len(activations[k]), step)) / loudest
        _draw_activation(grid[row, 1], times, peaks, color)
        grid[row, 0].set_ylabel(f"{k + 1}", rotation=0, ha="right", va="center", color=color, weight="bold")
        label = f"{names[components.labels[k]]}, {100 * components.shares[k]:.1f} % of the energy"
        position = {"transform": grid[row, 1].transAxes, "ha": "right", "va": "top"}
        grid[row, 1].text(0.995, 0.95, label, color=color, **position, **properties)
    _label_rows(grid, frequencies)


def _draw_template(axes: Axes, frequencies: NDArray[Any], template: NDArray[Any], color: str) -> None:
    levels = 20 * np.log10(np.maximum(template / (template.max() or 1), 10 ** (-RANGE_DB / 20)))
    axes.fill_between(frequencies, levels, -RANGE_DB, color=color, alpha=0.35, linewidth=0)
    axes.plot(frequencies, levels, color=color, linewidth=0.7)
    axes.set(ylim=(-RANGE_DB, 3), yticks=(-60, -30, 0))
    axes.tick_params(axis="y", labelsize=6)
    axes.grid(alpha=0.25)


def _draw_activation(axes: Axes, times: NDArray[Any], peaks: NDArray[Any], color: str) -> None:
    axes.fill_between(times, peaks, color=color, alpha=0.35, linewidth=0)
    axes.plot(times, peaks, color=color, linewidth=0.7)
    axes.set(xlim=_limits(times), ylim=(0, 1.4), yticks=(0, 0.5, 1))  # the label is drawn above 1
    axes.tick_params(axis="y", labelsize=6)
    axes.grid(alpha=0.25)


def _label_rows(grid: NDArray[Any], frequencies: NDArray[Any]) -> None:
    first, last = grid[0], grid[-1]
    first[0].set_title("template of each component (dB below its peak)", fontsize=10)
    first[1].set_title("activation (relative to the strongest)", fontsize=10)
    last[0].set_xlabel("frequency (Hz)")
    last[1].set_xlabel("time (s)")
    _frequency_axis(last[0].xaxis, last[0].set_xscale, last[0].set_xlim, frequencies)


def _frequency_axis(axis: Any, set_scale: Any, set_limits: Any, frequencies: NDArray[Any]) -> None:
    """Make an axis logarithmic, from the lowest audible bin to the highest bin, with ticks in Hz and kHz."""
    highest = float(frequencies[-1])
    lowest = max(_LOWEST_HZ, float(frequencies[1])) if highest > 4 * _LOWEST_HZ else float(frequencies[1])
    set_scale("log")
    set_limits(lowest, highest)
    ticks = [hz for hz in (50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000) if lowest <= hz <= highest]
    axis.set_ticks(ticks, [f"{hz // 1000}k" if hz >= 1000 else str(hz) for hz in ticks])
    axis.set_ticks([], minor=True)


def _limits(times: NDArray[Any]) -> tuple[float, float]:
    """Return the limits of the time axis; a single time gets half a second on either side."""
    first, last = float(times[0]), float(times[-1])
    return (first, last) if last > first else (first - 0.5, last + 0.5)
