"""Soft masks: from an estimate of each source to complex stems that sum to the mixture."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmfaudio.errors import SeparatorError
from nmfaudio.nmf.threads import share_out, workers
from nmfaudio.sound.spectrogram import Spectrogram

_FRAMES = 32  # number of frames that are masked together: the intermediate arrays stay in the cache


def soft_masks(
    block: Spectrogram, estimates: Mapping[str, NDArray[Any]], *, mask_exponent: float = 1.0
) -> dict[str, Spectrogram]:
    """Divide the spectrogram of a mixture among its sources, in proportion to an estimate of each source.

    The mask of source j is E_j^a / sum_i E_i^a. Where all estimates are zero, all sources get equal parts of
    the mixture. For estimates of magnitudes, a = 1 is the generalised Wiener filter that fits the
    Kullback-Leibler divergence, and a = 2 is the Wiener filter. For estimates of powers, a = 1 is the Wiener
    filter.

    Parameters
    ----------
    block : Spectrogram
        Block of the mixture.
    estimates : mapping of str to ndarray, shape (channels, bins, frames)
        Estimate of each source; not negative. One with a single channel serves all channels of the mixture.
    mask_exponent : float
        Exponent a of the masks; higher values separate more strongly.

    Returns
    -------
    dict of str to Spectrogram
        The stems. They sum to `block`.

    Raises
    ------
    SeparatorError
        When an estimate has another shape than the block, complex numbers, negative values, NaN or infinity.

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
    estimates = {name: np.asarray(estimate) for name, estimate in estimates.items()}
    for name, estimate in estimates.items():
        check_estimate(name, estimate, block)
    stack = _stacked(estimates, block)
    _check_values(tuple(estimates), stack)
    weights = mask_weights(stack, mask_exponent)
    shared = block.values / weights.sum(axis=0)
    return {name: block.with_values(shared * w) for name, w in zip(estimates, weights, strict=True)}


def mask_weights(
    estimates: NDArray[Any], mask_exponent: float = 1.0, *, by_root: bool = False
) -> NDArray[Any]:
    """Return masks before their division by their sum: estimates relative to the loudest one, to a power.

    Relative to the loudest estimate of each point, no power overflows or vanishes in every source.

    Parameters
    ----------
    estimates : ndarray, shape (sources, ...)
        Estimate of each source; not negative.
    mask_exponent : float
        Exponent of the masks.
    by_root : bool
        Whether to compute the exponent 1.5 by a square root and a product. This takes a third of the time of
        the general power, and its rounding differs.

    Returns
    -------
    ndarray, shape (sources, ...)
        Weights from 0 to 1. The loudest source of each point has the weight 1; where all estimates are zero,
        all sources have it.

    Examples
    --------
    >>> mask_weights(np.array([[4.0, 0.0], [1.0, 0.0]]), 2.0)
    array([[1.    , 1.    ],
           [0.0625, 1.    ]])
    """
    loudest = estimates.max(axis=0)
    weights = np.ones_like(estimates, np.result_type(estimates, np.float16))
    np.divide(estimates, loudest, out=weights, where=loudest > 0)
    if by_root and mask_exponent == 1.5:
        weights *= np.sqrt(weights)
    elif mask_exponent != 1:
        weights **= mask_exponent
    return weights


def normalised_masks(
    estimates: NDArray[Any], mask_exponent: float = 1.0, *, by_root: bool = False
) -> NDArray[Any]:
    """Return the mask of each source; the masks sum to one.

    Parameters
    ----------
    estimates, mask_exponent, by_root
        As for `mask_weights`.

    Returns
    -------
    ndarray, shape (sources, ...)

    Examples
    --------
    >>> normalised_masks(np.array([[3.0, 0.0], [1.0, 0.0]]))
    array([[0.75, 0.5 ],
           [0.25, 0.5 ]])
    """
    weights = mask_weights(estimates, mask_exponent, by_root=by_root)
    weights /= weights.sum(axis=0)
    return weights


def masked_in_parts(
    block: Spectrogram, names: Sequence[str], masks_of: Callable[[slice], NDArray[Any]]
) -> dict[str, Spectrogram]:
    """Divide the spectrogram of a mixture by masks that are made for a few frames at a time, on all cores.

    Parameters
    ----------
    block : Spectrogram
        Block of the mixture.
    names : sequence of str
        Names of the sources.
    masks_of : callable
        Takes a range of frames of the block, and returns masks of shape (sources, channels, frames, bins).
        They need not sum to one. Masks with a single channel serve all channels.

    Returns
    -------
    dict of str to Spectrogram
        The stems. They sum to `block`.
    """
    channels, bins, frames = block.values.shape
    values = block.values.swapaxes(1, 2)
    stems = np.empty((len(names), channels, frames, bins), np.complex128)

    def fill(number: int) -> None:
        part = slice(number * _FRAMES, (number + 1) * _FRAMES)
        masks = masks_of(part)
        # Divided in float64, so that the stems sum to the mixture except for rounding.
        shared = values[:, part] / masks.sum(axis=0, dtype=np.float64)
        np.multiply(shared, masks, out=stems[:, :, part])

    with workers(None) as pool:
        share_out(fill, -(-frames // _FRAMES), pool)
    return {name: block.with_values(stem.swapaxes(1, 2)) for name, stem in zip(names, stems, strict=True)}


def _stacked(estimates: Mapping[str, NDArray[Any]], block: Spectrogram) -> NDArray[Any]:
    """Return all estimates in one array, shape (sources, channels, bins, frames)."""
    channels, bins, frames = block.values.shape
    stack = np.empty((len(estimates), channels, frames, bins), np.result_type(*estimates.values()))
    stack = stack.swapaxes(2, 3)  # the memory order of spectrograms
    for row, estimate in zip(stack, estimates.values(), strict=True):
        row[:] = estimate
    return stack


def check_estimate(name: str, estimate: NDArray[Any], block: Spectrogram) -> None:
    """Check the shape and the type of an estimate of a source.

    Raises
    ------
    SeparatorError
        When the shape does not fit the block, or when the estimate is not made of real numbers.
    """
    expected = block.values.shape
    if np.shape(estimate) not in (expected, (1, *expected[1:])):
        raise SeparatorError(
            f"the estimate of {name!r} has shape {np.shape(estimate)}, but the shape of the block is "
            f"{expected} (channels, bins, frames)"
        )
    if estimate.dtype.kind not in "buif":
        raise SeparatorError(
            f"the estimate of {name!r} has the type {estimate.dtype}: it must be real, such as np.abs(...) "
            "of a complex spectrogram"
        )


def _check_values(names: Sequence[str], stack: NDArray[Any]) -> None:
    """Check that all estimates are finite and not negative; `stack` has the shape (sources, ...)."""
    if not stack.size or (stack.min() >= 0 and stack.max() < np.inf):  # NaN fails the first comparison
        return
    for name, estimate in zip(names, stack, strict=True):
        if np.isnan(estimate).any():
            fault = "contains NaN"
        elif np.isinf(estimate).any():
            fault = "contains infinity"
        elif estimate.min() < 0:
            fault = f"has negative values, down to {estimate.min():.3g}"
        else:
            continue
        raise SeparatorError(f"the estimate of {name!r} {fault}: it must be finite and not negative")
