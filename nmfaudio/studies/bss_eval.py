"""BSS Eval version 4: SDR, ISR, SIR and SAR of a whole recording and of its frames.

The distortion filters are computed from the whole recording and applied to each frame, as in museval.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.fft import next_fast_len, rfft
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from nmfaudio.errors import InputError
from nmfaudio.pipeline.fitting import Report
from nmfaudio.sound.progress import Progress
from nmfaudio.sound.source import SampleSource
from nmfaudio.studies.correlations import TAPS, Correlations, padded

_RIDGES = (1e-13, 1e-10, 1e-7)  # parts of the mean power that are added to the diagonal
LIMIT = 100.0  # dB; scores of perfect estimates are not larger
WORST = -60.0  # dB; score of a silent estimate

Target = tuple[int, int]  # number of a reference, and number of the estimate that is scored against it


@dataclass(frozen=True)
class Ratios:
    """Ratios of BSS Eval version 4 in dB; higher is better.

    Attributes
    ----------
    sdr : float
        Ratio of the source to all errors; no filter and no gain is allowed.
    isr : float
        Ratio of the source to its spatial distortion, which a filter of the reference explains.
    sir : float
        Ratio of the filtered source to the interference of the other sources.
    sar : float
        Ratio of what the references explain to what they do not.

    Examples
    --------
    >>> Ratios(sdr=5.0, isr=10.0, sir=12.0, sar=7.0).isr
    10.0
    """

    sdr: float
    isr: float
    sir: float
    sar: float


class Projections:
    """Least-squares filters from references to estimates, and the scores that follow from them.

    Parameters
    ----------
    correlations : Correlations
        Correlations of all channels.
    channels : int
        Number of channels of each reference and each estimate.
    groups : sequence of sequences of (int, int)
        Pairs of a reference and an estimate that are scored; one group for each set of estimates.

    References
    ----------
    E. Vincent et al., "First stereo audio source separation evaluation campaign", ICA 2007. F.-R. Stoter,
    A. Liutkus and N. Ito, "The 2018 signal separation evaluation campaign", LVA/ICA 2018.
    """

    def __init__(self, correlations: Correlations, channels: int, groups: Sequence[Sequence[Target]]) -> None:
        self._correlations, self._channels, self.groups = correlations, channels, groups
        self.targets = tuple(dict.fromkeys(target for group in groups for target in group))
        self._signals = len(correlations.references)
        estimates = range(len(correlations.energies))
        gram = correlations.gram(range(self._signals))
        self._cross = correlations.cross(range(self._signals), estimates)
        self._all = _solved(gram, self._cross)
        self._own: dict[Target, NDArray[np.float64]] = {}
        self._distances: dict[Target, float] = {}
        for reference in sorted({j for j, _ in self.targets}):
            self._add_own(reference, gram)

    def _add_own(self, reference: int, gram: NDArray[np.float64]) -> None:
        """Solve for the filters from a reference to the estimates that are scored against it."""
        own = slice(reference * self._channels * TAPS, (reference + 1) * self._channels * TAPS)
        matrix = gram[own, own]
        targets = [target for target in self.targets if target[0] == reference]
        cross = [self._cross[own, self._numbers(e)] for _, e in targets]
        solved = _solved(matrix, np.concatenate(cross, axis=1))
        for number, target in enumerate(targets):
            self._own[target] = filters = solved[:, self._numbers(number)]
            deviation = filters.copy()
            for channel in range(self._channels):  # subtract the filter that changes nothing
                deviation[channel * TAPS, channel] -= 1
            self._distances[target] = float(np.vdot(deviation, matrix @ deviation))

    def whole(self, target: Target) -> Ratios:
        """Return the ratios of the whole recording."""
        j, e = target
        own, estimate = self._numbers(j), self._numbers(e)
        rows = slice(own.start * TAPS, own.stop * TAPS)
        energy = float(self._correlations.energies[estimate].sum())
        source = self._energy(j)
        common = float(np.trace(self._correlations.estimates[own, estimate, 0]))
        filtered = float(np.vdot(self._own[target], self._cross[rows, estimate]))
        explained = max(float(np.vdot(self._all[:, estimate], self._cross[:, estimate])), filtered)
        return _ratios(
            source,
            source - 2 * common + energy,
            self._distances[target],
            (filtered, explained - filtered),
            (explained, energy - explained),
            silent=not energy,
        )

    def si_sdr(self, target: Target) -> float:
        """Return the scale-invariant SDR in dB; all channels are scored together."""
        own, estimate = self._numbers(target[0]), self._numbers(target[1])
        energy = float(self._correlations.energies[estimate].sum())
        common = float(np.trace(self._correlations.estimates[own, estimate, 0]))
        kept = common**2 / self._energy(target[0])
        return _decibels(kept, energy - kept) if energy else WORST

    def filtered_sdr(self, target: Target) -> float:
        """Return the SDR of version 3 in dB: a filter in each channel is allowed; mean over channels."""
        scores = []
        for channel in range(self._channels):
            signal, e = (number * self._channels + channel for number in target)
            if self._correlations.references[signal, signal, TAPS - 1] <= 0:
                continue
            cross = self._correlations.cross([signal], [e])
            kept = float(np.vdot(_solved(self._correlations.gram([signal]), cross), cross))
            energy = float(self._correlations.energies[e])
            scores.append(_decibels(kept, energy - kept) if energy else WORST)
        return float(np.mean(scores))

    def frames(
        self,
        references: Sequence[SampleSource],
        estimates: Sequence[SampleSource],
        window: int,
        report: Report,
    ) -> list[tuple[int, dict[Target, Ratios]]]:
        """Return the first sample of each frame, and the ratios of the targets that are defined in it.

        Frames have `window` samples and do not overlap. As in museval, a frame has no ratios where a
        reference is silent, and none for a group of targets where one of their estimates is silent.
        Estimates that are silent in the whole recording are no obstacle.
        """
        length = references[0].length
        window = min(window, length)
        size = next_fast_len(window + TAPS - 1, real=True)
        used = {e for _, e in self.targets}
        everything = {e: self._spectra(self._all[:, self._numbers(e)], size) for e in used}
        own = {target: self._spectra(filters, size) for target, filters in self._own.items()}
        found = []
        for start in range(0, length - window + 1, window):
            R = padded(references, start, start + window)
            E = padded(estimates, start, start + window)
            if self._all_sound(R):
                spectra, spectra_of_estimates = rfft(R, size), rfft(E, size)
                ratios = {
                    target: _frame(
                        spectra,
                        spectra[self._numbers(target[0])],
                        spectra_of_estimates[self._numbers(target[1])],
                        own[target],
                        everything[target[1]],
                        size,
                    )
                    for target in self._defined(E)
                }
                found.append((start, ratios))
            report(Progress("scoring frames", start + window, length))
        return found

    def _defined(self, E: NDArray[np.float64]) -> set[Target]:
        """Return the targets of the groups whose estimates all sound in a frame."""
        whole = self._correlations.energies
        silent = {
            e for _, e in self.targets if not np.any(E[self._numbers(e)]) and np.any(whole[self._numbers(e)])
        }
        return {target for group in self.groups if not silent & {e for _, e in group} for target in group}

    def _all_sound(self, R: NDArray[np.float64]) -> bool:
        return all(np.any(R[self._numbers(j)]) for j in range(len(R) // self._channels))

    def _spectra(self, filters: NDArray[np.float64], size: int) -> NDArray[np.complex128]:
        """Return the spectra of filters, shape (signals, channels of the estimate, bins)."""
        taps = filters.reshape(-1, TAPS, self._channels).transpose(0, 2, 1)
        return np.asarray(rfft(taps, size))

    def _numbers(self, sound: int) -> slice:
        return slice(sound * self._channels, (sound + 1) * self._channels)

    def _energy(self, reference: int) -> float:
        own = self._numbers(reference)
        return float(np.trace(self._correlations.references[own, own, TAPS - 1]))


def _frame(
    spectra: NDArray[np.complex128],
    source: NDArray[np.complex128],
    estimate: NDArray[np.complex128],
    own: NDArray[np.complex128],
    everything: NDArray[np.complex128],
    size: int,
) -> Ratios:
    """Return the ratios of one frame from its spectra, which hold all energies (Parseval's theorem)."""
    filtered = np.einsum("sf,scf->cf", source, own)
    explained = np.einsum("sf,scf->cf", spectra, everything)

    def energy(values: NDArray[np.complex128]) -> float:
        squares = values.real**2 + values.imag**2
        doubled = 2 * squares.sum() - squares[:, 0].sum()
        return float(doubled - squares[:, -1].sum()) if size % 2 == 0 else float(doubled)

    return _ratios(
        energy(source),
        energy(estimate - source),
        energy(filtered - source),
        (energy(filtered), energy(explained - filtered)),
        (energy(explained), energy(estimate - explained)),
        silent=False,
    )


def _ratios(
    source: float,
    error: float,
    spatial: float,
    interference: tuple[float, float],
    artefacts: tuple[float, float],
    *,
    silent: bool,
) -> Ratios:
    sir, sar = (WORST, WORST) if silent else (_decibels(*interference), _decibels(*artefacts))
    return Ratios(_decibels(source, error), _decibels(source, spatial), sir, sar)


def _solved(gram: NDArray[np.float64], cross: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the filters that explain most of the estimates.

    The smallest ridge with which the matrix has a Cholesky factor is used: frames are more sensitive to it
    than whole recordings. Equal or silent references need a larger one.
    """
    mean = float(np.trace(gram)) / len(gram) or 1.0
    for ridge in _RIDGES:
        matrix = gram.copy()
        matrix.flat[:: len(gram) + 1] += ridge * mean
        with contextlib.suppress(LinAlgError):
            return np.asarray(cho_solve(cho_factor(matrix, overwrite_a=True), cross))
    raise InputError("the references are too much alike to tell their parts apart: leave out copies")


def _decibels(part: ArrayLike, rest: ArrayLike) -> float:
    """Return the ratio of two energies in dB, between -LIMIT and LIMIT."""
    smallest = 10 ** (-LIMIT / 10)
    a, b = max(float(np.asarray(part)), 0.0), max(float(np.asarray(rest)), 0.0)
    if a == b == 0:
        return WORST
    return float(10 * np.log10(max(a, smallest * b) / max(b, smallest * a)))
