"""Names of sources by their sound: percussive, low, mid or high."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

# Least change of the activations of a percussive source from frame to frame: relative to the change of its
# templates from bin to bin, and relative to the sum of the activations. Sustained sounds change far less.
RELATIVE_CHANGE, ABSOLUTE_CHANGE = 0.5, 0.45
# Limits in Hz of the median frequency, which splits the energy of a source in half: a low source lies below
# the first, a high source above the second.
LOW, HIGH = 250.0, 2000.0

Vector = NDArray[np.float64]


def source_names(
    W: NDArray[np.floating],
    H: NDArray[np.floating],
    labels: NDArray[np.intp],
    frequencies: NDArray[np.floating],
) -> tuple[str, ...]:
    """Name each source of a grouped factorization: percussive, low, mid or high, and a number.

    A source is percussive if its activations change from frame to frame at least half as much as its
    templates change from bin to bin. Other sources are named by the frequency below which half of their
    energy lies.

    Parameters
    ----------
    W : ndarray, shape (bins, components)
        Templates of magnitudes.
    H : ndarray, shape (components, frames)
        Activations.
    labels : ndarray of int, shape (components,)
        Source of each component, counted from 0.
    frequencies : ndarray, shape (bins,)
        Centre of each bin in Hz.

    Returns
    -------
    tuple of str
        Names in the order of the sources; the numbers count the sources of one kind.

    Examples
    --------
    >>> W = np.array([[0.1, 0.9], [0.2, 0.0], [0.3, 0.1], [0.4, 0.0]])
    >>> H = np.array([[9.0, 0.0, 8.0, 0.0], [5.0, 5.0, 4.0, 4.0]])
    >>> source_names(W, H, np.array([0, 1]), np.array([0.0, 1000.0, 2000.0, 3000.0]))
    ('percussive1', 'low1')
    """
    energies = (W.astype(np.float64) ** 2).sum(axis=0) * (H.astype(np.float64) ** 2).sum(axis=1)
    template_changes, activation_changes = _variation(W.T), _variation(H)
    kinds = []
    for source in range(int(labels.max()) + 1):
        members = labels == source
        weights = energies[members] if energies[members].any() else np.ones(int(members.sum()))
        spectrum = (W[:, members].astype(np.float64) ** 2) @ weights
        change = np.average(activation_changes[members], weights=weights)
        roughness = np.average(template_changes[members], weights=weights)
        percussive = change >= ABSOLUTE_CHANGE and change >= RELATIVE_CHANGE * roughness
        kinds.append("percussive" if percussive else _register(spectrum, frequencies))
    return tuple(f"{kind}{kinds[: i + 1].count(kind)}" for i, kind in enumerate(kinds))


def is_generated(name: str) -> bool:
    """Whether a name is of the kind that `source_names` gives.

    Examples
    --------
    >>> is_generated("low1"), is_generated("snare")
    (True, False)
    """
    return re.fullmatch(r"(percussive|low|mid|high)[1-9]\d*", name) is not None


def _variation(rows: NDArray[np.floating]) -> Vector:
    """Return the total change of each row from entry to entry, relative to its sum; 0 for constant rows."""
    totals = rows.sum(axis=1, dtype=np.float64)
    steps = np.abs(np.diff(rows.astype(np.float64), axis=1)).sum(axis=1)
    return np.asarray(np.divide(steps, totals, out=np.zeros_like(totals), where=totals > 0))


def _register(spectrum: Vector, frequencies: NDArray[np.floating]) -> str:
    """Return low, mid or high, by the frequency that splits the energy in half."""
    middle = np.searchsorted(np.cumsum(spectrum), 0.5 * spectrum.sum())
    frequency = float(frequencies[min(int(middle), len(frequencies) - 1)])
    return "low" if frequency < LOW else "high" if frequency >= HIGH else "mid"
