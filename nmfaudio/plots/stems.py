"""Figures of the stems: waveforms and spectrograms, masks, and the models beside the mixture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nmfaudio.models.components import Components
from nmfaudio.plots.axes import (
    decibels,
    draw_levels,
    figure_of,
    frequency_axis,
    frequency_range,
)
from nmfaudio.plots.colours import source_colours
from nmfaudio.plots.excerpt import Excerpt
from nmfaudio.plots.names import drawable
from nmfaudio.plots.overview import COLUMNS, Overview, Waveform, overview, waveform
from nmfaudio.plots.scene import Scene

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

_ALL = Excerpt()
_MOST_DB = 30  # masks are drawn where the mixture is at most so far below the range of levels


def draw_stems(scene: Scene, *, excerpt: Excerpt = _ALL, figure: Figure | SubFigure | None = None) -> Figure:
    """Draw the waveform and the spectrogram of each stem, below those of the mixture, over the same time.

    Parameters
    ----------
    scene : Scene
    excerpt : Excerpt
        Sources, seconds and frequencies to draw.
    figure : matplotlib.figure.Figure, optional
        Empty figure to draw on; by default a new one.

    Returns
    -------
    matplotlib.figure.Figure
    """
    names = excerpt.chosen_sources(tuple(scene.stems))
    sounds = {"mixture": scene.mixture, **{name: scene.stems[name] for name in names}}
    colours = {"mixture": "0.5"} | source_colours(scene.components.sources)
    canvas = figure_of(figure, 11, 0.8 + 1.35 * len(sounds))
    grid: Any = canvas.subplots(len(sounds), 2, sharex=True, squeeze=False, width_ratios=[1, 1.35])
    waves = {name: waveform(sound, offset=scene.offset) for name, sound in sounds.items()}
    views = {
        name: overview(sound, scene.components.stft, offset=scene.offset) for name, sound in sounds.items()
    }
    peak = max(float(np.abs([wave.lowest, wave.highest]).max(initial=0.0)) for wave in waves.values()) or 1
    loudest = float(views["mixture"].magnitudes.max(initial=0.0))
    texts, properties = drawable(list(sounds))
    mesh: Any = None
    for (left, right), name, text in zip(grid, sounds, texts, strict=True):
        _draw_waveform(left, waves[name], colours[name], peak)
        left.set_title(text, loc="left", fontsize=9, color=colours[name], weight="bold", **properties)
        mesh = _draw_spectrogram(right, views[name], loudest, excerpt)
        limits = frequency_range(views[name].frequencies, excerpt.frequency)
        frequency_axis(right, "y", limits, label=False, small=True)
    grid[0, 0].set_title("amplitude (full scale is 1)", loc="right", fontsize=9)
    grid[0, 1].set_title("frequency (Hz)", loc="left", fontsize=9)
    for axes in grid[-1]:
        axes.set_xlabel("time (s)")
    canvas.colorbar(mesh, ax=grid[:, 1], label="level (dB below the mixture's peak)", pad=0.01)
    result: Figure = canvas
    return result


def draw_masks(scene: Scene, *, excerpt: Excerpt = _ALL, figure: Figure | SubFigure | None = None) -> Figure:
    """Draw the mask of each source: its part of the magnitudes at each time and frequency, from 0 to 1.

    Parameters
    ----------
    scene : Scene
    excerpt : Excerpt
        Sources, seconds and frequencies to draw.
    figure : matplotlib.figure.Figure, optional
        Empty figure to draw on; by default a new one.

    Returns
    -------
    matplotlib.figure.Figure
    """
    views = {
        name: overview(stem, scene.components.stft, offset=scene.offset) for name, stem in scene.stems.items()
    }
    names = excerpt.chosen_sources(tuple(views))
    total = np.sum([view.magnitudes for view in views.values()], axis=0)
    silent = total <= float(total.max(initial=0.0)) * 10 ** (-(80 + _MOST_DB) / 20)
    canvas = figure_of(figure, 11, 0.8 + 1.7 * len(names))
    grid: Any = canvas.subplots(len(names), 1, sharex=True, squeeze=False)
    colours = source_colours(scene.components.sources)
    texts, properties = drawable(names)
    mesh: Any = None
    for axes, name, text in zip(grid[:, 0], names, texts, strict=True):
        view = views[name]
        mask = np.divide(view.magnitudes, total, out=np.zeros_like(total), where=~silent)
        columns = excerpt.columns(view.times)
        mesh = draw_levels(
            axes, view.times[columns], view.frequencies, mask[:, columns], cmap="cividis", vmin=0, vmax=1
        )
        frequency_axis(axes, "y", frequency_range(view.frequencies, excerpt.frequency))
        axes.set_title(text, loc="left", fontsize=9, color=colours[name], weight="bold", **properties)
    grid[-1, 0].set_xlabel("time (s)")
    canvas.colorbar(mesh, ax=grid[:, 0], label="part of the mixture, 0 to 1", pad=0.01)
    result: Figure = canvas
    return result


def draw_reconstruction(
    scene: Scene, *, excerpt: Excerpt = _ALL, figure: Figure | SubFigure | None = None
) -> Figure:
    """Draw the spectrogram of the mixture beside the sum of the models of its components.

    Parameters
    ----------
    scene : Scene
    excerpt : Excerpt
        Components, seconds and frequencies to draw.
    figure : matplotlib.figure.Figure, optional
        Empty figure to draw on; by default a new one.

    Returns
    -------
    matplotlib.figure.Figure
    """
    components = scene.components
    members = [part.component for part in excerpt.parts(components) if part.component is not None]
    seen = overview(scene.mixture, components.stft, offset=scene.offset)
    modelled = _modelled(components, members, scene.offset)
    canvas = figure_of(figure, 11, 4.2)
    grid: Any = canvas.subplots(1, 2, sharex=True, sharey=True)
    (name,), properties = drawable([scene.name])
    several = f"the sum of {len(members)} components" if len(members) > 1 else "one component"
    mesh: Any = None
    for axes, view, title in zip(grid, (seen, modelled), (f"mixture: {name}", several), strict=True):
        # Templates have no level of their own where their data were scaled, so each picture has its peak.
        mesh = _draw_spectrogram(axes, view, float(view.magnitudes.max(initial=0.0)), excerpt)
        frequency_axis(axes, "y", frequency_range(view.frequencies, excerpt.frequency), label=axes is grid[0])
        axes.set_title(title, fontsize=10, **properties)
        axes.set_xlabel("time (s)")
    canvas.colorbar(mesh, ax=grid, label="level (dB below peak)", pad=0.01)
    result: Figure = canvas
    return result


def _modelled(components: Components, members: list[int], offset: float) -> Overview:
    """Return the sum of the models of some components as magnitudes, with few columns."""
    step = -(-components.frames // COLUMNS)
    frames = range(0, components.frames, step)
    power = np.empty((components.stft.bins, len(frames)))
    for column, first in enumerate(frames):
        model = components.sum_of_models(members, first, min(first + step, components.frames))
        power[:, column] = model.sum(axis=0).max(axis=1)
    magnitudes = power ** (1 / components.magnitude_power)
    return Overview(magnitudes, components.times[::step] + offset, components.frequencies)


def _draw_waveform(axes: Any, wave: Waveform, colour: str, peak: float) -> None:
    axes.fill_between(wave.times, wave.lowest, wave.highest, color=colour, linewidth=0.3)
    axes.set_ylim(-1.05 * peak, 1.05 * peak)
    axes.grid(alpha=0.25)


def _draw_spectrogram(axes: Any, view: Overview, peak: float, excerpt: Excerpt) -> Any:
    columns = excerpt.columns(view.times)
    levels = decibels(view.magnitudes[:, columns], peak)
    return draw_levels(axes, view.times[columns], view.frequencies, levels)
