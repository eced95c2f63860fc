"""The updates of W and H for a sparse V, whose work follows the stored entries.

With Kullback-Leibler an update needs the model W H at the stored entries alone, since elsewhere V / (W H) is
zero, and otherwise sums of the factors. With the Euclidean distance it needs products of V with a factor, and
of a factor with itself.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nmfaudio.errors import OptionError
from nmfaudio.nmf.divergence import Divergence
from nmfaudio.nmf.entrywise import Bounds, Columns, FactorUpdate
from nmfaudio.nmf.initialize import Matrix, levels
from nmfaudio.nmf.layout import EMPTY, Change, least_entries, scaled_columns
from nmfaudio.nmf.penalty import Penalties, Weights
from nmfaudio.nmf.problem import Problem, checked_matrix
from nmfaudio.nmf.sparse import SparseFrames, portions
from nmfaudio.nmf.sparse_products import Products, Quotients
from nmfaudio.nmf.threads import workers


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

    def activations(self, W: Matrix, *, fixed: bool) -> FactorUpdate:
        """Return the update of H, (frames, components)."""
        return self._update(self._V.by_frame, W, self._frame_portions, keep=fixed)

    def templates(self, H: Matrix) -> FactorUpdate:
        """Return the update of W, (bins, components)."""
        return self._update(self._V.by_bin, H, self._bin_portions, keep=False)

    def _update(self, matrix: Any, other: Matrix, bounds: list[Bounds], *, keep: bool) -> FactorUpdate:
        if self._likelihood:
            return Quotients(matrix, other, bounds, self._floor)
        return Products(matrix, other, bounds, lambda: self._V.squares, keep=keep)

    @cached_property
    def _frame_portions(self) -> list[Bounds]:
        return portions(self._V.by_frame)

    @cached_property
    def _bin_portions(self) -> list[Bounds]:
        return portions(self._V.by_bin)


@np.errstate(under="ignore")  # values near zero may vanish; the settings of the caller do not matter
def activate_sparse(
    V: Any, W: ArrayLike, *, divergence: Divergence | str | float, penalties: Penalties, iterations: int
) -> NDArray[Any]:
    """Return the activations of V for given templates, (frames, components).

    They are those of `nmfaudio.nmf.activate` after so many iterations, with one difference: the objective is
    not measured. Penalties must not couple frames.

    Raises
    ------
    MatrixError
        For a V or W that is not a non-negative finite matrix.
    OptionError
        For a number of iterations below 1.
    """
    if iterations < 1:
        raise OptionError(f"iterations={iterations}: it must be at least 1")
    problem = Problem.of_any(V, Divergence.of(divergence))
    templates = checked_matrix(W, "W", "(bins, components)")
    total = templates.sum(axis=0, dtype=np.float64)
    used = total > 0
    inverse = np.divide(1, total, out=np.zeros(len(total)), where=used)
    unit = scaled_columns(templates, inverse, np.float32)
    weights = Weights(penalties.of_unit_templates(total), problem, len(total))
    penalty = weights.on_activations(Columns(unit), EMPTY)
    H = np.repeat((levels(problem.V) / len(total)).astype(np.float32), len(total)).reshape(-1, len(total))
    H[:, ~used] = 0
    update = StoredEntries(problem).activations(unit, fixed=False)  # one call makes all iterations
    least = least_entries(problem.divergence.floor, update.largest)
    exponent = problem.divergence.exponent_for(weights.squares_of_activations)
    with workers(None) as pool:
        update.multiply(H, Change(penalty, least, exponent, 0.0), iterations, pool)
    return scaled_columns(H, inverse / problem.data_scale, problem.dtype)
