"""Number of components that a recording needs, by the evidence of `nmfaudio.nmf.rank`."""

from __future__ import annotations

import numpy as np

from nmfaudio.models.options import OptionRules
from nmfaudio.nmf import Divergence, Recommendation, recommend, relevant_rank, stability
from nmfaudio.pipeline.fitting import DEFAULT_WINDOW_SECONDS, Report
from nmfaudio.sound.analysis import analysis_blocks
from nmfaudio.sound.frames import LEARNED_VALUES, channel_frames
from nmfaudio.sound.progress import Progress
from nmfaudio.sound.source import SampleSource
from nmfaudio.sound.stft import STFT
from nmfaudio.sound.window_length import check_window

# Limits of the work, which grows with the square of the number of components: 100 take some minutes.
MOST_COMPONENTS, MOST_RESTARTS = 100, 100

FRAMES = 512  # evenly spaced frames of the spectrogram; more frames would hardly change the result

# Powers of Gaussian noise have the dispersion 1, and neighbouring bins of a Hann window contain the same
# noise about twice.
_DISPERSION = 2.0
_SWEEPS = 60  # greatest number of updates of the relevances


def count_components(
    mixture: SampleSource,
    *,
    most: int = 12,
    restarts: int = 6,
    divergence: Divergence | str | float = "kl",
    window: float = DEFAULT_WINDOW_SECONDS,
    seed: int = 0,
    report: Report | None = None,
) -> Recommendation:
    """Recommend a number of components for a recording.

    The stability of factorizations is measured with the given divergence. The relevance of components is
    measured on powers with the Itakura-Saito divergence, which fits the noise of spectrograms. Both use about
    500 frames, evenly spaced over the recording.

    Parameters
    ----------
    mixture : Audio or AudioFile
        The recording.
    most : int
        Greatest number of components to try, at most 100; the relevance is measured for twice as many.
    restarts : int
        Number of random starts for each number of components; 2 to 100.
    divergence : str, float or Divergence
        `"kl"` on magnitudes, `"is"` on powers, others on magnitudes.
    window : float
        Length of the analysis window in seconds; the nearest power of two in samples is used.
    seed : int
        Seed of the random starts.
    report : callable, optional
        Function that takes a `Progress`; it may raise an exception to stop the work.

    Returns
    -------
    Recommendation

    Raises
    ------
    OptionError
        When an option is outside its range.

    Examples
    --------
    >>> import nmfaudio
    >>> count_components(nmfaudio.read("audio_samples/drum_loop.flac"), most=5).rank
    3
    """
    measure = _checked(most, restarts, divergence, window, seed)
    notify = report or (lambda _: None)
    stft = STFT.lasting(window, mixture.sample_rate)
    whole = channel_frames(analysis_blocks(mixture, stft, report=notify), 1, LEARNED_VALUES)
    magnitudes = np.ascontiguousarray(whole[:: -(-len(whole) // FRAMES)]).T
    powers = magnitudes.T**2
    largest = min(most, *magnitudes.shape)
    stable = stability(
        powers.T if measure.beta == 0 else magnitudes,
        range(1, largest + 1),
        divergence=measure,
        restarts=restarts,
        seed=seed,
        callback=lambda done, total: notify(Progress("comparing random starts", done, total)),
    )
    relevant = relevant_rank(
        powers.T,
        min(2 * most, *magnitudes.shape),
        divergence="is",
        dispersion=_DISPERSION,
        seed=seed,
        sweeps=_SWEEPS,
        callback=lambda done, objective: notify(
            Progress("measuring relevance", min(done, _SWEEPS), _SWEEPS, objective)
        ),
    )
    return recommend(relevant, stable)


def _checked(
    most: int, restarts: int, divergence: Divergence | str | float, window: float, seed: int
) -> Divergence:
    """Check the options before the recording is read, and return the divergence."""
    OptionRules(at_least=1, at_most=MOST_COMPONENTS).check("most", most)
    OptionRules(at_least=2, at_most=MOST_RESTARTS).check("restarts", restarts)
    OptionRules(at_least=0).check("seed", seed)
    check_window(window)
    return Divergence.of(divergence)
