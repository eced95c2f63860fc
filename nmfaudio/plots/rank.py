"""Figure of the evidence for a number of components."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import numpy as np

from nmfaudio.nmf import Recommendation, Relevance
from nmfaudio.nmf.rank import STEADY
from nmfaudio.nmf.relevance import KEPT
from nmfaudio.plots.figures import new_figure
from nmfaudio.plots.names import drawable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_KEPT, _PRUNED, _CHOSEN = "C0", "0.75", "C3"
_REASON_WIDTH = 150  # characters in a line


def plot_rank(recommendation: Recommendation, *, name: str = "") -> Figure:
    """Draw the relevance of each component, and stability and divergence over the number of components.

    Parameters
    ----------
    recommendation : Recommendation
        Recommendation with its evidence, from `count_components` or `nmf.recommend`.
    name : str
        Name of the recording, for the title.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from nmfaudio.nmf import recommend, relevant_rank, stability
    >>> V = np.random.default_rng(0).random((30, 2)) ** 8 @ np.random.default_rng(1).random((2, 50)) ** 8
    >>> figure = plot_rank(recommend(relevant_rank(V, 4), stability(V, [1, 2, 3])))
    >>> figure.axes[0].get_xlabel()
    'component, most relevant first'
    """
    figure = new_figure(11, 5.6)
    grid = figure.add_gridspec(2, 2, width_ratios=[1, 1.25])
    _draw_relevance(figure.add_subplot(grid[:, 0]), recommendation.relevance)
    above = figure.add_subplot(grid[0, 1])
    _draw_stability(above, recommendation)
    _draw_divergence(figure.add_subplot(grid[1, 1], sharex=above), recommendation)
    above.tick_params(labelbottom=False)
    _draw_title(figure, recommendation, name)
    return figure


def _draw_title(figure: Figure, recommendation: Recommendation, name: str) -> None:
    """Draw the recommended number, and below it the reason for it."""
    (text,), properties = drawable([name])
    plural = "" if recommendation.rank == 1 else "s"
    title = f"{text}: " * bool(name) + f"{recommendation.rank} component{plural}"
    reason = textwrap.fill(recommendation.reason, _REASON_WIDTH)
    space = "\n" * (1 + reason.count("\n"))
    figure.suptitle(title + space, fontsize=13, **properties)
    figure.text(0.5, 0.952, reason, ha="center", va="top", fontsize=9, color="0.3")


def _draw_relevance(axes: Axes, relevance: Relevance) -> None:
    numbers = np.arange(1, relevance.most + 1)
    kept = numbers <= relevance.rank
    top = 1.6 * float(relevance.weights.max())
    bottom = 0.7
    for group, color, label in ((kept, _KEPT, "kept"), (~kept, _PRUNED, "pruned")):
        if group.any():
            heights = relevance.weights[group] - bottom
            axes.bar(numbers[group], heights, bottom=bottom, color=color, label=f"{label}: {group.sum()}")
    axes.axhline(KEPT, color="0.3", linestyle="--", linewidth=0.8, label=f"kept above {KEPT:g}")
    axes.set_yscale("log")
    axes.set(ylim=(bottom, max(top, 10)), xlim=(0.3, relevance.most + 0.7))
    axes.set(xlabel="component, most relevant first", ylabel="relevance (lower bound of its scale = 1)")
    _whole_numbers(axes)
    axes.set_title(f"relevance of {relevance.most} components", fontsize=10)
    axes.legend(fontsize=8)


def _draw_stability(axes: Axes, recommendation: Recommendation) -> None:
    stability = recommendation.stability
    for rank, each in zip(stability.ranks, stability.components, strict=True):
        axes.plot(np.full(len(each), rank), each, ".", color=_PRUNED, markersize=5)
    axes.plot([], [], ".", color=_PRUNED, label="each component")
    axes.plot(stability.ranks, stability.means, "o-", color=_KEPT, markersize=4, label="mean")
    axes.axhline(STEADY, color="0.3", linestyle="--", linewidth=0.8, label=f"stable above {STEADY:g}")
    _mark(axes, recommendation)
    axes.set(ylim=(-0.28, 1.05), yticks=np.linspace(0, 1, 6), ylabel="stability (0 to 1)")
    axes.set_title(f"agreement of {stability.objectives.shape[1]} random starts", fontsize=10)
    axes.legend(fontsize=8, loc="lower center", ncols=4)


def _draw_divergence(axes: Axes, recommendation: Recommendation) -> None:
    stability = recommendation.stability
    of_one = float(stability.lowest[stability.ranks.argmin()]) or 1.0
    percent = 100 * stability.objectives / of_one
    lowest, highest = percent.min(axis=1), percent.max(axis=1)
    axes.fill_between(stability.ranks, lowest, highest, color=_PRUNED, alpha=0.6, label="all starts")
    axes.plot(stability.ranks, lowest, "o-", color=_KEPT, markersize=4, label="best start")
    _mark(axes, recommendation)
    axes.set(xlabel="number of components", ylabel="divergence (% of one component's)")
    axes.set_ylim(0, 1.05 * max(float(percent.max()), 1e-9))
    axes.legend(fontsize=8, loc="upper right")


def _mark(axes: Axes, recommendation: Recommendation) -> None:
    """Mark the recommended rank, when it is one of the tried ranks."""
    ranks = recommendation.stability.ranks
    if recommendation.rank in ranks:
        axes.axvline(recommendation.rank, color=_CHOSEN, linewidth=6, alpha=0.25, label="recommended")
    axes.set_xlim(ranks.min() - 0.5, ranks.max() + 0.5)
    axes.grid(alpha=0.25)
    _whole_numbers(axes)


def _whole_numbers(axes: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(12, integer=True, min_n_ticks=1))
