"""What the kernel computes, once more in numpy and in float64: the twin that it is tested against."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nmfaudio import STFT, Dictionary
from nmfaudio.live.exported import PluginSettings

Array = NDArray[np.float64]
OVERLAP = 4  # frames in the length of a window
BANDS_PER_OCTAVE = 24


def window_length(seconds: float, sample_rate: float) -> int:
    """Return the samples of the window, which are the latency.

    Examples
    --------
    >>> window_length(0.046, 44100), window_length(0.0116, 48000)
    (2048, 512)
    """
    return 1 << min(round(math.log2(max(seconds * sample_rate, 64))), 16)


@dataclass(frozen=True)
class Reference:
    """The separation of a whole recording as the kernel does it.

    Parameters
    ----------
    dictionary : Dictionary
        At the recording's sample rate and with the window of the settings: see `reference_for`.
    settings : PluginSettings
    """

    dictionary: Dictionary
    settings: PluginSettings

    @property
    def n_fft(self) -> int:
        """Samples of the window."""
        return self.dictionary.stft.n_fft

    @property
    def _starts(self) -> NDArray[np.intp]:
        """First bins of the bands of a 24th of an octave."""
        bins = np.arange(self._known)
        numbers = np.zeros(self._known, int)
        numbers[1:] = 1 + np.round(BANDS_PER_OCTAVE * np.log2(bins[1:]) + 1e-9).astype(int)
        return np.flatnonzero(np.diff(numbers, prepend=-1))

    @property
    def _known(self) -> int:
        return int(np.flatnonzero(self.dictionary.templates.any(axis=1))[-1]) + 1

    def process(self, samples: Array, gains: Mapping[str, float]) -> Array:
        """Return the output, as late as the kernel's, shape (channels, samples).

        Parameters
        ----------
        samples : ndarray, shape (channels, samples)
        gains : mapping of str to float
            Factors of the sources; those that are not named have 1.
        """
        n, hop = self.n_fft, self.n_fft // OVERLAP
        window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n)
        padded = np.pad(samples, ((0, 0), (n, n)))
        output = np.zeros((len(samples), padded.shape[1] + n))
        for stop in range(hop, samples.shape[1] + 1, hop):
            frame = padded[:, stop : stop + n]
            X = np.fft.rfft(frame * window)
            gain = self._gain(np.abs(X).mean(axis=0) ** self.dictionary.magnitude_power, gains)
            output[:, stop : stop + n] += np.fft.irfft(X * gain, n) * window * (8 / 3 / OVERLAP)
        return output[:, : samples.shape[1]]

    def _gain(self, V: Array, gains: Mapping[str, float]) -> Array:
        banded = np.add.reduceat(V[: self._known], self._starts)
        silent = banded.sum() <= 1e-18
        count = len(self.dictionary.labels)
        h = np.full(count, 1 / count) if silent else self._activations(banded)
        powers = np.stack([self._power(members, h) for members in self.dictionary.members.values()])
        loudest = powers.max(axis=0)
        safe = np.where(loudest > 0, loudest, 1)
        exponent = self.settings.sharpness / self.dictionary.magnitude_power
        shares = np.where(loudest > 0, powers / safe, 1) ** exponent
        factors = np.array([gains.get(source, 1.0) for source in self.dictionary.sources])
        return np.asarray(factors @ shares / shares.sum(axis=0))

    def _activations(self, banded: Array) -> Array:
        W = np.add.reduceat(self.dictionary.templates[: self._known].astype(float), self._starts, axis=0)
        W /= W.sum(axis=0)
        v = banded / banded.mean()
        h = np.full(W.shape[1], len(v) / W.shape[1])
        beta = self.dictionary.beta
        step = 1 / (2 - beta) if beta < 1 else 1 / (beta - 1) if beta > 2 else 1
        for _ in range(self.settings.iterations):
            model = W @ h + (1e-12 if beta >= 0 else 1e-9)
            h = h * ((W.T @ (v * model ** (beta - 2))) / (W.T @ model ** (beta - 1))) ** step
        return np.asarray(h / len(v))

    def _power(self, members: NDArray[np.intp], h: Array) -> Array:
        power = self.dictionary.templates[:, members].astype(float) @ h[members]
        if self._known < len(power):
            power[self._known :] = power[int(self._known * 2 ** (-1 / 3)) : self._known].mean()
        return np.asarray(power)


def reference_for(dictionary: Dictionary, settings: PluginSettings, sample_rate: int) -> Reference:
    """Return the twin of the kernel at a sample rate.

    Examples
    --------
    >>> dictionary = Dictionary(np.eye(1025, 2) + 0.01, ["a", "b"], 44100, STFT(2048))
    >>> reference_for(dictionary, PluginSettings("duo"), 48000).n_fft
    2048
    """
    stft = STFT(window_length(settings.window, sample_rate))
    return Reference(dictionary.to_settings(sample_rate, stft), settings)
