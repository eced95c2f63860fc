"""Correlations of references with each other and with estimates, added up block by block."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft
from scipy.linalg import toeplitz

from nmfaudio.pipeline.fitting import Report
from nmfaudio.sound.progress import Progress
from nmfaudio.sound.source import Samples, SampleSource

TAPS = 512  # length of the filter by which an estimate may differ from its reference
_LONGEST_TRANSFORM = 1 << 14  # samples; the cross spectra of all pairs of signals stay in memory


@dataclass(frozen=True)
class Correlations:
    """Inner products of delayed references with each other and with estimates.

    Attributes
    ----------
    references : ndarray, shape (signals, signals, 2 * TAPS - 1)
        At `[i, j, TAPS - 1 + m]`: the sum over t of ``r_i[t] r_j[t + m]``. A signal is one channel of one
        reference.
    estimates : ndarray, shape (signals, estimated signals, TAPS)
        At `[i, q, m]`: the sum over t of ``r_i[t] e_q[t + m]``.
    energies : ndarray, shape (estimated signals,)
        Sums of the squares of the estimates.
    """

    references: NDArray[np.float64]
    estimates: NDArray[np.float64]
    energies: NDArray[np.float64]

    def gram(self, signals: Sequence[int]) -> NDArray[np.float64]:
        """Return the inner products of all delays of some signals, shape (n * TAPS, n * TAPS)."""
        result = np.empty((len(signals) * TAPS,) * 2)
        for i, first in enumerate(signals):
            for j, second in enumerate(signals):
                lags = self.references[first, second]
                rows, columns = (slice(k * TAPS, (k + 1) * TAPS) for k in (i, j))
                result[rows, columns] = toeplitz(lags[TAPS - 1 :], lags[TAPS - 1 :: -1])
        return result

    def cross(self, signals: Sequence[int], estimates: Sequence[int]) -> NDArray[np.float64]:
        """Return the inner products of delayed signals with estimates, shape (n * TAPS, estimates)."""
        chosen = self.estimates[np.ix_(signals, estimates)]
        return chosen.transpose(0, 2, 1).reshape(len(signals) * TAPS, len(estimates))


def correlate(
    references: Sequence[SampleSource], estimates: Sequence[SampleSource], report: Report
) -> Correlations:
    """Read references and estimates once, in blocks, and return their correlations."""
    length, margin = references[0].length, TAPS - 1
    size = min(_LONGEST_TRANSFORM, next_fast_len(length + 2 * margin, real=True))
    block = size - 2 * margin
    count, estimated = (sum(s.channels for s in sources) for sources in (references, estimates))
    spectra = np.zeros((count, count + estimated, size // 2 + 1), np.complex128)
    energies = np.zeros(estimated)
    for start in range(0, length, block):
        stop = min(start + block, length)
        wide = padded([*references, *estimates], start - margin, start + size - margin)
        narrow = wide[:, margin : margin + stop - start]
        spectra += rfft(narrow[:count], size).conj()[:, None] * rfft(wide, size)
        energies += np.sum(narrow[count:] ** 2, axis=1)
        report(Progress("correlating", stop, length))
    lags = irfft(spectra, size)[:, :, : 2 * margin + 1]
    return Correlations(lags[:, :count], lags[:, count:, margin:], energies)


def padded(sources: Sequence[SampleSource], start: int, stop: int) -> Samples:
    """Return samples `start` to `stop` of all channels of all sources; zeros outside the recordings."""
    result = np.zeros((sum(source.channels for source in sources), stop - start))
    row = 0
    for source in sources:
        first, last = max(start, 0), min(stop, source.length)
        if first < last:
            result[row : row + source.channels, first - start : last - start] = source.read(first, last)
        row += source.channels
    return result
