"""Numba loops of convolutive factorization: those of `kernels.py`, on activations beside their own past.

The model of frame n is the sum over lags t of H[n - t] W[t]: the product of one wide matrix, H beside its
own past, with the rows of all templates stacked, (rows, bins). `places` tells the lag and the component of
each row. `past` is H with as many frames before it as the lags reach, so that the past of a block is one
contiguous part of it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nmfaudio.nmf.compilation import compiled
from nmfaudio.nmf.kernels import (
    accumulate_block,
    make_workspace,
    project_block,
    select_block,
)
from nmfaudio.nmf.layout import BLOCK_FRAMES, Templates, Terms

Buffer = NDArray[np.float32]
Places = NDArray[np.intp]

_compiled = compiled()


@_compiled
def _lay_beside(past: Buffer, frames: int, places: Places, h: Buffer) -> None:
    """Copy to row n of h the activations of the n-th of the last frames, and of the frames before it."""
    newest = past.shape[0] - frames
    for n in range(frames):
        for row in range(len(places)):
            h[n, row] = past[n + newest - places[row, 0], places[row, 1]]


@_compiled
def _scatter(projected: Buffer, frames: int, places: Places, total: Buffer) -> None:
    """Add the sums of each lag to the frames that the lag points back to."""
    newest = total.shape[0] - frames
    for n in range(frames):
        for row in range(len(places)):
            total[n + newest - places[row, 0], places[row, 1]] += projected[n, row]


@_compiled
def gather_activations(
    V: Buffer, terms: Terms, templates: Templates, places: Places, past: Buffer, above: Buffer, below: Buffer
) -> None:
    """Add the numerator and the denominator of the activations' update over the frames of V.

    Parameters
    ----------
    V : ndarray of float32, shape (frames, bins)
    terms : Terms
    templates : Templates
    places : ndarray of int, shape (rows, 2)
        Lag and component of each row of T.
    past, above, below : ndarray of float32, shape (lags - 1 + frames, components)
        Activations, and the numerator and denominator of their update, which are added to.
    """
    reach = past.shape[0] - V.shape[0]
    whole = make_workspace(min(BLOCK_FRAMES, len(V)), templates.T.shape[1], len(places))
    for first in range(0, len(V), BLOCK_FRAMES):
        v, work = select_block(V, whole, first)
        here = slice(first, first + len(v) + reach)
        _lay_beside(past[here], len(v), places, work.h)
        project_block(v, terms, templates, work)
        _scatter(work.numerator, len(v), places, above[here])
        _scatter(work.denominator, len(v), places, below[here])


@_compiled
def gather_templates(
    V: Buffer,
    terms: Terms,
    templates: Templates,
    places: Places,
    past: Buffer,
    sums: tuple[Buffer, Buffer],
    measure: bool,
) -> float:
    """Add the numerator and denominator of the templates' update to `sums`: see `kernels.update_portions`.

    Returns the divergence, or 0 unless `measure`.
    """
    reach = past.shape[0] - V.shape[0]
    whole = make_workspace(min(BLOCK_FRAMES, len(V)), templates.T.shape[1], len(places))
    objective = 0.0
    for first in range(0, len(V), BLOCK_FRAMES):
        v, work = select_block(V, whole, first)
        _lay_beside(past[first : first + len(v) + reach], len(v), places, work.h)
        objective += accumulate_block(v, terms, templates, work, sums, measure)
    return objective
