"""Figures of templates: each template is a column; columns are grouped by source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nmfaudio.dictionaries.dictionary import Dictionary
from nmfaudio.plots.axes import RANGE_DB, axes_of, decibels, frequency_axis, frequency_range
from nmfaudio.plots.colours import source_colours
from nmfaudio.plots.names import drawable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ABOVE_LEGEND = 22  # points between the axes and the title, where the legend of the dots stands
_ROWS = 400  # rows of the picture, evenly spaced in the logarithm of frequency


def plot_dictionary(dictionary: Dictionary, *, title: str = "", ax: Axes | None = None) -> Figure:
    """Draw the templates of a dictionary, ordered by source, pitch and spectral centroid.

    Parameters
    ----------
    dictionary : Dictionary
    title : str
        Title of the figure.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; by default those of a new figure.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from nmfaudio import STFT, Dictionary
    >>> kick = Dictionary(np.eye(9, 2), ("kick", "kick"), 8000, STFT(16))
    >>> plot_dictionary(kick).axes[0].get_ylabel()
    'frequency (Hz)'
    """
    frequencies = dictionary.stft.frequencies(dictionary.sample_rate)
    parts = dictionary.members
    columns = np.concatenate(
        [_ordered(dictionary.templates, frequencies, part, dictionary.pitches) for part in parts.values()]
    )
    axes: Any = axes_of(ax, float(np.clip(2.5 + 0.11 * len(columns), 7, 24)), 5)
    templates = np.asarray(dictionary.templates[:, columns], np.float64)
    limits = frequency_range(frequencies)
    heights, levels = levels_over_rows(templates / templates.max(axis=0), frequencies, limits)
    edges = np.arange(len(columns) + 1)
    mesh = axes.pcolormesh(
        edges, heights, levels, cmap="magma", vmin=-RANGE_DB, vmax=0, rasterized=True, shading="flat"
    )
    frequency_axis(axes, "y", limits)
    _draw_pitches(axes, dictionary.pitches[columns])
    _name_sources(axes, parts)
    (text,), properties = drawable([title])
    axes.set_title(text, pad=_ABOVE_LEGEND, **properties)
    figure: Figure = axes.figure
    figure.colorbar(mesh, ax=axes, label="level (dB below the template's peak)", pad=0.01)
    return figure


def _draw_pitches(ax: Any, pitches: NDArray[Any]) -> None:
    """Mark the fundamental frequency of each template that has one, and say what the dots are."""
    pitched = np.flatnonzero(pitches > 0)
    if len(pitched):
        dots: dict[str, Any] = {
            "color": "cyan",
            "markersize": 3,
            "linestyle": "none",
            "markeredgecolor": "black",
        }
        label = "fundamental frequency of a template with a pitch"
        ax.plot(pitched + 0.5, pitches[pitched], "o", markeredgewidth=0.4, label=label, **dots)
        ax.legend(loc="lower right", bbox_to_anchor=(1, 1), fontsize=8, frameon=False, borderaxespad=0.2)


def _ordered(
    templates: NDArray[Any],
    frequencies: NDArray[np.float64],
    part: NDArray[np.intp],
    pitches: NDArray[Any],
) -> NDArray[np.intp]:
    """Return the components of a source by pitch, then those without a pitch by spectral centroid."""
    power = np.asarray(templates[:, part], np.float64) ** 2
    centroid = frequencies @ power / np.maximum(power.sum(axis=0), np.finfo(float).tiny)
    pitch = pitches[part]
    return part[np.lexsort((np.where(pitch > 0, pitch, centroid), pitch <= 0))]


def levels_over_rows(
    columns: NDArray[Any], frequencies: NDArray[np.float64], limits: tuple[float, float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return rows that are evenly spaced in the logarithm of frequency, and the levels in them.

    Parameters
    ----------
    columns : ndarray, shape (bins, columns)
        Spectra; the level 0 dB is 1.
    frequencies : ndarray, shape (bins,)
        Frequencies of the bins in Hz.
    limits : tuple of float
        Lowest and highest frequency in Hz.

    Returns
    -------
    edges : ndarray, shape (rows + 1,)
        Borders of the rows in Hz.
    levels : ndarray, shape (rows, columns)
        Highest level in each row in dB, at least `-RANGE_DB`.
    """
    edges = np.geomspace(*limits, _ROWS + 1)
    first = np.minimum(np.searchsorted(frequencies, edges[:-1]), len(frequencies) - 1)
    # At low frequencies, rows are narrower than bins, and one bin fills several rows.
    first = np.where(frequencies[first] >= edges[1:], np.maximum(first - 1, 0), first)
    last = np.maximum(np.searchsorted(frequencies, edges[1:]), first + 1)
    rows = np.stack([columns[a:b].max(axis=0) for a, b in zip(first, last, strict=True)])
    return edges, decibels(rows, 1.0)


def _name_sources(ax: Any, members: dict[str, NDArray[np.intp]]) -> None:
    """Name the sources below their templates; a source with few templates has its name in a line lower."""
    from matplotlib.patches import Rectangle

    ends = np.cumsum([len(part) for part in members.values()])
    colours = source_colours(tuple(members))
    for name, end, part in zip(members, ends, members.values(), strict=True):
        ax.axvline(end, color="white", linewidth=1)
        corner = (end - len(part), -0.02)
        strip: dict[str, Any] = {"transform": ax.get_xaxis_transform(), "clip_on": False, "linewidth": 0}
        ax.add_patch(Rectangle(corner, len(part), 0.02, color=colours[name], **strip))
    middles = ends - np.diff(ends, prepend=0) / 2
    names, properties = drawable(tuple(members))
    labels = [f"{name} ({len(part)})" for name, part in zip(names, members.values(), strict=True)]
    fits = max(map(len, labels)) * len(labels) < 1.4 * ax.figure.get_figwidth() * 10 / 1.1
    rotation: dict[str, Any] = {} if fits else {"rotation": 30, "ha": "right", "rotation_mode": "anchor"}
    ax.set_xticks(middles, labels, **rotation, **properties)
    ax.tick_params(axis="x", length=0, pad=10)
