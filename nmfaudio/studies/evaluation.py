"""Scores of stems against known references: SDR, SIR, SAR and SI-SDR in dB.

The measures are computed here because mir_eval has announced the removal of its separation module, museval
needs packages for a data set, and fast-bss-eval 0.1.4 fails with NumPy 2. Scores equal those of mir_eval.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.fft import irfft, next_fast_len, rfft
from scipy.linalg import cho_factor, cho_solve, toeplitz

from nmfaudio.errors import InputError
from nmfaudio.matching import best_pairs
from nmfaudio.sound.audio import Audio

TAPS = 512  # length of the filter by which an estimate may differ from its reference (BSS Eval version 3)
_RIDGE = 1e-10  # part of the mean power that is added to the diagonal, for silent or equal references
_TINY = 1e-12  # energy below which a signal is silent
_WORST = -60.0  # dB; score of a silent estimate

Signal = NDArray[np.float64]
Sound = ArrayLike | Audio


@dataclass(frozen=True)
class Scores:
    """Scores of one estimate in dB; higher is better.

    Attributes
    ----------
    sdr, sir, sar : float
        Ratios of source to distortion, interference and artefacts. The source is the projection of the
        estimate on delayed copies of its reference; interference is what the other references explain in
        addition, artefacts are what no reference explains, and distortion is the sum of both. Means over
        channels.
    si_sdr : float
        Ratio of source to distortion when only a gain is allowed; all channels are scored together.

    Examples
    --------
    >>> Scores(sdr=9.1, sir=14.0, sar=11.2, si_sdr=8.7).sir
    14.0
    """

    sdr: float
    sir: float
    sar: float
    si_sdr: float


def evaluate(references: Mapping[str, Sound], estimates: Mapping[str, Sound]) -> dict[str, Scores]:
    """Score estimates against the references of the same names.

    Parameters
    ----------
    references, estimates : mapping of str to array_like or Audio, shape (channels, samples)
        Sounds of the same shape. A reference without an estimate is scored as if the estimate were silent.

    Returns
    -------
    dict of str to Scores
        Scores by name. The measures are undefined for silent references, so these are left out, with a
        warning.

    Raises
    ------
    InputError
        When no name of the estimates is the name of a reference, when shapes or sample rates differ, when
        arrays are not (channels, samples), or when there is no reference that sounds.

    Warns
    -----
    UserWarning
        When silent references are left out.

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
    _check_names(references, estimates)
    _check_rates(references, estimates)
    true, estimated = _signals("reference", references), _signals("estimate", estimates)
    _check_shapes(true, estimated)
    sounding = _sounding(true)
    R = np.stack([true[name] for name in sounding])
    E = np.stack([estimated.get(name, np.zeros(R.shape[1:])) for name in sounding])
    ratios = np.array([_channel_scores(R[:, c], E[:, c]) for c in range(R.shape[1])])
    sdr, sir, sar = (_mean_over_channels(ratios[:, m]) for m in range(3))
    return {
        name: Scores(float(sdr[j]), float(sir[j]), float(sar[j]), si_sdr(R[j], E[j]))
        for j, name in enumerate(sounding)
    }


def si_sdr(reference: ArrayLike, estimate: ArrayLike) -> float:
    """Return the scale-invariant source-to-distortion ratio in dB.

    Parameters
    ----------
    reference, estimate : array_like
        Sounds of the same shape; all their samples are scored together.

    Raises
    ------
    InputError
        When the numbers of samples differ.

    Examples
    --------
    >>> round(si_sdr([1.0, 0.0], [2.0, 0.2]), 6)
    20.0
    """
    r, e = (np.ravel(np.asarray(x, np.float64)) for x in (reference, estimate))
    if r.shape != e.shape:
        raise InputError(
            f"the reference has {r.size} samples, the estimate {e.size}: bring both to one length"
        )
    if not np.any(e):
        return _WORST
    target = r * (np.dot(r, e) / (np.dot(r, r) + _TINY))
    return float(_decibels(np.dot(target, target), np.sum((e - target) ** 2)))


def best_names(references: Mapping[str, Sound], estimates: Mapping[str, Sound]) -> dict[str, str]:
    """Assign estimates to references one to one, such that the sum of SI-SDR is greatest.

    Returns
    -------
    dict of str to str
        Name of the estimate for each reference. Estimates without a reference are left out.

    Examples
    --------
    >>> sounds = {"a": [[1.0, 0.0]], "b": [[0.0, 1.0]]}
    >>> best_names(sounds, {"x": [[0.1, 1.0]], "y": [[1.0, 0.1]]})
    {'a': 'y', 'b': 'x'}
    """
    true, estimated = _signals("reference", references), _signals("estimate", estimates)
    _check_shapes(true, {})
    table = np.array([[si_sdr(r, e) for e in estimated.values()] for r in true.values()])
    rows, columns = best_pairs(np.maximum(table, _WORST))
    names, names_of_estimates = list(references), list(estimates)
    return {names[i]: names_of_estimates[j] for i, j in zip(rows, columns, strict=True)}


def _check_names(references: Mapping[str, object], estimates: Mapping[str, object]) -> None:
    if not references:
        raise InputError("there are no references: name at least one true stem")
    if not set(references) & set(estimates):
        raise InputError(
            f"no estimate has the name of a reference: estimates are {_listed(estimates)}, references are "
            f"{_listed(references)}: use the same names, or match them with best_names"
        )


def _check_rates(references: Mapping[str, object], estimates: Mapping[str, object]) -> None:
    """Check that all sounds that know their sample rate have the same one."""
    sounds = [("reference", *item) for item in references.items()]
    sounds += [("estimate", *item) for item in estimates.items()]
    rates = [(f"{kind} {name!r}", s.sample_rate) for kind, name, s in sounds if isinstance(s, Audio)]
    for label, rate in rates[1:]:
        first, expected = rates[0]
        if rate != expected:
            raise InputError(
                f"{label} has {rate} Hz, but {first} has {expected} Hz: convert them to one sample rate"
            )


