"""What notebooks show of sounds and factorizations: a small picture and players, with names as text."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nmfaudio.plots.figures import as_html, new_figure
from nmfaudio.plots.names import drawable
from nmfaudio.sound.audio import Audio
from nmfaudio.sound.preview import preview

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_PLAYERS = 12  # in the output of one cell
_COLUMNS = 800  # of a waveform; each shows the extremes of its samples
_SECONDS = 60.0  # longest passage that is drawn, so that long recordings are shown at once
_MOST_VALUES = 1 << 20  # of a matrix that is drawn


def audio_html(audio: Audio) -> str:
    """Return the waveform and a player of a recording as HTML."""
    return as_html(repr(audio), plot_waveforms({audio.name: audio})) + _player(audio)


def sounds_html(sounds: Mapping[str, Audio]) -> str:
    """Return the waveforms and players of several recordings as HTML."""
    shown = dict(list(sounds.items())[:_MOST_PLAYERS])
    players = "".join(f"<p>{html.escape(name)}</p>{_player(sound)}" for name, sound in shown.items())
    more = len(sounds) - len(shown)
    caption = f"{len(sounds) - 1} stems" + (f"; {more} of them are not shown" if more else "")
    return as_html(caption, plot_waveforms(shown)) + players


def plot_waveforms(sounds: Mapping[str, Audio]) -> Figure:
    """Draw the waveforms of recordings below each other, at most their first minute.

    Examples
    --------
    >>> plot_waveforms({"click": Audio([0.0, 0.5], 8000)}).axes[0].get_xlabel()
    'time (s)'
    """
    figure = new_figure(8, 0.7 + 0.7 * len(sounds))
    grid: Any = figure.subplots(len(sounds), 1, sharex=True, squeeze=False)
    names, properties = drawable([name if len(name) < 24 else name[:23] + "…" for name in sounds])
    for axes, name, sound in zip(grid[:, 0], names, sounds.values(), strict=True):
        times, low, high = _extremes(sound)
        axes.fill_between(times, low, high, color="#0072B2", linewidth=0.4)
        axes.set_yticks([])
        axes.set_ylabel(name, rotation=0, ha="right", va="center", **properties)
    grid[-1, 0].set_xlabel("time (s)")
    return figure


def plot_factors(W: NDArray[Any], H: NDArray[Any]) -> Figure:
    """Draw templates and activations as matrices, each component relative to its peak.

    Examples
    --------
    >>> [axes.get_xlabel() for axes in plot_factors(np.eye(4, 2), np.eye(2, 6)).axes]
    ['component', 'frame']
    """
    figure = new_figure(8, 2.8)
    left, right = figure.subplots(1, 2, width_ratios=[1, 2])
    options: dict[str, Any] = {"aspect": "auto", "cmap": "magma", "interpolation": "nearest"}
    W, H = _thinned(W, 0), _thinned(H, 1)
    left.imshow(W / np.maximum(W.max(axis=0), 1e-30), origin="lower", **options)
    left.set(xlabel="component", ylabel="bin", title="templates")
    right.imshow(H / np.maximum(H.max(axis=1, keepdims=True), 1e-30), **options)
    right.set(xlabel="frame", ylabel="component", title="activations")
    for axes in (left, right):
        axes.tick_params(labelsize=7)
    return figure


def _player(audio: Audio) -> str:
    """Return a player of the start of a recording; a longer recording says which part is played."""
    part = preview(audio)
    content = base64.b64encode(part.content).decode("ascii")
    player = f'<audio controls preload="none" src="data:{part.kind};base64,{content}"></audio>'
    if part.seconds >= audio.duration:
        return player
    return f"{player}<p>the first {part.seconds:.1f} s of {audio.duration:.1f} s</p>"


def _extremes(audio: Audio) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return times in seconds, and the lowest and highest samples at these times."""
    samples = audio.samples[:, : int(_SECONDS * audio.sample_rate)]
    starts = np.arange(0, samples.shape[1], max(1, -(-samples.shape[1] // _COLUMNS)))
    if not len(starts):
        return np.zeros(1), np.zeros(1), np.zeros(1)
    low = np.minimum.reduceat(samples.min(axis=0), starts)
    high = np.maximum.reduceat(samples.max(axis=0), starts)
    return starts / audio.sample_rate, low, high


def _thinned(matrix: NDArray[Any], axis: int) -> NDArray[Any]:
    """Return every n-th row or column, so that large matrices are drawn quickly."""
    step = -(-matrix.size // _MOST_VALUES)
    return matrix[::step] if axis == 0 else matrix[:, ::step]
