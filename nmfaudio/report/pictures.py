"""What the page draws: spectrogram, templates and activations as small matrices of bytes."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmfaudio.models.components import Components
from nmfaudio.report.preview import Preview
from nmfaudio.sound.audio import Audio
from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.source import SampleSource
from nmfaudio.sound.stft import STFT

RANGE_DB = 80.0  # of levels below the highest one
_WINDOW_SECONDS = 0.046
_ROWS, _COLUMNS = 176, 2800
_TEMPLATE_ROWS, _ACTIVATION_COLUMNS = 128, 1400
_LOWEST_HZ = 30.0

Drawing = dict[str, Any]  # what is written to the page as JSON


def spectrogram(stems: Mapping[str, SampleSource], preview: Preview) -> Drawing:
    """Return the levels of the sum of all stems, with a logarithmic axis of frequencies.

    Returns
    -------
    dict
        `rows` and `columns`, `low` and `high` (Hz, edges of the axis), `range` (dB), and `levels`: bytes of
        shape (rows, columns) as base64, lowest frequency first, where 255 is the highest level.
    """
    samples = np.sum([stem.read(preview.start, preview.stop) for stem in stems.values()], axis=0)
    mixture = Audio(samples, preview.sample_rate)
    stft = STFT.lasting(_WINDOW_SECONDS, preview.sample_rate)
    blocks = Blocks(mixture, stft)
    edges = row_edges(preview.sample_rate, stft, _ROWS)
    starts = _first_bins(edges, stft.frequencies(preview.sample_rate))
    step = -(-blocks.frames // _COLUMNS)
    power = [np.maximum.reduceat((block.magnitude**2).sum(axis=0), starts, axis=0) for block in blocks]
    columns = np.maximum.reduceat(np.concatenate(power, axis=1), np.arange(0, blocks.frames, step), axis=1)
    return {
        "rows": columns.shape[0],
        "columns": columns.shape[1],
        "low": float(edges[0]),
        "high": float(edges[-1]),
        "range": RANGE_DB,
        "seconds": step * stft.hop_length / preview.sample_rate,
        "levels": _as_text(_levels(columns, 10)),
    }


def template(components: Components, component: int) -> Drawing:
    """Return the levels of a template with a logarithmic axis of frequencies.

    Returns
    -------
    dict
        `channels`, `lags`, `rows`, `low` and `high` (Hz), `range` (dB) and `levels`: bytes of shape
        (channels, lags, rows) as base64.
    """
    values = components.templates[component]
    edges = row_edges(components.sample_rate, components.stft, _TEMPLATE_ROWS)
    starts = _first_bins(edges, components.frequencies)
    rows = np.maximum.reduceat(values, starts, axis=1).swapaxes(1, 2)
    return {
        "channels": rows.shape[0],
        "lags": rows.shape[1],
        "rows": rows.shape[2],
        "low": float(edges[0]),
        "high": float(edges[-1]),
        "range": RANGE_DB,
        "levels": _as_text(_levels(rows, 20 / components.magnitude_power)),
    }


def activation(components: Components, component: int, preview: Preview) -> Drawing:
    """Return an activation in the passage, relative to its largest value there.

    Returns
    -------
    dict
        `columns`, `start` and `seconds` (of a column), and `values`: bytes as base64.
    """
    hop = components.stft.hop_length
    first = max(0, preview.start // hop - 1)
    stop = min(components.frames, -(-preview.stop // hop) + 2)
    values = components.activations[component, :, first:stop].max(axis=0)
    magnitudes = np.maximum(values, 0) ** (1 / components.magnitude_power)
    step = -(-len(magnitudes) // _ACTIVATION_COLUMNS)
    peaks = np.maximum.reduceat(magnitudes, np.arange(0, len(magnitudes), step))
    largest = float(peaks.max(initial=0)) or 1.0
    return {
        "columns": len(peaks),
        "start": float(components.times[first]) - hop / 2 / preview.sample_rate,
        "seconds": step * hop / preview.sample_rate,
        "values": _as_text(np.rint(255 * peaks / largest).astype(np.uint8)),
    }


def row_edges(sample_rate: int, stft: STFT, rows: int) -> NDArray[np.float64]:
    """Return the limits of rows of equal size on a logarithmic axis, in Hz, shape (rows + 1,)."""
    highest = sample_rate / 2
    lowest = max(min(_LOWEST_HZ, highest / 8), sample_rate / stft.n_fft)
    return np.geomspace(lowest, highest, min(rows, stft.bins) + 1)


def _first_bins(edges: NDArray[np.float64], frequencies: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the first bin of each row; rows that are narrower than a bin show the bin next to them."""
    centers = np.sqrt(edges[:-1] * edges[1:])
    nearest = np.abs(frequencies[None, :] - centers[:, None]).argmin(axis=1)
    first = np.minimum(np.searchsorted(frequencies, edges[:-1]), len(frequencies) - 1)
    is_narrow = first >= np.searchsorted(frequencies, edges[1:])
    return np.where(is_narrow, nearest, first)


def _levels(values: NDArray[Any], factor: float) -> NDArray[np.uint8]:
    """Return levels in dB below the highest value as bytes; 0 stands for `RANGE_DB` below it or less."""
    relative = np.maximum(values, 0) / (float(values.max(initial=0)) or 1.0)
    decibels = factor * np.log10(np.maximum(relative, 10 ** (-RANGE_DB / factor)))
    return np.asarray(np.rint(255 * (1 + decibels / RANGE_DB)), np.uint8)


def _as_text(values: NDArray[np.uint8]) -> str:
    return base64.b64encode(values.tobytes()).decode("ascii")
