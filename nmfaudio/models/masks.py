"""From estimates of each source to complex stems that sum to the mixture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmfaudio.errors import SeparatorError
from nmfaudio.sound.spectrogram import Spectrogram


def soft_masks(
    block: Spectrogram, estimates: Mapping[str, NDArray[Any]], *, mask_exponent: float = 1.0
) -> dict[str, Spectrogram]:
    """Share out a mixture's spectrogram in proportion to the estimates of its sources.

    The mask of source j is E_j^a / sum_i E_i^a. Where all estimates are zero the mixture is shared equally.
    With magnitudes, a = 1 is the generalised Wiener filter that suits Kullback-Leibler; a = 2, as with powers
    and a = 1, is the Wiener filter.

    Parameters
    ----------
    block : Spectrogram
        Of the mixture.
    estimates : mapping of str to ndarray, shape (channels, bins, frames)
        Not negative. A single channel serves all channels of the mixture.
    mask_exponent : float
        a above.

    Returns
    -------
    dict of str to Spectrogram
        The stems; they sum to `block`.

    Raises
    ------
    SeparatorError
        For an estimate whose shape does not fit the block.

    References
    ----------
    A. Liutkus and R. Badeau, "Generalized Wiener filtering with fractional power spectrograms", ICASSP 2015.

    Examples
    --------
    >>> from nmfaudio import STFT, Spectrogram
    >>> block = Spectrogram(np.full((1, 9, 1), 4.0 + 0j), STFT(16), 44100)
    >>> stems = soft_masks(block, {"a": np.full((1, 9, 1), 3.0), "b": np.full((1, 9, 1), 1.0)})
    >>> stems["a"].values[0, 0, 0], stems["b"].values[0, 0, 0]
    (np.complex128(3+0j), np.complex128(1+0j))
    """
    for name, estimate in estimates.items():
        _check_shape(name, estimate, block)
    # Relative to the loudest estimate of each bin, no power leaves the range of its type.
    loudest = np.maximum.reduce([np.broadcast_to(e, block.values.shape) for e in estimates.values()])
    safe = np.where(loudest > 0, loudest, 1)
    weights = [np.where(loudest > 0, e / safe, 1) ** mask_exponent for e in estimates.values()]
    shared = block.values / np.sum(weights, axis=0)
    return {name: block.with_values(shared * w) for name, w in zip(estimates, weights, strict=True)}


def _check_shape(name: str, estimate: NDArray[Any], block: Spectrogram) -> None:
    expected = block.values.shape
    if np.shape(estimate) not in (expected, (1, *expected[1:])):
        raise SeparatorError(
            f"the estimate of {name!r} has shape {np.shape(estimate)}, but the block is {expected} "
            "(channels, bins, frames)"
        )
