"""Figures of a mixture with the template and the activation of each component."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nmfaudio.models.components import Components, Part
from nmfaudio.models.contract import Separator
from nmfaudio.pipeline.fitting import Report, fit
from nmfaudio.pipeline.registry import make
from nmfaudio.plots.axes import (
    decibels,
    draw_levels,
    figure_of,
    frequency_axis,
    frequency_range,
    time_limits,
)
from nmfaudio.plots.colours import source_colours
from nmfaudio.plots.excerpt import Excerpt
from nmfaudio.plots.matrices import activation_rows
from nmfaudio.plots.names import drawable
from nmfaudio.plots.overview import Overview, overview
from nmfaudio.plots.scene import Scene
from nmfaudio.sound.audio import Audio
from nmfaudio.sound.files import read

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

_ALL = Excerpt()
_TEMPLATE_DB = 60  # range of levels of a template
_TOP = 1.75  # upper end of the axis of an activation: its label stands above 1, where no activation reaches


def plot_components(
    mixture: Audio | str | os.PathLike[str],
    separator: str | Separator = "blind",
    *,
    excerpt: Excerpt = _ALL,
    figure: Figure | SubFigure | None = None,
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
    excerpt : Excerpt
        Components, sources, seconds and frequencies to draw.
    figure : matplotlib.figure.Figure, optional
        Empty figure to draw on; by default a new one.
    report : callable, optional
        Function that takes a `Progress`; it may raise an exception to stop the work.
    **options
        Options of the separator, when `separator` is a name.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    OptionError
        When the separator has no components, or what the excerpt names does not exist.

    Examples
    --------
    >>> noise = np.random.default_rng(0).standard_normal((1, 8000)) / 8
    >>> figure = plot_components(Audio(noise, 8000), sources=2)
    >>> figure.axes[0].get_ylabel()
    'frequency (Hz)'
    """
    audio = mixture if isinstance(mixture, Audio) else read(mixture)
    chosen = make(separator, **options) if isinstance(separator, str) else separator
    scene = Scene.of_fitted(fit(audio, chosen, report=report))
    return draw_components(scene, excerpt=excerpt, figure=figure)


def draw_components(
    scene: Scene, *, excerpt: Excerpt = _ALL, figure: Figure | SubFigure | None = None
) -> Figure:
    """Draw the components of a scene; see `plot_components`."""
    components = scene.components
    parts = excerpt.parts(components)
    height = 3.2 + 0.62 * len(parts)
    canvas = figure_of(figure, 11, height)
    grid = canvas.add_gridspec(
        len(parts) + 1,
        2,
        width_ratios=[1, 2.2],
        height_ratios=[2.6, *[0.62] * len(parts)],
    )
    limits = frequency_range(components.frequencies, excerpt.frequency)
    seen = overview(scene.mixture, components.stft, offset=scene.offset)
    top = canvas.add_subplot(grid[0, 1])
    _draw_mixture(canvas, top, scene, seen, excerpt, limits)
    _draw_mean_spectrum(canvas.add_subplot(grid[0, 0], sharey=top), seen)
    rows = [
        (canvas.add_subplot(grid[row + 1, 0]), canvas.add_subplot(grid[row + 1, 1], sharex=top))
        for row in range(len(parts))
    ]
    _draw_rows(rows, components, parts, excerpt, limits)
    result: Figure = canvas
    return result


def _draw_mixture(
    canvas: Any,
    axes: Axes,
    scene: Scene,
    seen: Overview,
    excerpt: Excerpt,
    limits: tuple[float, float],
) -> None:
    columns = excerpt.columns(seen.times)
    levels = decibels(seen.magnitudes[:, columns], float(seen.magnitudes.max(initial=0.0)))
    mesh = draw_levels(axes, seen.times[columns], seen.frequencies, levels)
    frequency_axis(axes, "y", limits)
    (name,), properties = drawable([scene.name])
    axes.set_title(f"mixture: {name}", fontsize=11, **properties)
    axes.tick_params(labelbottom=False)
    canvas.colorbar(mesh, ax=axes, label="level (dB below peak)", pad=0.01)


def _draw_mean_spectrum(axes: Axes, seen: Overview) -> None:
    """Draw the mean level of the mixture at each frequency, on the axis of the spectrogram beside it."""
    mean = np.sqrt((seen.magnitudes**2).mean(axis=1))
    axes.plot(decibels(mean, float(mean.max(initial=0.0))), seen.frequencies, color="0.5", linewidth=0.8)
    axes.set(xlim=(-80, 3), xlabel="mean level (dB)")
    axes.set_title("spectrum of the mixture", fontsize=10)
    axes.grid(alpha=0.25)


def _draw_rows(
    rows: list[tuple[Axes, Axes]],
    components: Components,
    parts: list[Part],
    excerpt: Excerpt,
    limits: tuple[float, float],
) -> None:
    times, activations = activation_rows(components, parts, excerpt)
    loudest = float(activations.max(initial=0.0)) or 1.0
    colours = source_colours(components.sources)
    names, properties = drawable([part.source for part in parts])
    for (left, right), part, name, row in zip(rows, parts, names, activations, strict=True):
        colour = colours[part.source]
        template = components.templates[part.component].astype(np.float64).mean(axis=(0, 2))
        _draw_template(left, components.frequencies, template ** (1 / components.magnitude_power), colour)
        frequency_axis(left, "x", limits, label=False, small=True)
        left.set_ylabel(f"{part.number}", rotation=0, ha="right", va="center", color=colour, weight="bold")
        _draw_activation(right, times, row / loudest, colour)
        share = f"{name}, {100 * components.shares[part.component]:.1f} % of the energy"
        position: dict[str, Any] = {"transform": right.transAxes, "ha": "right", "va": "top", "fontsize": 8}
        right.text(0.995, 0.97, share, color=colour, **position, **properties)
        for axes in (left, right):
            axes.tick_params(labelbottom=False)
    rows[0][0].set_title("template of each component (dB below its peak)", fontsize=10)
    rows[0][1].set_title("activation (relative to the strongest)", fontsize=10)
    for axes, label in zip(rows[-1], ("frequency (Hz)", "time (s)"), strict=True):
        axes.tick_params(labelbottom=True)
        axes.set_xlabel(label)


def _draw_template(axes: Axes, frequencies: NDArray[Any], template: NDArray[Any], colour: str) -> None:
    levels = np.maximum(decibels(template, float(template.max(initial=0.0))), -_TEMPLATE_DB)
    axes.fill_between(frequencies, levels, -_TEMPLATE_DB, color=colour, alpha=0.35, linewidth=0)
    axes.plot(frequencies, levels, color=colour, linewidth=0.7)
    axes.set(ylim=(-_TEMPLATE_DB, 4), yticks=(-40, 0))
    axes.tick_params(axis="y", labelsize=6)
    axes.grid(alpha=0.25)


def _draw_activation(axes: Axes, times: NDArray[Any], levels: NDArray[Any], colour: str) -> None:
    axes.fill_between(times, levels, color=colour, alpha=0.35, linewidth=0)
    axes.plot(times, levels, color=colour, linewidth=0.7)
    axes.set(xlim=time_limits(times), ylim=(0, _TOP), yticks=(0, 1))
    axes.tick_params(axis="y", labelsize=6)
    axes.grid(alpha=0.25)
