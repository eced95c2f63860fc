"""Figures of templates: each template is a column; columns are grouped by source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nmfaudio.dictionaries.dictionary import Dictionary
from nmfaudio.plots.figures import new_figure
from nmfaudio.plots.names import drawable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_RANGE_DB = 70  # range of levels that is drawn, below the peak of each template
_ROWS = 400  # rows of the picture, evenly spaced in the logarithm of frequency
_LOWEST_HZ = 30.0
_TICKS = (50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000)


def plot_dictionary(dictionary: Dictionary, *, title: str = "") -> Figure:
    """Draw the templates of a dictionary, ordered by source, pitch and spectral centroid.

    Parameters
    ----------
    dictionary : Dictionary
    title : str
        Title of the figure.

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
    return draw_templates(
        dictionary.templates, frequencies, dictionary.members, dictionary.pitches, title=title
    )


def draw_templates(
    templates: NDArray[Any],
    frequencies: NDArray[np.float64],
    members: dict[str, NDArray[np.intp]],
    pitches: NDArray[Any],
    *,
    title: str = "",
) -> Figure:
    """Draw templates as columns, ordered by source.

    The templates of a source are ordered by pitch, followed by those without a pitch, ordered by spectral
    centroid.

    Parameters
    ----------
    templates : ndarray, shape (bins, components)
    frequencies : ndarray, shape (bins,)
        Frequencies of the bins in Hz.
    members : dict of str to ndarray of int
        Indices of the components of each source.
    pitches : ndarray, shape (components,)
        Fundamental frequency of each template in Hz, drawn as a dot; 0 for templates without a pitch.
    title : str
        Title of the figure.

    Returns
    -------
    matplotlib.figure.Figure
    """
    order = [_ordered(templates, frequencies, part, pitches) for part in members.values()]
    columns = np.concatenate(order)
    width = float(np.clip(2.5 + 0.11 * len(columns), 6, 24))
    figure = new_figure(width, 5)
    axes: Any = figure.subplots()
    heights, levels = _levels(templates[:, columns], frequencies)
    edges = np.arange(len(columns) + 1)
    mesh = axes.pcolormesh(
        edges, heights, levels, cmap="magma", vmin=-_RANGE_DB, vmax=0, rasterized=True, shading="flat"
    )
    pitched = np.flatnonzero(pitches[columns] > 0)
    axes.plot(pitched + 0.5, pitches[columns][pitched], "o", color="cyan", markersize=2.5, linestyle="none")
    axes.set_yscale("log")
    axes.set_ylim(heights[0], heights[-1])
    ticks = [hz for hz in _TICKS if heights[0] <= hz <= heights[-1]]
    axes.set_yticks(ticks, [f"{hz // 1000}k" if hz >= 1000 else str(hz) for hz in ticks])
    axes.set_yticks([], minor=True)
    _name_sources(axes, members)
    axes.set_ylabel("frequency (Hz)")
    (text,), properties = drawable([title])
    axes.set_title(text, **properties)
    figure.colorbar(mesh, ax=axes, label="level (dB below the template's peak)", pad=0.01)
    return figure


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


def _levels(
    templates: NDArray[Any], frequencies: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the edges of the rows in Hz, and in each row the highest level of each template in dB."""
    lowest = max(_LOWEST_HZ, frequencies[1]) if frequencies[-1] > 4 * _LOWEST_HZ else frequencies[1]
    edges = np.geomspace(lowest, frequencies[-1], _ROWS + 1)
    first = np.minimum(np.searchsorted(frequencies, edges[:-1]), len(frequencies) - 1)
    # At low frequencies, rows are narrower than bins, and one bin fills several rows.
    first = np.where(frequencies[first] >= edges[1:], np.maximum(first - 1, 0), first)
    last = np.maximum(np.searchsorted(frequencies, edges[1:]), first + 1)
    rows = np.stack([templates[a:b].max(axis=0) for a, b in zip(first, last, strict=True)])
    peaks = np.maximum(templates.max(axis=0), np.finfo(np.float32).tiny)
    return edges, 20 * np.log10(np.maximum(rows / peaks, 10 ** (-_RANGE_DB / 20)))


def _name_sources(axes: Any, members: dict[str, NDArray[np.intp]]) -> None:
    ends = np.cumsum([len(part) for part in members.values()])
    for end in ends[:-1]:
        axes.axvline(end, color="white", linewidth=1)
    middles = ends - np.diff(ends, prepend=0) / 2
    names, properties = drawable(tuple(members))
    labels = [f"{name} ({len(part)})" for name, part in zip(names, members.values(), strict=True)]
    axes.set_xticks(middles, labels, **properties)
    axes.tick_params(axis="x", length=0)
