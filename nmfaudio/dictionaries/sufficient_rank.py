"""Number of templates that the sound of one source needs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nmfaudio.nmf import Divergence, factorize
from nmfaudio.sound.bands import BANDS_PER_OCTAVE, band_starts, sum_in_bands

MOST_TEMPLATES = 40
FRAMES_PER_TEMPLATE = 4  # least number of frames for each template; with fewer, a template copies one frame
STEPS = (1, 2, 3, 5, 7, 10, 14, 20, 28)  # ranks that are tried, beside the highest allowed rank
ENOUGH = 0.97  # part of the gain from one template to the highest rank that a sufficient rank reaches
_NEGLIGIBLE = (
    1e-4  # part of the level: a smaller decrease of the divergence does not justify another template
)
_FRAMES = 512  # frames that are factored, evenly spaced
_ITERATIONS = 30  # updates of each factorization


def sufficient_rank(
    V: NDArray[np.float32], frequencies: NDArray[np.float64], most: int, divergence: Divergence, seed: int = 0
) -> int:
    """Return the lowest rank that explains the recordings of a source nearly as well as the highest rank.

    Parameters
    ----------
    V : ndarray, shape (frames, bins)
        Spectra of the recordings.
    frequencies : ndarray, shape (bins,)
        Frequencies of the bins in Hz.
    most : int
        Highest allowed rank.
    divergence : Divergence
        Divergence of the factorizations.
    seed : int
        Seed of the random starts.

    Returns
    -------
    int
        Rank of at least one.

    Examples
    --------
    >>> generator = np.random.default_rng(0)
    >>> V = generator.exponential(1, (200, 3)) @ generator.exponential(1, (3, 129)) ** 4
    >>> sufficient_rank(V.astype(np.float32), np.arange(129) * 31.25, 40, Divergence(1))
    3
    """
    if most <= 1:
        return 1
    chosen = np.linspace(0, len(V) - 1, min(_FRAMES, len(V))).astype(np.intp)
    banded = np.ascontiguousarray(sum_in_bands(V[chosen].T, band_starts(frequencies, BANDS_PER_OCTAVE)).T).T
    level = float((banded.astype(np.float64)[banded > 0] ** divergence.beta).sum())

    def remaining(rank: int) -> float:
        factorization = factorize(
            banded, rank, divergence=divergence, init="random", seed=seed, iterations=_ITERATIONS, tolerance=0
        )
        return float(factorization.objective[-1])

    of_one, of_most = remaining(1), remaining(most)
    limit = of_most + (1 - ENOUGH) * (of_one - of_most) + _NEGLIGIBLE * level
    candidates = [rank for rank in STEPS if rank < most]
    return next((rank for rank in candidates if (of_one if rank == 1 else remaining(rank)) <= limit), most)
