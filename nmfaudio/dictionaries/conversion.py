"""Conversion of templates to other settings: another sample rate, another window."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmfaudio.sound.stft import STFT

# Standard deviation of the power of a Hann window's transform, in units of one over the window's length.
_MAIN_LOBE = 0.58
# Least part of a template's power that must lie below the new half rate; less is leakage from above.
_LEAST_POWER = 1e-3
_BINS_AT_A_TIME = 256  # bounds the size of intermediate arrays


def convert_templates(
    templates: NDArray[Any], old: tuple[STFT, int], new: tuple[STFT, int], *, magnitude_power: float = 1.0
) -> NDArray[np.float32]:
    """Return templates as they would approximately be under other settings.

    The power of each old bin is spread over the new bins and preserved. It is interpolated linearly where the
    new window resolves at least as much as the old one. Where the new window resolves less, the power is
    smeared to the width of the new main lobe. Details that only a longer window would resolve cannot be
    restored. Above the old half rate, the new templates are zero.

    Parameters
    ----------
    templates : ndarray, shape (bins, components)
        Templates; not negative.
    old, new : tuple of (STFT, int)
        Settings and sample rate, before and after.
    magnitude_power : float
        Power to which magnitudes were raised in the templates.

    Returns
    -------
    ndarray of float32, shape (new bins, components)
        Each column sums to one, or to zero when all its power lies above the new half rate.

    Examples
    --------
    >>> templates = np.eye(9)[:, [4]]
    >>> convert_templates(templates, (STFT(16), 8000), (STFT(32), 8000)).argmax()
    np.int64(8)
    """
    if old == new:
        return np.asarray(templates, np.float32)
    (old_stft, old_rate), (new_stft, new_rate) = old, new
    source, target = old_stft.frequencies(old_rate), new_stft.frequencies(new_rate)
    power = np.asarray(templates, np.float64) ** (2 / magnitude_power)
    width = _extra_width(old_stft.win_length / old_rate, new_stft.win_length / new_rate)
    spread = _spread(power, source, target, width)
    remains = spread.sum(axis=0) > _LEAST_POWER * power.sum(axis=0)
    converted = np.where(remains, spread, 0) ** (magnitude_power / 2)
    total = converted.sum(axis=0)
    return np.asarray(np.divide(converted, total, out=np.zeros_like(converted), where=total > 0), np.float32)


def _extra_width(old: float, new: float) -> float:
    """Return the width in Hz by which a window of `new` seconds smears what one of `old` seconds resolves."""
    return float(np.sqrt(max(0.0, (_MAIN_LOBE / new) ** 2 - (_MAIN_LOBE / old) ** 2)))


def _spread(
    power: NDArray[np.float64], source: NDArray[np.float64], target: NDArray[np.float64], width: float
) -> NDArray[np.float64]:
    """Divide the power of each old bin among the new bins near it."""
    spread = np.zeros((len(target), power.shape[1]))
    step = target[1] - target[0]
    reach = max(step, source[1] - source[0], 4 * width)
    within_reach = np.flatnonzero(source <= target[-1] + reach)
    for first in range(0, len(within_reach), _BINS_AT_A_TIME):
        part = within_reach[first : first + _BINS_AT_A_TIME]
        near = (target >= source[part[0]] - reach) & (target <= source[part[-1]] + reach)
        distance = np.abs(target[near, None] - source[None, part])
        spread[near] += _weights(distance, step, source[1] - source[0], width) @ power[part]
    return spread


def _weights(distance: NDArray[np.float64], step: float, spacing: float, width: float) -> NDArray[np.float64]:
    """Return weights of the new bins by their distance from each old bin; those of an old bin sum to one."""
    kernel = np.exp(-0.5 * (distance / width) ** 2) if width > 0.5 * step else np.zeros_like(distance)
    if not kernel.any():
        kernel = np.maximum(0.0, 1 - distance / max(step, spacing))
    # The sum over an unlimited grid, so that power beyond the edges is lost and not moved inside.
    total = np.sqrt(2 * np.pi) * width / step if width > 0.5 * step else max(step, spacing) / step
    return kernel / total
