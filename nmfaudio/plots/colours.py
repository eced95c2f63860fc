"""Colours of sources, the same in all pictures and safe for the colour-blind; light and dark pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

# The palette of Okabe and Ito without its yellow, which is hardly visible on white.
_ON_LIGHT = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#666666")
_ON_DARK = ("#4FA8E0", "#FF8A4C", "#2FCB9F", "#EBA3CB", "#FFC04D", "#9AD8FF", "#BBBBBB")
_DARK = {
    "figure.facecolor": "#16181c",
    "axes.facecolor": "#1d2025",
    "savefig.facecolor": "#16181c",
    "text.color": "#e6e6e6",
    "axes.labelcolor": "#e6e6e6",
    "axes.edgecolor": "#8a8f98",
    "axes.titlecolor": "#e6e6e6",
    "xtick.color": "#c8ccd2",
    "ytick.color": "#c8ccd2",
    "grid.color": "#4a4f57",
    "legend.facecolor": "#1d2025",
    "legend.edgecolor": "#8a8f98",
}


def source_colours(sources: Sequence[str]) -> dict[str, str]:
    """Return a colour for each source; after seven sources the colours begin again.

    Examples
    --------
    >>> source_colours(["kick", "snare"])
    {'kick': '#0072B2', 'snare': '#D55E00'}
    """
    palette = _ON_DARK if is_dark() else _ON_LIGHT
    return {name: palette[number % len(palette)] for number, name in enumerate(sources)}


def is_dark() -> bool:
    """Return whether pictures are drawn on a dark ground at present."""
    from nmfaudio.plots.figures import load_matplotlib

    load_matplotlib()
    import matplotlib
    from matplotlib.colors import to_rgb

    face: Any = matplotlib.rcParams["figure.facecolor"]
    return face != "none" and sum(to_rgb(face)) < 1.5


@contextmanager
def ground(*, dark: bool) -> Iterator[None]:
    """Draw what is drawn inside on a dark ground, or leave the settings of matplotlib as they are."""
    from nmfaudio.plots.figures import load_matplotlib

    load_matplotlib()
    import matplotlib

    settings: Any = _DARK if dark else {}
    with matplotlib.rc_context(settings):
        yield
