"""Phase refinement of stems: multiple-input spectrogram inversion."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nmfaudio.sound.spectrogram import Spectrogram
from nmfaudio.sound.stft import STFT


def invert_together(
    mixture: Spectrogram, stems: Mapping[str, Spectrogram], rounds: int
) -> dict[str, Spectrogram]:
    """Refine the phases of stems that were made by masks.

    A mask gives each stem the phases of the mixture. Such a spectrogram is usually not the spectrogram of any
    sound: the overlapping parts of its frames contradict each other. Each round synthesises the sounds of
    all stems, adds to each sound an equal part of the difference between the mixture and their sum, and keeps
    the phases of the spectrograms of the results. The magnitudes remain those that the masks gave. At the
    end, the remaining difference is divided among the stems in proportion to their magnitudes, so that the
    stems still sum to the mixture.

    Parameters
    ----------
    mixture : Spectrogram
    stems : mapping of str to Spectrogram
        Stems that sum to the mixture.
    rounds : int
        Number of rounds; 0 changes nothing.

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
    stft, spectra = mixture.stft, [stem.values for stem in stems.values()]
    magnitudes = [np.abs(values) for values in spectra]
    mixture_samples = stft.synthesise(mixture.values)
    for _ in range(rounds):
        sounds = [stft.synthesise(values) for values in spectra]
        correction = (mixture_samples - sum(sounds)) / len(sounds)
        for j, sound in enumerate(sounds):
            values = stft.analyse(sound + correction)
            size = np.abs(values)
            spectra[j] = values * np.divide(magnitudes[j], size, out=np.zeros_like(size), where=size > 0)
    remainder, total = mixture.values - sum(spectra), sum(magnitudes)
    relative = np.divide(remainder, total, out=remainder / len(spectra), where=total > 0)
    refined = [
        values + np.where(total > 0, magnitude * relative, relative)
        for values, magnitude in zip(spectra, magnitudes, strict=True)
    ]
    return {name: mixture.with_values(values) for name, values in zip(stems, refined, strict=True)}


def frames_reached(stft: STFT, rounds: int) -> int:
    """Return the greatest distance, in frames, over which the refinement lets one frame affect another."""
    return 2 * rounds * (-(-stft.win_length // stft.hop_length) - 1)
