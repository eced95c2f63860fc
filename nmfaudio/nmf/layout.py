"""Structures and buffers that the solver shares with its numba loops; nothing here loads numba.

Buffers are rounded up to whole tiles of the matrix products, so that the loops need no code for remainders.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

BLOCK_FRAMES = 48  # frames in a block: their quotients fit in the second-level cache
# Frames are divided into at most so many portions. The number never depends on the number of threads, and the
# sums of portions are added in their order: so the result is the same, bit by bit, for any number of threads.
PORTIONS = 8
# Multiples that `aligned` rounds up to: rows of the tiles of any processor, float32 numbers of a cache line,
# columns of the widest tile of any processor.
ROW_MULTIPLE, LINE, BIN_MULTIPLE = 8, 16, 48

KULLBACK_LEIBLER, ITAKURA_SAITO, EUCLIDEAN, GENERAL = range(4)

NEGLIGIBLE = 1e-7  # part of the model's floor, below which an entry of the model does not count
SMALLEST, LARGEST = np.finfo(np.float32).tiny, np.finfo(np.float32).max

Buffer = NDArray[np.float32]


class Terms(NamedTuple):
    """The objective: the divergence `beta` of V times `scale` from the model plus `floor`."""

    scale: float
    floor: float
    kind: int
    beta: float
    exponent: float


EMPTY = np.empty((0, 0), np.float32)
NO_LIMITS = np.empty(0, np.float32)
Sums = tuple[Buffer, Buffer, Buffer]  # what the update of the templates needs: see `descend.make_sums`
NO_SUMS: Sums = (np.empty((PORTIONS, 0, 0), np.float32),) * 3  # where only activations are updated


class AnyTemplates(Protocol):
    """Templates in the layout that some updates take."""

    @property
    def T(self) -> Buffer:
        """W transposed, (components, bins), perhaps with zeros around it."""

    @property
    def sums(self) -> NDArray[np.float64]:
        """The sums of the rows of T."""

    @property
    def entries(self) -> Buffer:
        """All entries, in one contiguous matrix."""

    def with_entries(self, entries: Buffer) -> Self:
        """Return templates in the same layout with other entries."""


class Templates(NamedTuple):
    """W transposed, as `padded` returns it, the sums of its rows, and the copies that `packed` adds.

    `panels` holds T, (bins / PANEL, components * PANEL), and `columns` W, (components / PANEL, bins * PANEL).
    `products` holds T T', (components / PANEL, components * PANEL), and only for beta = 2. `least`,
    (components,), is the size below which activations become zero.
    """

    T: Buffer
    sums: NDArray[np.float64]
    panels: Buffer = EMPTY
    columns: Buffer = EMPTY
    products: Buffer = EMPTY
    least: Buffer = NO_LIMITS

    @classmethod
    def of(cls, T: Buffer) -> Templates:
        """Return the templates of W transposed, without the copies."""
        wide = padded(T, BIN_MULTIPLE)
        return cls(wide, wide.sum(axis=1, dtype=np.float64))

    @property
    def entries(self) -> Buffer:
        """All entries: T."""
        return self.T

    def with_entries(self, entries: Buffer) -> Templates:
        """Return templates with another T."""
        return self.of(entries)


class Penalty(NamedTuple):
    """Terms that a penalty adds to the quotient of the update of H.

    `linear` and `quadratic`, (components,), are weights of h and of h^2 / 2. `entries` and `pull`,
    (frames, components) or (0, components) where there are none, are added to the denominator and to the
    numerator.
    """

    linear: Buffer
    quadratic: Buffer
    entries: Buffer
    pull: Buffer

    def of_frames(self, start: int, stop: int) -> Penalty:
        """Return the penalty of some frames."""
        return self._replace(entries=self.entries[start:stop], pull=self.pull[start:stop])


class Change(NamedTuple):
    """How an update of a factor X, (rows, components), uses its numerator and denominator.

    X is multiplied by their quotient, to the power `exponent`, with the terms of a penalty in it. Where the
    denominator is zero the quotient is `dead`; entries of X below `least`, (components,), become zero.
    """

    penalty: Penalty
    least: Buffer
    exponent: float
    dead: float

    def of_rows(self, start: int, stop: int) -> Change:
        """Return the change of some rows of X."""
        return self._replace(penalty=self.penalty.of_frames(start, stop))


class StoredRows(NamedTuple):
    """Rows of a sparse matrix, as in CSR: row n has the entries `bounds[n]` to `bounds[n + 1]`.

    `positions` are the columns of all entries, and `values` their numbers.
    """

    bounds: NDArray[Any]
    positions: NDArray[Any]
    values: Buffer

    @classmethod
    def of(cls, matrix: Any, start: int, stop: int) -> StoredRows:
        """Return some rows of a scipy.sparse.csr_array."""
        return cls(matrix.indptr[start : stop + 1], matrix.indices, matrix.data)


class Portions(NamedTuple):
    """The portions of the frames during one update, which threads take one after the other.

    `bounds`, (portions, 2), holds the next frame of each portion and the frame after its last; `objectives`,
    (portions,), sums of divergences. `counters` holds how many portions are TAKEN, and how many FINISHED.
    `started` holds the number of the latest update that has begun, and `number` is that of this one.
    """

    bounds: NDArray[np.int64]
    objectives: NDArray[np.float64]
    counters: NDArray[np.int64]
    started: NDArray[np.int64]
    number: int

    @classmethod
    def of(cls, bounds: list[tuple[int, int]], started: NDArray[np.int64]) -> Portions:
        """Return portions for the next update after the latest that has started."""
        counters = np.zeros(2, np.int64)
        return cls(np.array(bounds), np.zeros(len(bounds)), counters, started, int(started[0]) + 1)


TAKEN, FINISHED = 0, 1


class Workspace(NamedTuple):
    """Buffers of one block.

    (frames, components): activations, and the numerator and denominator of their update. (frames, bins): V
    divided by the model, and the inverse of the model where it is needed. (rows of a tile, bins): data at the
    edges of V.
    """

    h: Buffer
    numerator: Buffer
    denominator: Buffer
    quotients: Buffer
    inverses: Buffer
    edge: Buffer


def aligned(rows: int, columns: int, multiple: int = LINE) -> Buffer:
    """Return an uninitialised buffer of whole tiles, whose rows start at cache lines."""
    height, width = -(-rows // ROW_MULTIPLE) * ROW_MULTIPLE, -(-columns // multiple) * multiple
    memory = np.empty(height * width + LINE, np.float32)
    skipped = LINE - memory.ctypes.data % (4 * LINE) // 4
    return memory[skipped : skipped + height * width].reshape(height, width)


def padded(matrix: Buffer, multiple: int = LINE) -> Buffer:
    """Copy a matrix into an aligned buffer, with zeros around it."""
    rows, columns = matrix.shape
    copied = aligned(rows, columns, multiple)
    copied[:] = 0
    copied[:rows, :columns] = matrix
    return copied


def least_entries(floor: float, largest: Buffer) -> Buffer:
    """Return, for each component, the size below which an entry of a factor changes no entry of the model.

    Entries that shrink on and on would become subnormal numbers, with which updates take up to ten times as
    long: below this size they are set to zero.

    Parameters
    ----------
    floor : float
        Number that is added to each entry of the model.
    largest : ndarray, shape (components,)
        Largest entry of each component in the other factor.

    Returns
    -------
    ndarray of float32, shape (components,)
    """
    least = NEGLIGIBLE * floor / np.maximum(largest, SMALLEST).astype(np.float64)
    return np.asarray(np.minimum(least, LARGEST), np.float32)


def scaled_columns(
    matrix: NDArray[Any], factors: NDArray[np.float64], dtype: type[np.floating[Any]]
) -> NDArray[Any]:
    """Return a matrix times a factor for each column, computed in float64 without an array of that type."""
    scaled = np.empty(matrix.shape, dtype)
    np.multiply(matrix, factors, out=scaled, dtype=np.float64, casting="same_kind")
    return scaled


def largest_entries(matrix: Buffer) -> Buffer:
    """Return the largest entry of each column; some rows at a time, since NumPy is slow on short rows."""
    rows, columns = matrix.shape
    whole = rows - rows % LINE
    wide = matrix[:whole].reshape(-1, LINE * columns).max(axis=0, initial=0).reshape(LINE, columns)
    return np.asarray(np.vstack([wide, matrix[whole:]]).max(axis=0))
