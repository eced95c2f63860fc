"""Figure of scores: a bar for each reference and kind of estimate, and the course of SDR over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from nmfaudio.plots.figures import new_figure
from nmfaudio.plots.names import drawable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = ("#0072B2", "0.75", "#009E73")  # blue, grey and green: told apart by the colour-blind too
_SOURCE_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")


def plot_scores(
    si_sdr: Mapping[str, Mapping[str, float]],
    sdr: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    *,
    title: str = "",
) -> Figure:
    """Draw SI-SDR as bars, and the SDR of frames over time.

    Parameters
    ----------
    si_sdr : mapping of str to mapping of str to float
        SI-SDR in dB by kind of estimate and by reference.
    sdr : mapping of str to (times, values)
        Starts of the frames in seconds and their SDR in dB, by reference.
    title : str
        Title of the figure.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> figure = plot_scores({"stems": {"bass": 9.0}}, {"bass": ([0.0, 1.0], [8.0, 9.5])})
    >>> figure.axes[0].get_ylabel()
    'SI-SDR (dB)'
    """
    figure = new_figure(10, 4.2)
    left, right = figure.subplots(1, 2, width_ratios=[1.2, 1])
    _draw_bars(left, si_sdr)
    _draw_course(right, sdr)
    (text,), properties = drawable([title])
    if text:
        figure.suptitle(text, **properties)
    return figure


def _draw_bars(axes: Axes, scores: Mapping[str, Mapping[str, float]]) -> None:
    names = list(next(iter(scores.values())))
    texts, properties = drawable(names)
    places, width = np.arange(len(names)), 0.8 / len(scores)
    for number, (kind, values) in enumerate(scores.items()):
        offset = (number - (len(scores) - 1) / 2) * width
        colour = _COLOURS[number % len(_COLOURS)]
        axes.bar(places + offset, [values[name] for name in names], width, label=kind, color=colour)
    turned = sum(map(len, texts)) > 40
    axes.set_xticks(
        places, texts, rotation=30 if turned else 0, ha="right" if turned else "center", **properties
    )
    axes.axhline(0, color="0.3", linewidth=0.8)
    axes.set(ylabel="SI-SDR (dB)", title="whole recording")
    axes.grid(axis="y", alpha=0.25)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12 if not turned else -0.3), ncols=3, fontsize=8)


def _draw_course(axes: Axes, sdr: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> None:
    texts, properties = drawable(list(sdr))
    for number, (text, (times, values)) in enumerate(zip(texts, sdr.values(), strict=True)):
        colour = _SOURCE_COLOURS[number % len(_SOURCE_COLOURS)]
        axes.plot(times, values, marker="o", markersize=3, label=text, color=colour)
    axes.set(xlabel="start of the frame (s)", ylabel="SDR (dB)", title="stems, frames of one second")
    axes.grid(alpha=0.25)
    legend = axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=4, fontsize=8)
    for label in legend.get_texts():
        label.set(**properties)
