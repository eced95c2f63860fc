"""Templates and activations as matrices: a dictionary view and a score view."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nmfaudio.models.components import Components, Part
from nmfaudio.plots.axes import RANGE_DB, axes_of, decibels, frequency_axis, frequency_range, time_limits
from nmfaudio.plots.colours import source_colours
from nmfaudio.plots.excerpt import Excerpt
from nmfaudio.plots.names import drawable
from nmfaudio.plots.overview import COLUMNS
from nmfaudio.plots.templates import levels_over_rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ALL = Excerpt()
_STRIP = 0.03  # height of the strip with the colours of the sources, relative to the axes


def plot_templates(components: Components, *, excerpt: Excerpt = _ALL, ax: Axes | None = None) -> Axes:
    """Draw the templates of components side by side, with frequencies upwards.

    A template that lasts several frames is drawn with a column for each frame; one with two channels has the
    left channel beside the right one.

    Parameters
    ----------
    components : Components
    excerpt : Excerpt
        Components and frequencies to draw.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; by default those of a new figure.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> from nmfaudio import Audio, separate
    >>> sound = np.random.default_rng(0).standard_normal(8000) / 8
    >>> axes = plot_templates(separate(Audio(sound, 8000), sources=2, components=4).components)
    >>> axes.get_ylabel()
    'frequency (Hz)'
    """
    parts = excerpt.parts(components)
    ax = axes_of(ax, min(16, 3 + 0.35 * len(parts)), 5)
    columns = [_columns(components, part) for part in parts]
    widths = np.array([part.shape[1] for part in columns])
    edges = np.concatenate([[0], np.cumsum(1 / np.repeat(widths, widths))])
    limits = frequency_range(components.frequencies, excerpt.frequency)
    heights, levels = levels_over_rows(np.hstack(columns), components.frequencies, limits)
    mesh = ax.pcolormesh(
        edges, heights, levels, cmap="magma", vmin=-RANGE_DB, vmax=0, rasterized=True, shading="flat"
    )
    frequency_axis(ax, "y", limits)
    for edge in range(1, len(parts)):
        ax.axvline(edge, color="white", linewidth=0.4)
    ax.set_xticks(np.arange(len(parts)) + 0.5, [str(part.number) for part in parts], fontsize=8)
    ax.tick_params(axis="x", length=0, pad=10)
    ax.set_xlabel(_kind(components))
    _source_strip(ax, components, parts, "x")
    ax.figure.colorbar(mesh, ax=ax, label="level (dB below the peak of each component)", pad=0.01)
    return ax


def plot_activations(components: Components, *, excerpt: Excerpt = _ALL, ax: Axes | None = None) -> Axes:
    """Draw the activations of components as a matrix: a row for each component, time to the right.

    Parameters
    ----------
    components : Components
    excerpt : Excerpt
        Components and seconds to draw.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; by default those of a new figure.

    Returns
    -------
    matplotlib.axes.Axes
    """
    parts = excerpt.parts(components)
    ax = axes_of(ax, 10, 1.6 + 0.22 * len(parts))
    times, rows = activation_rows(components, parts, excerpt)
    edges = np.arange(len(parts) + 1)
    mesh = ax.pcolormesh(
        _edges(times),
        edges,
        decibels(rows, float(rows.max(initial=0.0))),
        cmap="magma",
        vmin=-60,
        vmax=0,
        rasterized=True,
        shading="flat",
    )
    ax.set_xlim(*time_limits(times))
    ax.set_ylim(len(parts), 0)
    ax.set_yticks(edges[:-1] + 0.5, [str(part.number) for part in parts], fontsize=8)
    ax.tick_params(axis="y", length=0, pad=10)
    ax.set(xlabel="time (s)", ylabel="component")
    _source_strip(ax, components, parts, "y")
    ax.figure.colorbar(mesh, ax=ax, label="level (dB below the loudest)", pad=0.01)
    return ax


def activation_rows(
    components: Components, parts: Sequence[Part], excerpt: Excerpt
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return times, and the amplitude of each component over time with at most `COLUMNS` columns.

    The amplitude is the activation times the sum of the template, to the power that makes it a magnitude, so
    that components can be compared.
    """
    frames = excerpt.columns(components.times)
    times = components.times[frames]
    starts = np.arange(0, len(times), -(-len(times) // COLUMNS))
    rows = np.empty((len(parts), len(starts)))
    for row, part in zip(rows, parts, strict=True):
        k = part.component
        level = components.templates[k].sum(axis=(1, 2), dtype=np.float64)[:, None]
        amplitude = (level * components.activations[k][:, frames]).sum(axis=0)
        row[:] = np.maximum.reduceat(amplitude, starts) ** (1 / components.magnitude_power)
    return times[starts], rows


def _columns(components: Components, part: Part) -> NDArray[np.float64]:
    """Return the template of a component as columns: its frames, one channel after the other."""
    template = components.templates[part.component].astype(np.float64)
    columns = np.concatenate(list(template), axis=1) ** (1 / components.magnitude_power)
    return np.asarray(columns / (columns.max() or 1.0))


def _kind(components: Components) -> str:
    """Return the label of the axis of components, which says what the columns of a component are."""
    channels, lags = components.templates.shape[1], components.templates.shape[3]
    if lags > 1:
        hop = components.stft.hop_length / components.sample_rate
        seconds = f"{lags} frames each, {1000 * lags * hop:.0f} ms"
        return f"component ({seconds}{', left and right channel' if channels == 2 else ''})"
    return "component (left channel, right channel)" if channels == 2 else "component"


def _source_strip(ax: Axes, components: Components, parts: Sequence[Part], which: str) -> None:
    """Draw the colours of the sources along an axis, and name them in a legend above the axes."""
    from matplotlib.patches import Rectangle

    colours = source_colours(components.sources)
    transform = ax.get_xaxis_transform() if which == "x" else ax.get_yaxis_transform()
    for position, part in enumerate(parts):
        corner, size = (
            ((position, -_STRIP), (1, _STRIP)) if which == "x" else ((-0.012, position), (0.012, 1))
        )
        patch = Rectangle(
            corner, *size, transform=transform, color=colours[part.source], clip_on=False, linewidth=0
        )
        ax.add_patch(patch)
    name_sources(ax, components, [part.source for part in parts])


def name_sources(ax: Axes, components: Components, drawn: Sequence[str]) -> None:
    """Name the sources that are drawn, with their colours, in a legend above the axes."""
    from matplotlib.patches import Patch

    colours, names = source_colours(components.sources), list(dict.fromkeys(drawn))
    texts, properties = drawable(names)
    patches = [Patch(color=colours[name], label=text) for name, text in zip(names, texts, strict=True)]
    legend = ax.legend(
        handles=patches,
        loc="lower left",
        bbox_to_anchor=(0, 1.0),
        ncols=min(6, len(patches)),
        fontsize=8,
        frameon=False,
        borderaxespad=0.2,
    )
    set_texts(legend.get_texts(), properties)


def set_texts(texts: Sequence[Any], properties: dict[str, Any]) -> None:
    """Give texts the properties that `drawable` returned."""
    for text in texts:
        text.update(properties)


def _edges(times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the borders of columns whose middles are given."""
    if len(times) == 1:
        return np.array([times[0] - 0.5, times[0] + 0.5])
    middles = (times[1:] + times[:-1]) / 2
    return np.concatenate([[2 * times[0] - middles[0]], middles, [2 * times[-1] - middles[-1]]])
