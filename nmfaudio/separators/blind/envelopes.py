"""Description of components by the shape of their activations over time.

Sources differ in how their sounds begin, end and fluctuate, whatever the notes are: a plucked string rises
at once and decays slowly, a bowed one rises and falls alike, speech changes faster than an orchestra, and
the level of noise fluctuates from frame to frame.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Standard deviations of the Gaussian windows that smooth the activations, in seconds.
SHORT, MEDIUM, LONG = 0.02, 0.06, 0.25
# Distance that equals one standard deviation of each feature of the envelopes in a recording. Its unit is
# that of the mel cepstra of templates, to which the envelopes are added.
WEIGHT = 2.0

# A fifth of the usual spread of each feature over the components of a recording. It is added to the standard
# deviations, so that tiny differences do not count.
_LEAST_SPREAD = np.array([0.07, 0.08, 0.19, 0.14])
_SILENCE = 1e-3  # added to activations, of which the mean is 1
_SLOWEST = 1e-2  # change per second, relative to the mean activation, below which slower changes look alike
_SMALLEST_PART = 1e-3  # of the fluctuation; smaller parts look alike

Vector = NDArray[np.float64]


def envelope_points(
    H: NDArray[np.floating], channels: int, energies: Vector, frames_per_second: float
) -> Vector:
    """Return the shapes of the envelopes, shape (components, 4), relative to their spread in the recording.

    In the spread, components count in proportion to the roots of their energies.

    Parameters
    ----------
    H, channels, frames_per_second
        As for `envelope_shapes`.
    energies : ndarray, shape (components,)
        Energy of each component; not all are zero.
    """
    shapes = envelope_shapes(H, channels, frames_per_second)
    parts = np.sqrt(energies) / np.sqrt(energies).sum()
    deviations = shapes - parts @ shapes
    return np.asarray(WEIGHT * deviations / (np.sqrt(parts @ deviations**2) + _LEAST_SPREAD))


def envelope_shapes(H: NDArray[np.floating], channels: int, frames_per_second: float) -> Vector:
    """Describe how the activations of each component change over time.

    The activations of all channels are added, divided by their mean, and smoothed. The description consists
    of four natural logarithms: the mean speed of change; the energy of the rises relative to that of the
    falls; and the parts of the fluctuation that are faster than `SHORT` and slower than `LONG`. The level of
    a component does not matter.

    Parameters
    ----------
    H : ndarray, shape (components, channels * frames)
        Activations of successive frames, channel after channel.
    channels : int
        Number of channels.
    frames_per_second : float
        Number of frames in a second.

    Returns
    -------
    ndarray, shape (components, 4)

    Examples
    --------
    >>> time = np.arange(400) / 100
    >>> plucked, bowed = np.exp(-5 * (time % 1)), 1 - np.cos(2 * np.pi * time)
    >>> shapes = envelope_shapes(np.stack([plucked, bowed]), 1, 100.0)
    >>> bool(shapes[0, 1] > shapes[1, 1])  # a plucked string rises faster than it falls
    True
    """
    h = H.reshape(len(H), channels, -1).sum(axis=1, dtype=np.float64)
    mean = h.mean(axis=1, keepdims=True)
    h = np.divide(h, mean, out=np.zeros_like(h), where=mean > 0) + _SILENCE
    short, medium, long = (_smoothed(h, seconds * frames_per_second) for seconds in (SHORT, MEDIUM, LONG))
    change = np.diff(short, axis=1, prepend=short[:, :1]) * frames_per_second
    rise, fall = (np.mean(np.maximum(sign * change, 0) ** 2, axis=1) + _SLOWEST**2 for sign in (1, -1))
    fast, slow = np.mean((h - short) ** 2, axis=1), long.var(axis=1)
    between = np.mean((short - medium) ** 2 + (medium - long) ** 2, axis=1)
    whole = fast + between + slow + _SILENCE**2
    values = (np.abs(change).mean(axis=1) + _SLOWEST, rise / fall)
    parts = (fast / whole + _SMALLEST_PART, slow / whole + _SMALLEST_PART)
    return np.asarray(np.log(np.stack([*values, *parts], axis=1)))


def _smoothed(h: Vector, frames: float) -> Vector:
    """Return activations smoothed by a Gaussian window of this standard deviation."""
    from scipy.ndimage import gaussian_filter1d  # here, because loading it takes time

    return np.asarray(gaussian_filter1d(h, frames, axis=1))
