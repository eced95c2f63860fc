"""Prediction of hidden entries of a spectrogram, for each number of components."""

from __future__ import annotations

import numpy as np

from nmfaudio.models.options import OptionRules
from nmfaudio.nmf import CrossValidation, Divergence, cross_validate
from nmfaudio.pipeline.fitting import DEFAULT_WINDOW_SECONDS, Report
from nmfaudio.sound.analysis import analysis_blocks
from nmfaudio.sound.bands import band_starts, sum_in_bands
from nmfaudio.sound.frames import LEARNED_VALUES, channel_frames
from nmfaudio.sound.progress import Progress
from nmfaudio.sound.source import SampleSource
from nmfaudio.sound.stft import STFT
from nmfaudio.sound.window_length import check_window
from nmfaudio.studies.counting import FRAMES, MOST_COMPONENTS

_BANDS_PER_OCTAVE = 12  # neighbouring bins predict each other, so single bins are summed to bands


def predict_hidden_entries(
    mixture: SampleSource,
    *,
    most: int = 12,
    divergence: Divergence | str | float = "kl",
    window: float = DEFAULT_WINDOW_SECONDS,
    seed: int = 0,
    report: Report | None = None,
) -> CrossValidation:
    """Hide entries of a spectrogram and measure how well the others predict them, for 1 to `most` components.

    Parameters
    ----------
    mixture : Audio or AudioFile
        The recording. About 500 of its frames are used, in bands of a twelfth of an octave.
    most : int
        Greatest number of components to try; 1 to 100.
    divergence : str, float or Divergence
        Divergence of the factorization and of the prediction; on powers for `"is"`, else on magnitudes.
    window : float
        Length of the analysis window in seconds.
    seed : int
        Seed of the parts of the entries and of the starts.
    report : callable, optional
        Function that takes a `Progress`; it may raise an exception to stop the work.

    Returns
    -------
    CrossValidation
        The number that predicts best is usually larger than the number of sounds, because a few more
        components describe how sounds change.

    Raises
    ------
    OptionError
        When `most` or `window` is outside its limits.

    Examples
    --------
    >>> import nmfaudio
    >>> loop = nmfaudio.read("audio_samples/drum_loop.flac")
    >>> errors = predict_hidden_entries(loop, most=3).means
    >>> bool(errors[2] < errors[1] < errors[0])
    True
    """
    OptionRules(at_least=1, at_most=MOST_COMPONENTS).check("most", most)
    check_window(window)
    measure = Divergence.of(divergence)
    stft = STFT.lasting(window, mixture.sample_rate)
    whole = channel_frames(analysis_blocks(mixture, stft, report=report), 1, LEARNED_VALUES)
    magnitudes = np.ascontiguousarray(whole[:: -(-len(whole) // FRAMES)]).T
    starts = band_starts(stft.frequencies(mixture.sample_rate), _BANDS_PER_OCTAVE)
    V = sum_in_bands(magnitudes**2 if measure.beta == 0 else magnitudes, starts)
    notify = report or (lambda _: None)
    return cross_validate(
        V,
        range(1, min(most, *V.shape) + 1),
        divergence=measure,
        seed=seed,
        callback=lambda done, total: notify(Progress("predicting hidden entries", done, total)),
    )
