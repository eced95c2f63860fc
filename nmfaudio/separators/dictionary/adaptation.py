"""Learned templates brought nearer to a mixture: another microphone, another room, a few other sounds.

A microphone or a room colours all sounds of a source alike, and smoothly: a gain over frequency for each
source. What else differs, templates may follow by themselves, held back by what was learned.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmfaudio.dictionaries.dictionary import Dictionary
from nmfaudio.errors import OptionError
from nmfaudio.nmf import Divergence, activate, factorize
from nmfaudio.sound.bands import BANDS_AN_OCTAVE, band_starts, in_bands

ADAPTATIONS = ("none", "gain", "templates")
GAIN_HOLD = 0.1  # of the mixture in an octave: how strongly the gains of each source there are held at 1
TEMPLATE_HOLD = 30.0  # times the mean level of a template in the mixture: how strongly it is held
FRAMES = 1000  # of the mixture, evenly spread, that are looked at
_GAIN_UPDATES, _TEMPLATE_UPDATES, _FIRST_UPDATES = 20, 10, 30
_LOWEST_HZ = 60.0  # the first knot of the gains; below it they are level
_FLOOR = 1e-9  # of the mean, in the model: it keeps quotients finite
_TOLD_DB = 1.0  # changes below are not worth a word

Real = NDArray[np.float64]
Mask = NDArray[np.bool_]


def check_adaptation(name: str) -> None:
    """Check that there is an adaptation of that name.

    Raises
    ------
    OptionError
        Naming those that there are.
    """
    if name not in ADAPTATIONS:
        raise OptionError(f"adapt={name!r}: use one of {', '.join(ADAPTATIONS)}")


@dataclass(frozen=True)
class Gains:
    """A smooth gain over frequency for each source, linear between knots an octave apart.

    Attributes
    ----------
    knots : ndarray, shape (knots,)
        In Hz.
    values : ndarray, shape (sources, knots)
        1 where a source sounds as it was learned.
    objective : ndarray, shape (updates,)
        The divergence and what holds the gains, before each update. Never rises.

    Examples
    --------
    >>> gains = Gains(np.array([60.0, 120.0]), np.array([[1.0, 3.0]]), np.zeros(1))
    >>> gains.at(np.array([10.0, 60 * 2**0.5])).round(6)
    array([[1., 2.]])
    """

    knots: Real
    values: Real
    objective: Real

    def at(self, frequencies: Real) -> Real:
        """Return the gain of each source at frequencies in Hz, shape (sources, frequencies)."""
        return np.asarray(self.values @ _bumps(self.knots, frequencies).T)

    def told(self, sources: tuple[str, ...], magnitude_power: float) -> tuple[str, ...]:
        """Say of each source how far its gains, of magnitudes to an exponent, went."""
        decibels = 20 / magnitude_power * np.log10(self.values)
        return tuple(map(self._line, sources, decibels))

    def _line(self, source: str, decibels: Real) -> str:
        low, high = int(decibels.argmin()), int(decibels.argmax())
        if max(-decibels[low], decibels[high]) < _TOLD_DB:
            return f"{source}: it sounds here as it was learned"
        changes = [f"{decibels[k]:+.0f} dB around {self.knots[k]:.0f} Hz" for k in (low, high)]
        return f"{source}: adapted to how it sounds here, {changes[0]} to {changes[1]}"


def fit_gains(
    V: NDArray[Any],
    W: NDArray[Any],
    labels: NDArray[np.intp],
    frequencies: Real,
    *,
    sources: int,
    beta: float = 1.0,
    hold: float = GAIN_HOLD,
    iterations: int = _GAIN_UPDATES,
    allowed: Mask | None = None,
) -> Gains:
    """Find the smooth gain over frequency of each source with which its templates explain a mixture best.

    With B the knots' triangular bumps, which sum to one, and a the gains there, the model is
    sum_k diag(B a_j(k)) w_k h_k. It is linear in a as in H, so that the same multiplicative updates descend
    in both in turn. The gains are held by hold * (sum of V^beta) / knots times d(1 | a), the divergence that
    V has too: as if each had been measured once more, to be 1.

    Parameters
    ----------
    V : ndarray, shape (bands, frames)
    W : ndarray, shape (bands, components)
    labels : ndarray of int, shape (components,)
        The source of each component; those of sources from `sources` on have no gain.
    frequencies : ndarray, shape (bands,)
        In Hz.
    sources : int
        How many have a gain.
    beta : float
    hold : float
    iterations : int
    allowed : ndarray of bool, shape (components, frames), optional
        Which component may sound when.

    Returns
    -------
    Gains

    References
    ----------
    C. Fevotte and J. Idier, "Algorithms for nonnegative matrix factorization with the beta-divergence",
    Neural Computation 23(9), 2011 (the updates, for any factor in which the model is linear).

    Examples
    --------
    >>> frequencies = 60 * 2 ** np.arange(0, 4, 0.25)
    >>> shape, level = np.linspace(1, 4, 16), np.array([[1.0, 2.0]])
    >>> coloured = np.outer(shape * np.linspace(1, 2, 16), level)
    >>> found = fit_gains(coloured, shape[:, None], np.zeros(1, int), frequencies, sources=1, hold=0.01)
    >>> (found.values[0, -1] / found.values[0, 0]).round(1)
    np.float64(2.0)
    """
    fit = _GainFit(V, W, labels, _knots(frequencies), frequencies, beta, sources, hold, allowed)
    objective = [fit.step() for _ in range(iterations)]
    return Gains(fit.knots, fit.gains, np.array(objective))


class _GainFit:
    """Activations and gains, updated in turn."""

    def __init__(
        self,
        V: NDArray[Any],
        W: NDArray[Any],
        labels: NDArray[np.intp],
        knots: Real,
        frequencies: Real,
        beta: float,
        sources: int,
        hold: float,
        allowed: Mask | None,
    ) -> None:
        self.knots = knots
        self.gains = np.ones((sources, len(knots)))
        self._divergence, self._labels = Divergence(beta), labels
        self._bumps = _bumps(knots, frequencies)
        self._floor = _FLOOR * max(float(V.mean()), np.finfo(float).tiny)
        self._V = V.astype(np.float64) + (self._floor if beta < 1 else 0)
        self._W = W.astype(np.float64)
        self._hold = hold * float((self._V**beta).sum()) / len(knots)
        self._owners = np.eye(max(sources, int(labels.max()) + 1))[labels][:, :sources]
        first = activate(V, W, divergence=beta, allowed=allowed, iterations=_FIRST_UPDATES, tolerance=0)
        self._H = first.H.astype(np.float64)

    def step(self) -> float:
        """Update both once; return the objective before."""
        W = self._coloured()
        above, below, objective = self._quotients(W)
        self._H *= self._ratio(W.T @ above, W.T @ below)
        above, below, _ = self._quotients(W)
        gain, weight = (self._by_knot(part) for part in (above, below))
        beta, a = self._divergence.beta, self.gains
        pull = a ** (beta - 2)
        self.gains = a * self._ratio(gain + self._hold * pull, weight + self._hold * pull * a)
        return objective + self._hold * float(self._divergence.between(np.ones_like(a), a))

    def _coloured(self) -> Real:
        """Return the templates under the gains."""
        curves = np.vstack([self.gains @ self._bumps.T, np.ones((1, len(self._W)))])
        return np.asarray(self._W * curves[np.minimum(self._labels, len(self.gains))].T)

    def _quotients(self, W: Real) -> tuple[Real, Real, float]:
        model = W @ self._H + self._floor
        below = model ** (self._divergence.beta - 1)
        objective = float(self._divergence.between(self._V, model))
        return self._V * below / model, below, objective

    def _by_knot(self, part: Real) -> Real:
        """Return the sums of a part of the quotient over what belongs to each gain, (sources, knots)."""
        return np.asarray((self._bumps.T @ (self._W * (part @ self._H.T)) @ self._owners).T)

    def _ratio(self, above: Real, below: Real) -> Real:
        ratio = np.divide(above, below, out=np.ones_like(above), where=below > 0)
        return np.asarray(ratio**self._divergence.exponent)


def adapted(
    dictionary: Dictionary,
    V: NDArray[np.float32],
    how: str,
    *,
    free: NDArray[Any] | None = None,
    allowed: Mask | None = None,
) -> tuple[Dictionary, tuple[str, ...]]:
    """Return a dictionary whose templates sound more like a mixture.

    Parameters
    ----------
    dictionary : Dictionary
    V : ndarray, shape (bins, frames)
        Of the mixture, through the dictionary's settings, to its exponent.
    how : {"none", "gain", "templates"}
        A gain for each source, or templates that move by themselves as well.
    free : ndarray, shape (bins, free), optional
        Templates of what the dictionary does not know; they stay as they are.
    allowed : ndarray of bool, shape (components and free ones, frames), optional
        Which component may sound when.

    Returns
    -------
    Dictionary
    tuple of str
        What was done to each source.
    """
    if how == "none" or not V.any():
        return dictionary, ()
    W = dictionary.templates if free is None else np.hstack([dictionary.templates, free])
    frequencies = dictionary.stft.frequencies(dictionary.sample_rate)
    heard = int(np.flatnonzero(W.any(axis=1))[-1]) + 1
    starts = band_starts(frequencies, BANDS_AN_OCTAVE)
    starts = starts[starts < heard]
    numbers = [dictionary.sources.index(label) for label in dictionary.labels]
    labels = np.array([*numbers, *[len(dictionary.sources)] * (W.shape[1] - len(numbers))])
    gains = fit_gains(
        np.ascontiguousarray(in_bands(V[:heard], starts).T).T,
        in_bands(W[:heard], starts),
        labels,
        frequencies[starts],
        sources=len(dictionary.sources),
        beta=dictionary.beta,
        allowed=allowed,
    )
    curves = gains.at(frequencies)[numbers].T.astype(np.float32)
    found = replace(dictionary, templates=dictionary.templates * curves)
    if how == "templates":
        found = _moved(found, V, free, allowed)
    return found, gains.told(dictionary.sources, dictionary.magnitude_power)


def _moved(
    dictionary: Dictionary, V: NDArray[np.float32], free: NDArray[Any] | None, allowed: Mask | None
) -> Dictionary:
    """Let templates follow the mixture, each held by a frame that is that template as it was.

    To fit a frame s w by a template of unit sum, and by nothing else, costs s^beta d(w | w'): under Kullback-
    Leibler what a Dirichlet prior around w would. The updates descend in it as in the mixture's divergence.
    """
    W = dictionary.templates if free is None else np.hstack([dictionary.templates, free])
    rank, own = W.shape[1], len(dictionary.labels)
    H = activate(V, W, divergence=dictionary.beta, allowed=allowed, iterations=_FIRST_UPDATES, tolerance=0).H
    level = TEMPLATE_HOLD * max(float(H.sum(dtype=np.float64)) / rank, np.finfo(np.float32).tiny)
    own_only = np.eye(rank, own)
    found = factorize(
        np.concatenate([V.T, level * dictionary.templates.T], dtype=np.float32).T,
        rank,
        divergence=dictionary.beta,
        init=(W, np.hstack([H, level * own_only]).astype(np.float32)),  # zeros stay zeros
        iterations=_TEMPLATE_UPDATES,
        tolerance=0,
    )
    return replace(dictionary, templates=found.W[:, :own])


def _knots(frequencies: Real) -> Real:
    """Return frequencies an octave apart, from the lowest that matters to the highest there is."""
    octaves = np.log2(max(float(frequencies[-1]), 2 * _LOWEST_HZ) / _LOWEST_HZ)
    return np.asarray(_LOWEST_HZ * 2.0 ** np.arange(int(np.ceil(octaves)) + 1))


def _bumps(knots: Real, frequencies: Real) -> Real:
    """Return how near each frequency is to each knot, shape (frequencies, knots); rows sum to one."""
    place = np.log2(np.maximum(frequencies, knots[0]) / knots[0]).clip(0, len(knots) - 1)
    return np.asarray(np.maximum(0, 1 - np.abs(place[:, None] - np.arange(len(knots)))))
