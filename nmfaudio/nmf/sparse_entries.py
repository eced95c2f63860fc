"""The updates of W and H for a sparse V, whose work follows the stored entries.

With Kullback-Leibler an update needs the model W H at the stored entries alone, since elsewhere V / (W H) is
zero, and otherwise sums of the factors. With the Euclidean distance it needs products of V with a factor, and
of a factor with itself.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

from nmfaudio.nmf.entrywise import Bounds, FactorUpdate
from nmfaudio.nmf.initialize import Matrix
from nmfaudio.nmf.problem import Problem
from nmfaudio.nmf.sparse import SparseFrames, portions
from nmfaudio.nmf.sparse_products import Products, Quotients


class StoredEntries:
    """The entries of a sparse V, at beta 1 or 2.

    Parameters
    ----------
    problem : Problem
        Whose V is a `SparseFrames`.
    """

    def __init__(self, problem: Problem) -> None:
        self._V: SparseFrames = problem.V
        self._likelihood = problem.divergence.beta == 1
        self._floor = problem.divergence.floor

    def activations(self, W: Matrix) -> FactorUpdate:
        """Return the update of H, (frames, components)."""
        return self._update(self._V.by_frame, W, self._frame_portions)

    def templates(self, H: Matrix) -> FactorUpdate:
        """Return the update of W, (bins, components)."""
        return self._update(self._V.by_bin, H, self._bin_portions)

    def _update(self, matrix: Any, other: Matrix, bounds: list[Bounds]) -> FactorUpdate:
        if self._likelihood:
            return Quotients(matrix, other, bounds, self._floor)
        return Products(matrix, other, bounds, self._V.squares)

    @cached_property
    def _frame_portions(self) -> list[Bounds]:
        return portions(self._V.by_frame)

    @cached_property
    def _bin_portions(self) -> list[Bounds]:
        return portions(self._V.by_bin)
