"""A picture of templates: each a column, side by side by source, from low to high."""

from __future__ import annotations

import base64
import html
import io
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nmfaudio.dictionaries.dictionary import Dictionary

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_RANGE_DB = 70
_ROWS = 400  # of the picture, evenly spaced in the logarithm of frequency
_LOWEST_HZ = 30.0
_TICKS = (50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000)


def plot_dictionary(dictionary: Dictionary, *, title: str = "") -> Figure:
    """Draw the templates of a dictionary by source, pitch and brightness.

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
    """Draw templates as columns: those of a source by pitch, then those without a pitch by brightness.

    Parameters
    ----------
    templates : ndarray, shape (bins, components)
    frequencies : ndarray, shape (bins,)
        In Hz.
    members : dict of str to ndarray of int
        The components of each source.
    pitches : ndarray, shape (components,)
        In Hz, marked by a dot; 0 where there is none.
    title : str

    Returns
    -------
    matplotlib.figure.Figure
    """
    from matplotlib.figure import Figure

    order = [_by_height(templates, frequencies, part, pitches) for part in members.values()]
    columns = np.concatenate(order)
    width = float(np.clip(2.5 + 0.11 * len(columns), 6, 24))
    figure = Figure(figsize=(width, 5), layout="constrained")
    axes: Any = figure.subplots()
    heights, levels = _levels(templates[:, columns], frequencies)
    edges = np.arange(len(columns) + 1)
    mesh = axes.pcolormesh(
        edges, heights, levels, cmap="magma", vmin=-_RANGE_DB, vmax=0, rasterized=True, shading="flat"
    )
    found = np.flatnonzero(pitches[columns] > 0)
    axes.plot(found + 0.5, pitches[columns][found], "o", color="cyan", markersize=2.5, linestyle="none")
    axes.set_yscale("log")
    axes.set_ylim(heights[0], heights[-1])
    ticks = [hz for hz in _TICKS if heights[0] <= hz <= heights[-1]]
    axes.set_yticks(ticks, [f"{hz // 1000}k" if hz >= 1000 else str(hz) for hz in ticks])
    axes.set_yticks([], minor=True)
    _name_sources(axes, members)
    axes.set(ylabel="frequency (Hz)", title=title)
    figure.colorbar(mesh, ax=axes, label="level (dB below the template's peak)", pad=0.01)
    return figure


def _by_height(
    templates: NDArray[Any],
    frequencies: NDArray[np.float64],
    part: NDArray[np.intp],
    pitches: NDArray[Any],
) -> NDArray[np.intp]:
    power = np.asarray(templates[:, part], np.float64) ** 2
    brightness = frequencies @ power / np.maximum(power.sum(axis=0), np.finfo(float).tiny)
    pitch = pitches[part]
    return part[np.lexsort((np.where(pitch > 0, pitch, brightness), pitch <= 0))]


def _levels(
    templates: NDArray[Any], frequencies: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return edges of rows in Hz, and the highest level of templates in each, in dB below their peaks."""
    lowest = max(_LOWEST_HZ, frequencies[1]) if frequencies[-1] > 4 * _LOWEST_HZ else frequencies[1]
    edges = np.geomspace(lowest, frequencies[-1], _ROWS + 1)
    first = np.minimum(np.searchsorted(frequencies, edges[:-1]), len(frequencies) - 1)
    # Where rows are narrower than bins, a bin fills several.
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
    axes.set_xticks(middles, [f"{name} ({len(part)})" for name, part in members.items()])
    axes.tick_params(axis="x", length=0)


def as_html(caption: str, figure: Figure) -> str:
    """Return a caption and a figure as HTML, the picture inside it."""
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=70)
    picture = base64.b64encode(content.getvalue()).decode("ascii")
    return f'<p>{html.escape(caption)}</p><img src="data:image/png;base64,{picture}">'
