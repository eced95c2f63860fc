"""Which entries of the factors may be above zero, as a score or a hint tells it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nmfaudio.errors import OptionError
from nmfaudio.nmf.initialize import Matrix

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Allowed:
    """Masks of the entries that may be above zero; None where all may.

    Multiplicative updates, extrapolated or not, and every penalty keep a zero at zero: so a start that is
    zero wherever an entry is not allowed is all it takes, and the objective falls as it does without masks.

    Attributes
    ----------
    W : ndarray of bool, shape (bins, components), or None
    H : ndarray of bool, shape (components, frames), or None

    References
    ----------
    S. Ewert and M. Muller, "Using score-informed constraints for NMF-based source separation", ICASSP 2012.
    """

    W: Mask | None = None
    H: Mask | None = None

    @classmethod
    def of(
        cls, allowed: tuple[ArrayLike | None, ArrayLike | None] | None, bins: int, rank: int, frames: int
    ) -> Allowed:
        """Check what was given.

        Raises
        ------
        OptionError
            For masks that are not a pair, not of bool, or not shaped like the factors.
        """
        if allowed is None:
            return cls()
        if not isinstance(allowed, tuple) or len(allowed) != 2:
            raise OptionError("allowed must be a pair of masks (of W, of H), None where all is allowed")
        W, H = allowed
        return cls(
            None if W is None else checked_mask(W, "allowed[0], the mask of W,", (bins, rank)),
            None if H is None else checked_mask(H, "allowed[1], the mask of H,", (rank, frames)),
        )

    @property
    def all(self) -> bool:
        """Whether every entry may be above zero."""
        return self.W is None and self.H is None

    def start(self, W: Matrix, H: Matrix) -> tuple[Matrix, Matrix]:
        """Return factors, (bins, components) and (frames, components), without what is not allowed."""
        return (
            W if self.W is None else np.where(self.W, W, np.float32(0)),
            H if self.H is None else np.where(self.H.T, H, np.float32(0)),
        )

    def flat(self, shape: tuple[int, int]) -> NDArray[np.float64]:
        """Return templates, (bins, components), level over the bins allowed, of unit sum if any."""
        if self.W is None:
            return np.full(shape, 1 / shape[0])
        allowed = self.W.astype(np.float64)
        return np.asarray(allowed / np.maximum(allowed.sum(axis=0), 1))


def checked_mask(mask: Any, name: str, shape: tuple[int, int]) -> Mask:
    """Return a mask of that shape.

    Raises
    ------
    OptionError
        For any other type or shape.
    """
    array = np.asarray(mask)
    if array.dtype != np.bool_ or array.shape != shape:
        raise OptionError(
            f"{name} is of {array.dtype} and has shape {array.shape}: it must be of bool, with shape {shape}"
        )
    return array
