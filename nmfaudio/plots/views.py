"""All views of a separation, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nmfaudio.errors import OptionError
from nmfaudio.plots.colours import ground
from nmfaudio.plots.components import draw_components
from nmfaudio.plots.convergence import plot_convergence, plot_stability
from nmfaudio.plots.excerpt import Excerpt
from nmfaudio.plots.matrices import plot_activations, plot_templates
from nmfaudio.plots.names import drawable
from nmfaudio.plots.scene import Scene
from nmfaudio.plots.stems import draw_masks, draw_reconstruction, draw_stems

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ALL = Excerpt()


def draw(view: str | None, scene: Scene, *, excerpt: Excerpt = _ALL, dark: bool = False) -> Figure:
    """Draw a view of a separation.

    Parameters
    ----------
    view : str or None
        One of `VIEWS`; None draws the components, or the stems where these were made without templates.
    scene : Scene
    excerpt : Excerpt
        The part to draw.
    dark : bool
        Whether to draw on a dark ground.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    OptionError
        When the view does not exist, or the separation has nothing that it shows.
    """
    if view is None:
        view = "components" if len(scene.components) else "stems"
    if view not in VIEWS:
        raise OptionError(f"there is no view {view!r}: use {', '.join(VIEWS)}", option="view")
    with ground(dark=dark):
        return VIEWS[view](scene, excerpt)


def _titled(axes: Any, scene: Scene, what: str) -> Figure:
    """Give a figure of single axes the name of the recording as its title; return the figure."""
    (name,), properties = drawable([scene.name])
    axes.figure.suptitle(f"{name}: {what}", fontsize=11, **properties)
    figure: Figure = axes.figure
    return figure


VIEWS: dict[str, Callable[[Scene, Excerpt], Figure]] = {
    "components": lambda scene, excerpt: draw_components(scene, excerpt=excerpt),
    "templates": lambda scene, excerpt: _titled(
        plot_templates(scene.components, excerpt=excerpt), scene, "templates"
    ),
    "activations": lambda scene, excerpt: _titled(
        plot_activations(scene.components, excerpt=excerpt), scene, "activations"
    ),
    "masks": lambda scene, excerpt: draw_masks(scene, excerpt=excerpt),
    "stems": lambda scene, excerpt: draw_stems(scene, excerpt=excerpt),
    "reconstruction": lambda scene, excerpt: draw_reconstruction(scene, excerpt=excerpt),
    "convergence": lambda scene, excerpt: _titled(plot_convergence(scene.components), scene, "convergence"),
    "stability": lambda scene, excerpt: _titled(
        plot_stability(scene.components, excerpt=excerpt), scene, "stability over random starts"
    ),
}
