"""Phases of stems that agree from frame to frame: multiple-input spectrogram inversion."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nmfaudio.sound.spectrogram import Spectrogram
from nmfaudio.sound.stft import STFT


def invert_together(
    mixture: Spectrogram, stems: Mapping[str, Spectrogram], rounds: int
) -> dict[str, Spectrogram]:
    """Refine the phases of stems that a mask gave those of the mixture.

    A masked spectrogram is that of no sound: overlapping frames contradict one another. Each round makes
    sounds of the stems, shares out among them what they lack to the mixture, and takes the phases of the
    spectrograms of these; magnitudes stay those of the masks. In the end what is lacking is shared out in
    proportion to the magnitudes, so that stems sum to the mixture as they did before.

    Parameters
    ----------
    mixture : Spectrogram
    stems : mapping of str to Spectrogram
        They sum to the mixture.
    rounds : int
        0 changes nothing.

    Returns
    -------
    dict of str to Spectrogram

    References
    ----------
    D. Gunawan and D. Sen, "Iterative phase estimation for the synthesis of separated sources from
    single-channel mixtures", IEEE Signal Processing Letters 17(5), 2010.

    Examples
    --------
    >>> from nmfaudio import STFT, Audio, Blocks
    >>> x = Blocks(Audio(np.random.default_rng(0).standard_normal((1, 4000)), 8000), STFT(256)).whole()
    >>> low = x.values * (np.arange(129) < 40)[:, None]
    >>> stems = {"low": x.with_values(low), "high": x.with_values(x.values - low)}
    >>> refined = invert_together(x, stems, rounds=3)
    >>> bool(np.allclose(refined["low"].values + refined["high"].values, x.values))
    True
    """
    if rounds == 0:
        return dict(stems)
    stft, found = mixture.stft, [stem.values for stem in stems.values()]
    magnitudes = [np.abs(values) for values in found]
    whole = stft.synthesise(mixture.values)
    for _ in range(rounds):
        sounds = [stft.synthesise(values) for values in found]
        lacking = (whole - sum(sounds)) / len(sounds)
        for j, sound in enumerate(sounds):
            values = stft.analyse(sound + lacking)
            size = np.abs(values)
            found[j] = values * np.divide(magnitudes[j], size, out=np.zeros_like(size), where=size > 0)
    rest, total = mixture.values - sum(found), sum(magnitudes)
    rest = np.divide(rest, total, out=rest / len(found), where=total > 0)
    shared = [
        values + np.where(total > 0, magnitude * rest, rest)
        for values, magnitude in zip(found, magnitudes, strict=True)
    ]
    return {name: mixture.with_values(values) for name, values in zip(stems, shared, strict=True)}


def frames_reached(stft: STFT, rounds: int) -> int:
    """Return how many frames away a frame can be that rounds of refinement let bear on another."""
    return 2 * rounds * (-(-stft.win_length // stft.hop_length) - 1)
