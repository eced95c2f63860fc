"""Looking at a separation: figures of matplotlib, returned and never shown."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nmfaudio.disk.atomic import check_folder, write_atomically
from nmfaudio.errors import OutputError, SeparatorError
from nmfaudio.models.contract import Components, Separator
from nmfaudio.pipeline.fitting import Fitted, Report, fit
from nmfaudio.pipeline.registry import make
from nmfaudio.sound.audio import Audio
from nmfaudio.sound.files import AudioFile, read

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RANGE_DB = 80  # shown below the loudest bin
_COLUMNS = 1200  # frames drawn at most: more are drawn by their loudest
_LOWEST_HZ = 30.0
_LARGEST = 32  # components drawn at most, those with the most energy


def plot_components(
    mixture: Audio | str | os.PathLike[str],
    separator: str | Separator = "blind",
    *,
    report: Report | None = None,
    **options: Any,
) -> Figure:
    """Draw a mixture's spectrogram and, for each component, its template and its activation.

    Components are coloured by the source that they are grouped to and ordered by source and energy.

    Parameters
    ----------
    mixture : Audio or path-like
    separator : str or Separator
        One that finds components, such as `"blind"`.
    report : callable, optional
        Takes a `Progress` now and then; may raise to stop the work.
    **options
        Of the separator that is named.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    SeparatorError
        When the separator finds no components.

    Examples
    --------
    >>> noise = np.random.default_rng(0).standard_normal((1, 8000)) / 8
    >>> figure = plot_components(Audio(noise, 8000), sources=2)
    >>> figure.axes[0].get_xlabel()
    'time (s)'
    """
    audio = mixture if isinstance(mixture, Audio) else read(mixture)
    made = make(separator, **options) if isinstance(separator, str) else separator
    return _draw(fit(audio, made, report=report))


def draw_file(
    path: str | os.PathLike[str],
    picture: str | os.PathLike[str],
    separator: Separator,
    *,
    report: Report | None = None,
) -> None:
    """Draw the components of a file into a picture, whose kind its name's ending tells.

    Raises
    ------
    AudioFileError, SeparatorError, OutputError
        When the file, the separator or the picture cannot serve.
    """
    check_picture(picture)
    with AudioFile(path) as source:
        figure = _draw(fit(source, separator, report=report))
    save_picture(figure, picture)


def save_picture(figure: Figure, picture: str | os.PathLike[str]) -> None:
    """Write a figure, whole or not at all, as the kind that the name's ending tells."""
    content = io.BytesIO()
    figure.savefig(content, format=check_picture(picture))
    write_atomically(Path(picture), content.getvalue())


def check_picture(picture: str | os.PathLike[str]) -> str:
    """Return the kind of a picture by its name.

    Raises
    ------
    OutputError
        When there is no such kind or no such folder.
    """
    from matplotlib.backend_bases import FigureCanvasBase

    target = Path(picture)
    kind = target.suffix.lstrip(".").lower()
    if kind not in FigureCanvasBase.get_supported_filetypes():
        raise OutputError(f"{target}: not a picture's name: end it in .png, .svg or .pdf")
    check_folder(target)
    return kind


def _draw(fitted: Fitted) -> Figure:
    from matplotlib.figure import Figure

    components = fitted.components
    if components is None:
        raise SeparatorError(
            f"{type(fitted.model).__name__} finds no components to draw: use the separator blind"
        )
    order = _order(components)
    height = 3.4 + 0.75 * len(order)
    figure = Figure(figsize=(11, height), layout="constrained")
    panels: Any = figure.subfigures(2, 1, height_ratios=[3.0, height - 3.0])
    top, below = panels
    _draw_mixture(top, fitted)
    _draw_rows(below, fitted, components, order)
    return figure


def _order(components: Components) -> list[int]:
    """Components by source, then by falling energy; only the strongest where there are many."""
    kept = np.argsort(-components.shares)[:_LARGEST]
    return [int(k) for k in sorted(kept, key=lambda k: (components.labels[k], -components.shares[k]))]


def _draw_mixture(panel: Any, fitted: Fitted) -> None:
    mixture = fitted.mixture
    axes = panel.subplots()
    levels, times = _overview(fitted)
    frequencies = mixture.stft.frequencies(mixture.sample_rate)
    mesh = axes.pcolormesh(
        times, frequencies, levels, shading="nearest", cmap="magma", vmin=-RANGE_DB, vmax=0, rasterized=True
    )
    _frequency_axis(axes.yaxis, axes.set_yscale, axes.set_ylim, frequencies)
    axes.set(xlabel="time (s)", ylabel="frequency (Hz)", title=f"mixture: {mixture.source.name}")
    panel.colorbar(mesh, ax=axes, label="level (dB below peak)", pad=0.01)


