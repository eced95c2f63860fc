"""Templates seen through other settings: another sample rate, another window."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmfaudio.sound.stft import STFT

# Standard deviation of the power of a Hann window's transform, in units of one over the window's length.
_MAIN_LOBE = 0.58
_LEAST = 1e-3  # of a template's power below the new half rate: with less, it is leakage of what lies above
_PIECE = 256  # bins that are converted at a time


def convert_templates(
    templates: NDArray[Any], old: tuple[STFT, int], new: tuple[STFT, int], *, magnitude_power: float = 1.0
) -> NDArray[np.float32]:
    """Return templates as other settings would have seen them.

    The power at each frequency is spread over the new bins, without loss: interpolated linearly where the
    new window resolves as much, smeared to the width of its main lobe where it resolves less. What a longer
    window would have resolved cannot be made up. Above the old half rate there is nothing.

    Parameters
    ----------
    templates : ndarray, shape (bins, components)
        Not negative.
    old, new : tuple of (STFT, int)
        Settings and sample rates.
    magnitude_power : float
        Templates are magnitudes to this power.

    Returns
    -------
    ndarray of float32, shape (new bins, components)
        Each column sums to one, or to zero where all its power lies above the new half rate.

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
    found = _spread(power, source, target, width)
    heard = found.sum(axis=0) > _LEAST * power.sum(axis=0)
    shape = np.where(heard, found, 0) ** (magnitude_power / 2)
    total = shape.sum(axis=0)
    return np.asarray(np.divide(shape, total, out=np.zeros_like(shape), where=total > 0), np.float32)


def _extra_width(old: float, new: float) -> float:
    """Return by how much, in Hz, a window of `new` seconds smears what one of `old` seconds has resolved."""
    return float(np.sqrt(max(0.0, (_MAIN_LOBE / new) ** 2 - (_MAIN_LOBE / old) ** 2)))


def _spread(
    power: NDArray[np.float64], source: NDArray[np.float64], target: NDArray[np.float64], width: float
) -> NDArray[np.float64]:
    """Share out the power of each old bin among the new bins near it."""
    found = np.zeros((len(target), power.shape[1]))
    step = target[1] - target[0]
    reach = max(step, source[1] - source[0], 4 * width)
    kept = np.flatnonzero(source <= target[-1] + reach)
    for first in range(0, len(kept), _PIECE):
        part = kept[first : first + _PIECE]
        near = (target >= source[part[0]] - reach) & (target <= source[part[-1]] + reach)
        distance = np.abs(target[near, None] - source[None, part])
        found[near] += _weights(distance, step, source[1] - source[0], width) @ power[part]
    return found


def _weights(distance: NDArray[np.float64], step: float, spacing: float, width: float) -> NDArray[np.float64]:
    """Weigh new bins by their distance from each old bin; the weights of an old bin add up to one."""
    kernel = np.exp(-0.5 * (distance / width) ** 2) if width > 0.5 * step else np.zeros_like(distance)
    if not kernel.any():
        kernel = np.maximum(0.0, 1 - distance / max(step, spacing))
    # Not the sum over the bins that are there: at the edges power is lost, not heaped up.
    total = np.sqrt(2 * np.pi) * width / step if width > 0.5 * step else max(step, spacing) / step
    return kernel / total