def _signals(kind: str, sounds: Mapping[str, object]) -> dict[str, Signal]:
    """Return sounds as arrays (channels, samples).

    Raises
    ------
    InputError
        When a sound has another number of dimensions, no samples, or values that are not finite real
        numbers, or when it seems to have the shape (samples, channels).
    """
    return {name: _signal(f"{kind} {name!r}", sound) for name, sound in sounds.items()}


def _signal(label: str, sound: object) -> Signal:
    try:
        raw = np.asarray(sound.samples if isinstance(sound, Audio) else sound)
    except ValueError as error:
        raise InputError(f"{label} is not an array (channels, samples): {error}") from None
    if raw.dtype.kind not in "fiub":
        raise InputError(f"{label} has the type {raw.dtype}: pass real numbers, shape (channels, samples)")
    signal = np.atleast_2d(raw.astype(np.float64))
    channels, samples = signal.shape if signal.ndim == 2 else (0, 0)
    if signal.ndim != 2 or not channels or not samples:
        raise InputError(f"{label} has shape {raw.shape}: pass an array (channels, samples)")
    if channels > samples:
        raise InputError(f"{label} has shape {raw.shape}, but it must be (channels, samples): transpose?")
    if not np.isfinite(signal).all():
        raise InputError(f"{label} holds NaN or infinity: it cannot be scored")
    return signal


def _check_shapes(references: Mapping[str, Signal], estimates: Mapping[str, Signal]) -> None:
    first, *_ = references
    shape = references[first].shape
    sounds = [("reference", *item) for item in references.items()]
    sounds += [("estimate", *item) for item in estimates.items() if item[0] in references]
    for kind, name, signal in sounds:
        if signal.shape != shape:
            part = "channels" if signal.shape[0] != shape[0] else "samples"
            axis = 0 if part == "channels" else 1
            raise InputError(
                f"{kind} {name!r} has shape {signal.shape}, but reference {first!r} has {shape}: "
                f"{signal.shape[axis]} {part} instead of {shape[axis]}; bring all sounds to one shape"
            )


def _sounding(references: Mapping[str, Signal]) -> list[str]:
    """Return the names of the references that are not silent; warn of the others."""
    sounding = [name for name, r in references.items() if np.vdot(r, r) > _TINY * r.size]
    silent = [name for name in references if name not in sounding]
    if not sounding:
        raise InputError(f"all references are silent ({_listed(references)}): their scores are undefined")
    if silent:
        warnings.warn(
            f"silent references are left out, because their scores are undefined: {', '.join(silent)}",
            UserWarning,
            stacklevel=3,
        )
    return sounding


def _listed(names: Mapping[str, object]) -> str:
    return ", ".join(map(str, names)) or "none"


def _channel_scores(R: Signal, E: Signal) -> NDArray[np.float64]:
    """Return SDR, SIR and SAR of each source in one channel, (3, sources); NaN for silent references."""
    scores = np.full((3, len(R)), np.nan)
    sounding = [j for j in range(len(R)) if np.dot(R[j], R[j]) > _TINY * R.shape[1]]
    if sounding:
        scores[:, sounding] = _ratios(R[sounding], E[sounding])
    return scores


def _ratios(R: Signal, E: Signal) -> NDArray[np.float64]:
    gram, cross = _correlations(R, E)
    everything = _projected(gram, cross)
    own = np.empty(len(R))
    for j in range(len(R)):
        delays = _delays(j)
        own[j] = _projected(gram[delays, delays], cross[delays, j : j + 1])[0]
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
    """Return the inner products of all delayed references with each other and with the estimates.

    Row and column ``j * TAPS + d`` belong to reference j delayed by d samples.
    """
    count, samples = R.shape
    size = next_fast_len(samples + TAPS, real=True)
    spectra, spectra_of_estimates = rfft(R, size), rfft(E, size)
    gram = np.empty((count * TAPS, count * TAPS))
    backwards = [0, *range(-1, -TAPS, -1)]
    for i, j in combinations_with_replacement(range(count), 2):
        lags = irfft(spectra[i].conj() * spectra[j], size)  # at m: sum over t of r_i[t] r_j[t + m]
        rows, columns = _delays(i), _delays(j)
        gram[rows, columns] = toeplitz(lags[:TAPS], lags[backwards])
        gram[columns, rows] = gram[rows, columns].T
    cross = np.concatenate([irfft(s.conj() * spectra_of_estimates, size)[:, :TAPS].T for s in spectra])
    return gram, cross


def _delays(source: int) -> slice:
    return slice(source * TAPS, (source + 1) * TAPS)


def _projected(gram: Signal, cross: Signal) -> Signal:
    """Return the energy of the projection of each estimate on the delayed references, (estimates,)."""
    ridge = _RIDGE * np.trace(gram) / len(gram)
    solved = cho_solve(cho_factor(gram + ridge * np.eye(len(gram))), cross)
    return np.asarray(np.einsum("ij,ij->j", cross, solved))


def _mean_over_channels(values: Signal) -> Signal:
    """Return the mean of (channels, sources) over the channels in which each reference sounds."""
    defined = ~np.isnan(values)
    total = np.where(defined, values, 0).sum(axis=0)
    return np.where(defined.any(axis=0), total / np.maximum(defined.sum(axis=0), 1), _WORST)


def _decibels(part: ArrayLike, rest: ArrayLike) -> NDArray[np.float64]:
    return 10 * np.log10((np.asarray(part) + _TINY) / (np.asarray(rest) + _TINY))
