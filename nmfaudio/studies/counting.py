"""How many components a recording needs: its spectrogram, and the evidence of `nmf.rank`."""

from __future__ import annotations

import numpy as np

from nmfaudio.errors import OptionError
from nmfaudio.nmf import Divergence, Recommendation, recommend, relevant_rank, stability
from nmfaudio.pipeline.fitting import DEFAULT_WINDOW_SECONDS, Report
from nmfaudio.sound.analysis import analysis_blocks
from nmfaudio.sound.audio import SampleSource
from nmfaudio.sound.frames import LEARNED_VALUES, channel_frames
from nmfaudio.sound.progress import Progress
from nmfaudio.sound.stft import STFT

FRAMES = 512  # of the spectrogram, evenly spread: they tell as much as all, in bounded time

# Powers of Gaussian noise have the dispersion 1, and neighbouring bins of a Hann window tell the same noise
# about twice.
_DISPERSION = 2.0
_SWEEPS = 60


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

    Stability is that of factorizations under the divergence asked for; relevance that of components of the
    powers under the Itakura-Saito divergence, whose noise is that of spectrograms. Both see some 500 frames,
    evenly spread over the recording.

    Parameters
    ----------
    mixture : Audio or AudioFile
    most : int
        Components to try; twice as many are weighed for relevance.
    restarts : int
        Random starts at each rank, at least 2.
    divergence : str, float or Divergence
        `"kl"` on magnitudes, `"is"` on powers, others on magnitudes.
    window : float
        Seconds of the analysis window; its length is the nearest power of two.
    seed : int
        Of the random starts.
    report : callable, optional
        Takes a `Progress` now and then; may raise to stop the work.

    Returns
    -------
    Recommendation

    Raises
    ------
    OptionError
        For an option outside its range.

    Examples
    --------
    >>> import nmfaudio
    >>> count_components(nmfaudio.read("audio_samples/drum_loop.flac"), most=5).rank
    3
    """
    measure = _checked(most, restarts, divergence, window, seed)
    tell = report or (lambda _: None)
    stft = STFT.lasting(window, mixture.sample_rate)
    whole = channel_frames(analysis_blocks(mixture, stft, report=tell), 1, LEARNED_VALUES)
    magnitudes = np.ascontiguousarray(whole[:: -(-len(whole) // FRAMES)]).T
    powers = magnitudes.T**2
    largest = min(most, *magnitudes.shape)
    stable = stability(
        powers.T if measure.beta == 0 else magnitudes,
        range(1, largest + 1),
        divergence=measure,
        restarts=restarts,
        seed=seed,
        callback=lambda done, total: tell(Progress("comparing random starts", done, total)),
    )
    relevant = relevant_rank(
        powers.T,
        min(2 * most, *magnitudes.shape),
        divergence="is",
        dispersion=_DISPERSION,
        seed=seed,
        sweeps=_SWEEPS,
        callback=lambda done, objective: tell(
            Progress("weighing relevance", min(done, _SWEEPS), _SWEEPS, objective)
        ),
    )
    return recommend(relevant, stable)


def _checked(
    most: int, restarts: int, divergence: Divergence | str | float, window: float, seed: int
) -> Divergence:
    """Refuse wrong options before the recording is read."""
    for name, value, least in (("most", most, 1), ("restarts", restarts, 2), ("seed", seed, 0)):
        if value < least:
            raise OptionError(f"{name}={value}: it must be at least {least}")
    if not 0 < window < np.inf:
        raise OptionError(f"window={window}: it must be above 0")
    return Divergence.of(divergence)
