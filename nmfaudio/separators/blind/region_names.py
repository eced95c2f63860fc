"""Regions name the sources of a blind separation and decide which components belong to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from nmfaudio.matching import best_pairs
from nmfaudio.models.labelled import LabelledFactorization
from nmfaudio.separators.regions.constraint import Rectangle, rectangles_on
from nmfaudio.separators.regions.region import Regions

# Part of the magnitude of a component that must lie in the regions of a source, for it to join this source.
_SUFFICIENT = 0.1

Matrix = NDArray[np.float64]


def regrouped_by_regions(
    starts: Sequence[LabelledFactorization],
    names: Sequence[str],
    regions: Regions,
    frequencies: Matrix,
    times: Matrix,
) -> tuple[list[LabelledFactorization], tuple[str, ...]]:
    """Give new names of the regions to the sources that sound there, and the components that sound there.

    Sources that regions call by the name that they have already stay as they are.

    Parameters
    ----------
    starts : sequence of LabelledFactorization
        Components of each random start; all label the sources alike.
    names : sequence of str
        Names of the sources before.
    regions : Regions
        Regions of at most as many sources.
    frequencies : ndarray, shape (bins,)
        Frequency of each bin in Hz.
    times : ndarray, shape (frames,)
        Centre of each frame in seconds.

    Returns
    -------
    list of LabelledFactorization
        The same components with other labels, sorted by source.
    tuple of str
        Names of the sources; those that no region names keep theirs.
    """
    new = [name for name in regions.sources if name not in names]
    if not new:
        return list(starts), tuple(names)
    step = float(times[1] - times[0]) if len(times) > 1 else 1.0
    rectangles = rectangles_on(regions.of(new), new, frequencies, times, step)
    evidence = [_evidence(one, rectangles, len(new)) for one in starts]
    free = [group for group, name in enumerate(names) if name not in regions.sources]
    owners = _owners(evidence, starts, free)
    found = [
        replace(one, labels=_labels(one, shares, owners)).ordered()
        for one, shares in zip(starts, evidence, strict=True)
    ]
    present = list(names)
    for name, owner in zip(new, owners, strict=True):
        present[owner] = name
    return found, tuple(present)


def _evidence(components: LabelledFactorization, rectangles: Sequence[Rectangle], sources: int) -> Matrix:
    """Return the part of each component that lies in the regions of each source, shape (sources, components).

    What lies in regions where a source does not sound counts as negative.
    """
    W, H = components.templates.astype(np.float64), components.activations.sum(axis=0, dtype=np.float64)
    total = W.sum(axis=0) * H.sum(axis=1)
    inside = np.zeros((sources, len(total)))
    for one in rectangles:
        magnitude = W[one.band].sum(axis=0) * H[:, one.span].sum(axis=1)
        inside[one.source] += (one.weight if one.sounds else -one.weight) * magnitude
    return np.asarray(np.divide(inside, total, out=np.zeros_like(inside), where=total > 0))


def _owners(
    evidence: Sequence[Matrix], starts: Sequence[LabelledFactorization], groups: Sequence[int]
) -> NDArray[np.intp]:
    """Return the one of these groups of components that each named source gets, one to one."""
    scores = np.zeros((len(evidence[0]), len(groups)))
    for shares, one in zip(evidence, starts, strict=True):
        energies = one.shares
        for column, group in enumerate(groups):
            members = one.labels == group
            scores[:, column] += (shares[:, members] * energies[members]).sum(axis=1)
    named, columns = best_pairs(scores / np.maximum(np.abs(scores).sum(axis=1, keepdims=True), 1e-300))
    return np.asarray(groups, np.intp)[columns[np.argsort(named)]]


def _labels(one: LabelledFactorization, shares: Matrix, owners: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return labels in which components with enough evidence belong to the source of their regions."""
    best = shares.argmax(axis=0)
    moves = shares.max(axis=0) >= _SUFFICIENT
    labels = np.where(moves, owners[best], one.labels)
    for group in np.setdiff1d(one.labels, labels):  # no source loses all its components
        labels[one.labels == group] = group
    return np.asarray(labels, np.intp)