def _overview(fitted: Fitted) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Levels of the mixture in dB below its peak, (bins, columns), all channels together, and their times."""
    mixture = fitted.mixture
    step = -(-mixture.frames // _COLUMNS)
    power, times = [], []
    for block in mixture:
        found = (block.magnitude**2).sum(axis=0)
        starts = np.arange(0, block.frames, step)
        power.append(np.maximum.reduceat(found, starts, axis=1))
        times.append(block.times[starts])
    joined = np.concatenate(power, axis=1)
    loudest = joined.max() or 1.0
    levels = 10 * np.log10(np.maximum(joined / loudest, 10 ** (-RANGE_DB / 10)))
    return levels, np.concatenate(times)


def _draw_rows(panel: Any, fitted: Fitted, components: Components, order: list[int]) -> None:
    grid = panel.subplots(len(order), 2, sharex="col", squeeze=False, width_ratios=[1, 2])
    frequencies = fitted.mixture.stft.frequencies(fitted.mixture.sample_rate)
    activations = components.activations.sum(axis=0)
    known, step = activations.shape[1], -(-activations.shape[1] // _COLUMNS)
    frames = np.arange(known) * fitted.mixture.frames // known  # of long mixtures only some are known
    times = _frame_times(fitted)[frames[::step]]
    loudest = float(activations[order].max(initial=0.0)) or 1.0
    for row, k in enumerate(order):
        color = f"C{components.labels[k] % 10}"
        _draw_template(grid[row, 0], frequencies, components.templates[:, k], color)
        peaks = np.maximum.reduceat(activations[k], np.arange(0, len(activations[k]), step)) / loudest
        _draw_activation(grid[row, 1], times, peaks, color)
        name = fitted.sources[components.labels[k]]
        grid[row, 0].set_ylabel(f"{k + 1}", rotation=0, ha="right", va="center", color=color, weight="bold")
        label = f"{name}, {100 * components.shares[k]:.1f} % of the energy"
        grid[row, 1].text(
            0.995, 0.95, label, transform=grid[row, 1].transAxes, ha="right", va="top", color=color
        )
    _label_rows(grid, frequencies)


def _frame_times(fitted: Fitted) -> NDArray[np.float64]:
    mixture = fitted.mixture
    middle = mixture.stft.first_sample(0) + mixture.stft.win_length // 2
    return (middle + np.arange(mixture.frames) * mixture.stft.hop_length) / mixture.sample_rate


def _draw_template(axes: Axes, frequencies: NDArray[Any], template: NDArray[Any], color: str) -> None:
    levels = 20 * np.log10(np.maximum(template / (template.max() or 1), 10 ** (-RANGE_DB / 20)))
    axes.fill_between(frequencies, levels, -RANGE_DB, color=color, alpha=0.35, linewidth=0)
    axes.plot(frequencies, levels, color=color, linewidth=0.7)
    axes.set(ylim=(-RANGE_DB, 3), yticks=(-60, -30, 0))
    axes.tick_params(axis="y", labelsize=6)
    axes.grid(alpha=0.25)


def _draw_activation(axes: Axes, times: NDArray[Any], peaks: NDArray[Any], color: str) -> None:
    axes.fill_between(times, peaks, color=color, alpha=0.35, linewidth=0)
    axes.plot(times, peaks, color=color, linewidth=0.7)
    axes.set(xlim=_spread(times), ylim=(0, 1.4), yticks=(0, 0.5, 1))  # with room for the label
    axes.tick_params(axis="y", labelsize=6)
    axes.grid(alpha=0.25)


def _label_rows(grid: NDArray[Any], frequencies: NDArray[Any]) -> None:
    first, last = grid[0], grid[-1]
    first[0].set_title("template of each component (dB below its peak)", fontsize=10)
    first[1].set_title("activation (relative to the strongest)", fontsize=10)
    last[0].set_xlabel("frequency (Hz)")
    last[1].set_xlabel("time (s)")
    _frequency_axis(last[0].xaxis, last[0].set_xscale, last[0].set_xlim, frequencies)


def _frequency_axis(axis: Any, set_scale: Any, set_limits: Any, frequencies: NDArray[Any]) -> None:
    """Make an axis logarithmic from the lowest audible bin up, with ticks that musicians read."""
    highest = float(frequencies[-1])
    lowest = max(_LOWEST_HZ, float(frequencies[1])) if highest > 4 * _LOWEST_HZ else float(frequencies[1])
    set_scale("log")
    set_limits(lowest, highest)
    ticks = [hz for hz in (50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000) if lowest <= hz <= highest]
    axis.set_ticks(ticks, [f"{hz // 1000}k" if hz >= 1000 else str(hz) for hz in ticks])
    axis.set_ticks([], minor=True)


def _spread(times: NDArray[Any]) -> tuple[float, float]:
    """Return limits around times; a single one gets some room."""
    first, last = float(times[0]), float(times[-1])
    return (first, last) if last > first else (first - 0.5, last + 0.5)
