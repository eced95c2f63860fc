"""Adaptation of learned templates to a mixture that was recorded differently.

A microphone or a room colours all sounds of a source in the same smooth manner: a gain over frequency for
each source. For other differences, the templates themselves can move; a penalty holds them near what was
learned.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmfaudio.dictionaries.dictionary import Dictionary
from nmfaudio.errors import OptionError
from nmfaudio.nmf import activate, factorize
from nmfaudio.nmf.group_gains import fit_group_gains
from nmfaudio.sound.bands import BANDS_PER_OCTAVE, band_starts, sum_in_bands

ADAPTATIONS = ("none", "gain", "templates")
GAIN_HOLD = 0.1  # weight of the penalty that holds gains near 1, relative to the mixture's level in an octave
TEMPLATE_HOLD = 30.0  # weight of the penalty on moved templates, in mean levels of a template in the mixture
FRAMES = 1000  # largest number of frames of the mixture, evenly spaced, to which templates are adapted
_GAIN_UPDATES, _TEMPLATE_UPDATES, _ACTIVATION_UPDATES = 20, 10, 30
_LOWEST_KNOT_HZ = 60.0  # first knot of the gains; below it they are constant
_REPORTED_DB = 1.0  # smaller changes are reported as no change

Real = NDArray[np.float64]
Mask = NDArray[np.bool_]


def check_adaptation(name: str) -> None:
    """Check that there is an adaptation of that name.

    Raises
    ------
    OptionError
        When there is none; the message lists the names that exist.
    """
    if name not in ADAPTATIONS:
        raise OptionError(f"adapt={name!r}: use one of {', '.join(ADAPTATIONS)}", option="adapt")


@dataclass(frozen=True)
class Gains:
    """A smooth gain over frequency for each source, linear in log-frequency between knots an octave apart.

    Attributes
    ----------
    knots : ndarray, shape (knots,)
        Frequencies in Hz.
    values : ndarray, shape (sources, knots)
        Gain of each source at each knot; 1 where the source sounds as it was learned.
    objective : ndarray, shape (updates,)
        Divergence plus the penalty of the gains, before each update. It never rises.

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
        return np.asarray(self.values @ _knot_weights(self.knots, frequencies).T)

    def messages(self, sources: tuple[str, ...], magnitude_power: float) -> tuple[str, ...]:
        """Return one message for each source about its gains, which apply to magnitudes to this power."""
        decibels = 20 / magnitude_power * np.log10(self.values)
        return tuple(map(self._message, sources, decibels))

    def _message(self, source: str, decibels: Real) -> str:
        low, high = int(decibels.argmin()), int(decibels.argmax())
        if max(-decibels[low], decibels[high]) < _REPORTED_DB:
            return f"{source}: sounds in the mixture as it was learned"
        changes = [f"{decibels[k]:+.0f} dB around {self.knots[k]:.0f} Hz" for k in (low, high)]
        return f"{source}: adapted to its sound in the mixture, by {changes[0]} to {changes[1]}"


def fit_gains(
    V: NDArray[Any],
    W: NDArray[Any],
    labels: NDArray[np.intp],
    frequencies: Real,
    *,
    beta: float = 1.0,
    hold: float = GAIN_HOLD,
    iterations: int = _GAIN_UPDATES,
    allowed: Mask | None = None,
) -> Gains:
    """Find the smooth gain over frequency of each source with which its templates explain a mixture best.

    The gains are linear between knots an octave apart; see `nmfaudio.nmf.group_gains` for the objective.

    Parameters
    ----------
    V : ndarray, shape (bands, frames)
    W : ndarray, shape (bands, components)
    labels : ndarray of int, shape (components,)
        Source of each component; components with the label -1 have no gain.
    frequencies : ndarray, shape (bands,)
        Frequencies of the bands in Hz.
    beta : float
        Parameter of the divergence.
    hold : float
        Weight of the penalty that holds the gains near 1.
    iterations : int
        Number of updates.
    allowed : ndarray of bool, shape (components, frames), optional
        Frames in which each component may sound.

    Returns
    -------
    Gains

    Examples
    --------
    >>> frequencies = 60 * 2 ** np.arange(0, 4, 0.25)
    >>> shape, level = np.linspace(1, 4, 16), np.array([[1.0, 2.0]])
    >>> coloured = np.outer(shape * np.linspace(1, 2, 16), level)
    >>> gains = fit_gains(coloured, shape[:, None], np.zeros(1, int), frequencies, hold=0.01)
    >>> (gains.values[0, -1] / gains.values[0, 0]).round(1)
    np.float64(2.0)
    """
    knots = _knots(frequencies)
    fitted = fit_group_gains(
        V,
        W,
        labels,
        _knot_weights(knots, frequencies),
        beta=beta,
        hold=hold,
        iterations=iterations,
        allowed=allowed,
    )
    return Gains(knots, fitted.values, fitted.objective)


