"""Figures of a factorization: the divergence over the updates, the stability of components over restarts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nmfaudio.errors import OptionError
from nmfaudio.models.components import Components
from nmfaudio.plots.axes import axes_of
from nmfaudio.plots.colours import source_colours
from nmfaudio.plots.excerpt import Excerpt
from nmfaudio.plots.matrices import name_sources

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ALL = Excerpt()


def plot_convergence(components: Components, *, ax: Axes | None = None) -> Axes:
    """Draw the divergence between the spectrogram and the model over the updates.

    Parameters
    ----------
    components : Components
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; by default those of a new figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    OptionError
        When the divergence was not recorded.
    """
    if not len(components.objectives):
        raise OptionError(
            f"the stems {', '.join(components.sources)} were not made by a factorization whose divergence "
            "was recorded: draw another view, or use the separator blind",
            option="view",
        )
    ax = axes_of(ax, 7, 4)
    relative = 100 * components.objectives / components.objectives[0]
    ax.plot(components.iterations, relative, "o-", markersize=3, color=source_colours(["a"])["a"])
    ax.set(xlabel="updates", ylabel="divergence (% of the first one measured)")
    ax.set_ylim(0, 1.05 * float(relative.max()))
    name = {0.0: "Itakura-Saito", 1.0: "Kullback-Leibler", 2.0: "Euclidean"}.get(components.beta)
    ax.set_title(f"divergence: {name or f'beta = {components.beta:g}'}", fontsize=10)
    ax.grid(alpha=0.25)
    return ax


def plot_stability(components: Components, *, excerpt: Excerpt = _ALL, ax: Axes | None = None) -> Axes:
    """Draw how well each component agrees with the nearest component of other random starts.

    Parameters
    ----------
    components : Components
    excerpt : Excerpt
        Components to draw.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; by default those of a new figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    OptionError
        When there was only one start.
    """
    if not len(components.stability):
        raise OptionError(
            "the components come from one start, so their stability is not known: use the separator blind "
            "with several starts",
            option="view",
        )
    parts = excerpt.parts(components)
    ax = axes_of(ax, max(5, 1.6 + 0.32 * len(parts)), 4)
    colours = source_colours(components.sources)
    heights = [components.stability[part.component] for part in parts]
    positions = np.arange(len(parts))
    ax.bar(positions, heights, color=[colours[part.source] for part in parts])
    ax.set_xticks(positions, [str(part.number) for part in parts], fontsize=8)
    ax.set(ylim=(0, 1), xlim=(-0.6, len(parts) - 0.4), xlabel="component", ylabel="stability, 0 to 1")
    ax.grid(alpha=0.25, axis="y")
    name_sources(ax, components, [part.source for part in parts])
    return ax
