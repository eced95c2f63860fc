"""How many templates the sound of one source needs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nmfaudio.nmf import Divergence, factorize
from nmfaudio.sound.bands import BANDS_AN_OCTAVE, band_starts, in_bands

STEPS = (1, 2, 3, 5, 7, 10, 14, 20, 28)  # ranks that are tried, and the highest that may be
ENOUGH = 0.97  # of what the highest rank explains more than a single template
_NEGLIGIBLE = 1e-4  # of the level: a divergence below is not worth another template
_FRAMES = 512  # evenly spread, that are looked at
_ITERATIONS = 30


def sufficient_rank(
    V: NDArray[np.float32], frequencies: NDArray[np.float64], most: int, divergence: Divergence, seed: int = 0
) -> int:
    """Return the lowest rank that explains nearly as much of the recordings of a source as the highest does.

    Parameters
    ----------
    V : ndarray, shape (frames, bins)
        What is to be explained.
    frequencies : ndarray, shape (bins,)
        In Hz.
    most : int
        The highest rank.
    divergence : Divergence
    seed : int
        Of the random starts.

    Returns
    -------
    int
        At least one.

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
    banded = np.ascontiguousarray(in_bands(V[chosen].T, band_starts(frequencies, BANDS_AN_OCTAVE)).T).T
    level = float((banded.astype(np.float64)[banded > 0] ** divergence.beta).sum())

    def lost(rank: int) -> float:
        found = factorize(
            banded, rank, divergence=divergence, init="random", seed=seed, iterations=_ITERATIONS, tolerance=0
        )
        return float(found.objective[-1])

    single, least = lost(1), lost(most)
    wanted = least + (1 - ENOUGH) * (single - least) + _NEGLIGIBLE * level
    tried = [rank for rank in STEPS if rank < most]
    return next((rank for rank in tried if (single if rank == 1 else lost(rank)) <= wanted), most)