def adapted(
    dictionary: Dictionary,
    V: NDArray[np.float32],
    adaptation: str,
    *,
    free: NDArray[Any] | None = None,
    allowed: Mask | None = None,
) -> tuple[Dictionary, tuple[str, ...]]:
    """Return a dictionary whose templates are closer to the sounds of a mixture.

    Parameters
    ----------
    dictionary : Dictionary
    V : ndarray, shape (bins, frames)
        Magnitudes of the mixture, with the dictionary's STFT settings and raised to its magnitude power.
    adaptation : {"none", "gain", "templates"}
        `gain` finds a gain for each source; `templates` also moves each template.
    free : ndarray, shape (bins, free), optional
        Templates of sounds that are not in the dictionary; they are not changed.
    allowed : ndarray of bool, shape (components + free, frames), optional
        Frames in which each component may sound.

    Returns
    -------
    Dictionary
    tuple of str
        One message for each source about how it was changed.
    """
    if adaptation == "none" or not V.any():
        return dictionary, ()
    source_of_each = np.array([dictionary.sources.index(label) for label in dictionary.labels])
    gains = _gains_in_bands(dictionary, source_of_each, V, free, allowed)
    frequencies = dictionary.stft.frequencies(dictionary.sample_rate)
    curves = gains.at(frequencies)[source_of_each].T.astype(np.float32)
    result = replace(dictionary, templates=dictionary.templates * curves)
    if adaptation == "templates":
        result = _with_moved_templates(result, V, free, allowed)
    return result, gains.messages(dictionary.sources, dictionary.magnitude_power)


def _gains_in_bands(
    dictionary: Dictionary,
    source_of_each: NDArray[np.intp],
    V: NDArray[np.float32],
    free: NDArray[Any] | None,
    allowed: Mask | None,
) -> Gains:
    """Fit the gains in frequency bands, up to the highest bin that a template covers."""
    W = _with_free(dictionary, free)
    frequencies = dictionary.stft.frequencies(dictionary.sample_rate)
    covered_bins = int(np.flatnonzero(W.any(axis=1))[-1]) + 1
    starts = band_starts(frequencies, BANDS_PER_OCTAVE)
    starts = starts[starts < covered_bins]
    no_gain = np.full(W.shape[1] - len(source_of_each), -1)
    return fit_gains(
        np.ascontiguousarray(sum_in_bands(V[:covered_bins], starts).T).T,
        sum_in_bands(W[:covered_bins], starts),
        np.concatenate([source_of_each, no_gain]),
        frequencies[starts],
        beta=dictionary.beta,
        allowed=allowed,
    )


def _with_moved_templates(
    dictionary: Dictionary, V: NDArray[np.float32], free: NDArray[Any] | None, allowed: Mask | None
) -> Dictionary:
    """Factorize the mixture together with one extra frame for each template, which equals that template.

    The extra frame s w penalises a moved template w' of unit sum with s^beta d(w | w'): for Kullback-Leibler
    this is a Dirichlet prior around w. The usual updates therefore minimise divergence and penalty together.
    """
    W = _with_free(dictionary, free)
    rank, own = W.shape[1], len(dictionary.labels)
    H = activate(
        V, W, divergence=dictionary.beta, allowed=allowed, iterations=_ACTIVATION_UPDATES, tolerance=0
    ).H
    level = TEMPLATE_HOLD * max(float(H.sum(dtype=np.float64)) / rank, np.finfo(np.float32).tiny)
    own_only = np.eye(rank, own)
    factorization = factorize(
        np.concatenate([V.T, level * dictionary.templates.T], dtype=np.float32).T,
        rank,
        divergence=dictionary.beta,
        init=(W, np.hstack([H, level * own_only]).astype(np.float32)),  # zeros stay zero
        iterations=_TEMPLATE_UPDATES,
        tolerance=0,
    )
    return replace(dictionary, templates=factorization.W[:, :own])


def _with_free(dictionary: Dictionary, free: NDArray[Any] | None) -> NDArray[Any]:
    """Return the templates of the dictionary, followed by the free ones."""
    return dictionary.templates if free is None else np.hstack([dictionary.templates, free])


def _knots(frequencies: Real) -> Real:
    """Return knots an octave apart that cover the frequencies."""
    octaves = np.log2(max(float(frequencies[-1]), 2 * _LOWEST_KNOT_HZ) / _LOWEST_KNOT_HZ)
    return np.asarray(_LOWEST_KNOT_HZ * 2.0 ** np.arange(int(np.ceil(octaves)) + 1))


def _knot_weights(knots: Real, frequencies: Real) -> Real:
    """Return the weight of each knot at each frequency, shape (frequencies, knots); rows sum to one."""
    position = np.log2(np.maximum(frequencies, knots[0]) / knots[0]).clip(0, len(knots) - 1)
    return np.asarray(np.maximum(0, 1 - np.abs(position[:, None] - np.arange(len(knots)))))
