"""The beta-divergences, as data: their names, their exponents, their floors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nmfaudio.errors import OptionError
from nmfaudio.nmf import layout

_NAMES = {
    "kl": 1.0,
    "kullback-leibler": 1.0,
    "is": 0.0,
    "itakura-saito": 0.0,
    "euclidean": 2.0,
    "frobenius": 2.0,
}
_KINDS = {1.0: layout.KULLBACK_LEIBLER, 0.0: layout.ITAKURA_SAITO, 2.0: layout.EUCLIDEAN}


@dataclass(frozen=True)
class Divergence:
    """A beta-divergence: 2 is half the squared distance, 1 Kullback-Leibler, 0 Itakura-Saito.

    Parameters
    ----------
    beta : float
        Within [-1, 3].

    Raises
    ------
    OptionError
        For a beta outside [-1, 3].

    References
    ----------
    C. Fevotte and J. Idier, "Algorithms for nonnegative matrix factorization with the beta-divergence",
    Neural Computation 23(9), 2011.

    Examples
    --------
    >>> Divergence.of("kl")
    Divergence(beta=1.0)
    >>> Divergence.of("kl").between([2.0, 1.0], [1.0, 1.0]).round(4)
    np.float64(0.3863)
    """

    beta: float

    def __post_init__(self) -> None:
        if not -1 <= self.beta <= 3:
            raise OptionError(f"beta={self.beta}: it must lie within [-1, 3]")

    @classmethod
    def of(cls, divergence: Divergence | str | float) -> Divergence:
        """Return the divergence of that name (`"kl"`, `"is"`, `"euclidean"`, ...) or that beta.

        Raises
        ------
        OptionError
            For a name that is not known or a beta outside [-1, 3].
        """
        if isinstance(divergence, Divergence):
            return divergence
        if isinstance(divergence, str):
            if divergence.lower() not in _NAMES:
                known = ", ".join(_NAMES)
                raise OptionError(f"divergence {divergence!r} is not known: use a beta or one of {known}")
            return cls(_NAMES[divergence.lower()])
        return cls(float(divergence))

    @property
    def kind(self) -> int:
        """Which loop of the kernels serves this divergence."""
        return _KINDS.get(self.beta, layout.GENERAL)

    @property
    def exponent(self) -> float:
        """The exponent of the step that is proven to descend (Fevotte & Idier 2011)."""
        if self.beta < 1:
            return 1 / (2 - self.beta)
        return 1 / (self.beta - 1) if self.beta > 2 else 1.0

    @property
    def exponent_with_squares(self) -> float:
        """The exponent that is proven to descend under a penalty on squares (Tan & Fevotte 2013)."""
        return 1 / (3 - self.beta) if self.beta <= 2 else 1 / (self.beta - 1)

    def exponent_for(self, squares: bool) -> float:
        """Return the proven exponent, with squares of the entries penalised or not."""
        return self.exponent_with_squares if squares else self.exponent

    @property
    def floor(self) -> float:
        """The constant in the model, against data whose mean is near 1: powers of it stay inside float32."""
        return 1e-12 if self.beta >= 0 else 1e-9

    def between(self, V: ArrayLike, model: ArrayLike) -> np.float64:
        """Return the divergence of `V` from `model`, summed over all entries, in float64.

        Parameters
        ----------
        V, model : array_like, same shape
            Not negative; `model` positive, and `V` too for beta below 1.

        Returns
        -------
        float
            In units of V to the power beta.
        """
        return np.float64(np.sum(self.entries(V, model)))

    def entries(self, V: ArrayLike, model: ArrayLike) -> NDArray[np.float64]:
        """Return the divergence of each entry of `V` from that of `model`, in float64; see `between`."""
        v, p = np.asarray(V, np.float64), np.asarray(model, np.float64)
        beta = self.beta
        if beta == 1:
            log = np.log(np.divide(v, p, out=np.ones_like(v * p), where=v > 0))
            return v * log - v + p
        if beta == 0:
            return v / p - np.log(v / p) - 1
        return (v**beta + (beta - 1) * p**beta - beta * v * p ** (beta - 1)) / (beta * (beta - 1))
