"""Names of sources that say what they are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# What strikes changes from frame to frame about as much as from bin to bin; what sounds on, far less.
STRIKING, ABRUPT = 0.5, 0.45
# Hz: half of the energy of what is called low lies below the first, of what is called high above the second.
LOW, HIGH = 250.0, 2000.0

_FREQUENCY_SHARE = 0.5

Vector = NDArray[np.float64]


def source_names(
    W: NDArray[np.floating],
    H: NDArray[np.floating],
    labels: NDArray[np.intp],
    frequencies: NDArray[np.floating],
) -> tuple[str, ...]:
    """Name each source of a grouped factorization: percussive, low, mid or high, and a number.

    A source is percussive where its activations jump from frame to frame at least half as much as its
    templates do from bin to bin. The others are named by where the middle of their energy lies.

    Parameters
    ----------
    W : ndarray, shape (bins, components)
        Templates of magnitudes.
    H : ndarray, shape (components, frames)
        Activations.
    labels : ndarray of int, shape (components,)
        The source of each component, from 0.
    frequencies : ndarray, shape (bins,)
        Centre of each bin in Hz.

    Returns
    -------
    tuple of str
        Numbers count within a kind, in the order of the sources.

    Examples
    --------
    >>> W = np.array([[0.1, 0.9], [0.2, 0.0], [0.3, 0.1], [0.4, 0.0]])
    >>> H = np.array([[9.0, 0.0, 8.0, 0.0], [5.0, 5.0, 4.0, 4.0]])
    >>> source_names(W, H, np.array([0, 1]), np.array([0.0, 1000.0, 2000.0, 3000.0]))
    ('percussive1', 'low1')
    """
    energies = (W.astype(np.float64) ** 2).sum(axis=0) * (H.astype(np.float64) ** 2).sum(axis=1)
    rough, abrupt = _variation(W.T), _variation(H)
    kinds = []
    for source in range(int(labels.max()) + 1):
        members = labels == source
        weights = energies[members] if energies[members].any() else np.ones(int(members.sum()))
        spectrum = (W[:, members].astype(np.float64) ** 2) @ weights
        change = np.average(abrupt[members], weights=weights)
        strikes = change >= ABRUPT and change >= STRIKING * np.average(rough[members], weights=weights)
        kinds.append("percussive" if strikes else _register(spectrum, frequencies))
    return tuple(f"{kind}{kinds[: i + 1].count(kind)}" for i, kind in enumerate(kinds))


def _variation(rows: NDArray[np.floating]) -> Vector:
    """Return how much each row changes from entry to entry, relative to its sum: 0 where it is constant."""
    totals = rows.sum(axis=1, dtype=np.float64)
    steps = np.abs(np.diff(rows.astype(np.float64), axis=1)).sum(axis=1)
    return np.asarray(np.divide(steps, totals, out=np.zeros_like(totals), where=totals > 0))


def _register(spectrum: Vector, frequencies: NDArray[np.floating]) -> str:
    middle = np.searchsorted(np.cumsum(spectrum), _FREQUENCY_SHARE * spectrum.sum())
    frequency = float(frequencies[min(int(middle), len(frequencies) - 1)])
    return "low" if frequency < LOW else "high" if frequency >= HIGH else "mid"
