"""How good stems are, where the true ones are known: SDR, SIR, SAR and SI-SDR in dB.

Written here because mir_eval announces the removal of its separation module and museval rests on versions of
other packages that are gone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.fft import irfft, next_fast_len, rfft
from scipy.linalg import cho_factor, cho_solve, toeplitz

from nmfaudio.errors import InputError
from nmfaudio.matching import best_pairs

TAPS = 512  # of the filter by which an estimate may differ from its reference, as in BSS Eval version 3
_RIDGE = 1e-10  # of the mean power of the references: keeps silent and equal ones solvable
_TINY = 1e-12  # of energy: below it is silence
_WORST = -60.0  # dB: what a silent estimate gets

Signal = NDArray[np.float64]


@dataclass(frozen=True)
class Scores:
    """Scores of one estimate in dB; higher is better.

    Attributes
    ----------
    sdr, sir, sar : float
        Source to distortion, interference and artefacts: the estimate's projection on delayed copies of its
        reference against the rest, the other references, and what no reference explains. Means over channels.
    si_sdr : float
        The same with a single gain allowed, all channels together.

    Examples
    --------
    >>> Scores(sdr=9.1, sir=14.0, sar=11.2, si_sdr=8.7).sir
    14.0
    """

    sdr: float
    sir: float
    sar: float
    si_sdr: float


def evaluate(references: Mapping[str, ArrayLike], estimates: Mapping[str, ArrayLike]) -> dict[str, Scores]:
    """Score estimates against the references of the same names.

    Parameters
    ----------
    references, estimates : mapping of str to array_like, shape (channels, samples)
        Of one shape. A reference without an estimate is scored as if the estimate were silent.

    Returns
    -------
    dict of str to Scores

    Raises
    ------
    InputError
        When shapes differ or there is no reference.

    References
    ----------
    E. Vincent, R. Gribonval and C. Fevotte, "Performance measurement in blind audio source separation", IEEE
    TASLP 14(4), 2006. J. Le Roux, S. Wisdom, H. Erdogan and J. Hershey, "SDR - half-baked or well done?",
    ICASSP 2019.

    Examples
    --------
    >>> a, b = np.random.default_rng(0).standard_normal((2, 1, 4000))
    >>> scores = evaluate({"a": a, "b": b}, {"a": a + 0.1 * b, "b": b})
    >>> round(scores["a"].si_sdr)
    20
    """
    R, E = _stacked(references, estimates)
    ratios = np.array([_channel_scores(R[:, c], E[:, c]) for c in range(R.shape[1])])
    sdr, sir, sar = (_mean_over_channels(ratios[:, m]) for m in range(3))
    return {
        name: Scores(float(sdr[j]), float(sir[j]), float(sar[j]), si_sdr(R[j], E[j]))
        for j, name in enumerate(references)
    }


def si_sdr(reference: ArrayLike, estimate: ArrayLike) -> float:
    """Return the scale-invariant source-to-distortion ratio in dB.

    Parameters
    ----------
    reference, estimate : array_like
        Of one shape; all their samples count together.

    Examples
    --------
    >>> round(si_sdr([1.0, 0.0], [2.0, 0.2]), 6)
    20.0
    """
    r, e = (np.ravel(np.asarray(x, np.float64)) for x in (reference, estimate))
    if not np.any(e):
        return _WORST
    target = r * (np.dot(r, e) / (np.dot(r, r) + _TINY))
    return float(_decibels(np.dot(target, target), np.sum((e - target) ** 2)))


def best_names(references: Mapping[str, ArrayLike], estimates: Mapping[str, ArrayLike]) -> dict[str, str]:
    """Match unlabelled estimates with references such that the sum of SI-SDR is largest.

    Returns
    -------
    dict of str to str
        The estimate for each reference; estimates beyond the references are left out.

    Examples
    --------
    >>> sounds = {"a": [[1.0, 0.0]], "b": [[0.0, 1.0]]}
    >>> best_names(sounds, {"x": [[0.1, 1.0]], "y": [[1.0, 0.1]]})
    {'a': 'y', 'b': 'x'}
    """
    table = np.array([[si_sdr(r, e) for e in estimates.values()] for r in references.values()])
    rows, columns = best_pairs(np.maximum(table, _WORST))
    theirs, ours = list(references), list(estimates)
    return {theirs[i]: ours[j] for i, j in zip(rows, columns, strict=True)}


def _stacked(
    references: Mapping[str, ArrayLike], estimates: Mapping[str, ArrayLike]
) -> tuple[Signal, Signal]:
    """Return references and estimates as arrays (sources, channels, samples)."""
    if not references:
        raise InputError("there are no references: name at least one true stem")
    R = {name: np.atleast_2d(np.asarray(r, np.float64)) for name, r in references.items()}
    shape = next(iter(R.values())).shape
    E = {n: np.atleast_2d(np.asarray(estimates.get(n, np.zeros(shape)), np.float64)) for n in R}
    for what, arrays in (("reference", R), ("estimate", E)):
        for name, array in arrays.items():
            if array.shape != shape:
                raise InputError(
                    f"{what} {name!r} has shape {array.shape}, the first reference {shape}: cut them to one"
                )
    return np.stack(list(R.values())), np.stack(list(E.values()))


def _channel_scores(R: Signal, E: Signal) -> NDArray[np.float64]:
    """Return SDR, SIR, SAR of each source in one channel, (3, sources); NaN where the reference is silent."""
    found = np.full((3, len(R)), np.nan)
    live = [j for j in range(len(R)) if np.dot(R[j], R[j]) > _TINY * R.shape[1]]
    if live:
        found[:, live] = _ratios(R[live], E[live])
    return found


def _ratios(R: Signal, E: Signal) -> NDArray[np.float64]:
    gram, cross = _correlations(R, E)
    everything = _projected(gram, cross)
    own = np.empty(len(R))
    for j in range(len(R)):
        mine = _delays(j)
        own[j] = _projected(gram[mine, mine], cross[mine, j : j + 1])[0]
    energy = np.sum(E**2, axis=1)
    everything = np.clip(everything, own, None)
    interference, artefacts = everything - own, np.clip(energy - everything, 0, None)
    ratios = np.array(
        [
            _decibels(own, interference + artefacts),
            _decibels(own, interference),
            _decibels(everything, artefacts),
        ]
    )
    ratios[:, energy < _TINY] = _WORST
    return ratios


def _correlations(R: Signal, E: Signal) -> tuple[Signal, Signal]:
    """Return inner products of all delayed references with each other, and with the estimates.

    Row and column j * TAPS + d stand for reference j delayed by d samples.
    """
    count, samples = R.shape
    size = next_fast_len(samples + TAPS, real=True)
    spectra, theirs = rfft(R, size), rfft(E, size)
    gram = np.empty((count * TAPS, count * TAPS))
    backwards = [0, *range(-1, -TAPS, -1)]
    for i, j in combinations_with_replacement(range(count), 2):
        lags = irfft(spectra[i].conj() * spectra[j], size)  # at m: sum over t of r_i[t] r_j[t + m]
        rows, columns = _delays(i), _delays(j)
        gram[rows, columns] = toeplitz(lags[:TAPS], lags[backwards])
        gram[columns, rows] = gram[rows, columns].T
    cross = np.concatenate([irfft(s.conj() * theirs, size)[:, :TAPS].T for s in spectra])
    return gram, cross


def _delays(source: int) -> slice:
    return slice(source * TAPS, (source + 1) * TAPS)


def _projected(gram: Signal, cross: Signal) -> Signal:
    """Return the energy of each estimate's projection on the span of the delayed references, (estimates,)."""
    ridge = _RIDGE * np.trace(gram) / len(gram)
    solved = cho_solve(cho_factor(gram + ridge * np.eye(len(gram))), cross)
    return np.asarray(np.einsum("ij,ij->j", cross, solved))


def _mean_over_channels(values: Signal) -> Signal:
    """Return means of (channels, sources) over channels in which a source sounds; silence scores worst."""
    heard = ~np.isnan(values)
    total = np.where(heard, values, 0).sum(axis=0)
    return np.where(heard.any(axis=0), total / np.maximum(heard.sum(axis=0), 1), _WORST)


def _decibels(part: ArrayLike, rest: ArrayLike) -> NDArray[np.float64]:
    return 10 * np.log10((np.asarray(part) + _TINY) / (np.asarray(rest) + _TINY))
