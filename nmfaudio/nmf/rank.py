"""One number of components, and why, from two kinds of evidence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nmfaudio.nmf.consensus import Stability
from nmfaudio.nmf.relevance import Relevance

STEADY = 0.9  # mean stability from which on the components are the same from every start
EXPLAINS = 0.5  # of what the most components do beyond one: less leaves out too much, however stable

_CLEARLY = 0.05  # less stable
_SAME = 0.97  # stability that the words may call so


@dataclass(frozen=True)
class Recommendation:
    """A number of components, with its evidence.

    Attributes
    ----------
    rank : int
    reason : str
        One line in plain words.
    explained : ndarray, shape (ranks,)
        For each rank of `stability`, its part of what the largest of them does beyond one component.
    relevance : Relevance
    stability : Stability

    Examples
    --------
    >>> from nmfaudio.nmf import relevant_rank, stability
    >>> V = np.outer([1.0, 2.0, 5.0], [3.0, 1.0, 2.0, 4.0])
    >>> recommend(relevant_rank(V, 2), stability(V, [1, 2])).reason
    'a single component: more would be irrelevant'
    """

    rank: int
    reason: str
    explained: NDArray[np.float64]
    relevance: Relevance
    stability: Stability

    def __repr__(self) -> str:
        return f"Recommendation({self.rank}: {self.reason})"


def recommend(
    relevance: Relevance, stability: Stability, *, steady: float = STEADY, explains: float = EXPLAINS
) -> Recommendation:
    """Choose the rank after which more explain little, among those that are stable and explain enough.

    That is where one component more gains most, compared to the next one, among the ranks that have no
    irrelevant component. Where no rank is stable, the answer is the number of relevant components.

    Parameters
    ----------
    relevance : Relevance
    stability : Stability
        Stability of ranks that include 1.
    steady : float
        Mean stability that a rank needs.
    explains : float
        Part that it has to explain of what the largest rank, as far as it is relevant, does beyond one.

    Returns
    -------
    Recommendation

    Examples
    --------
    >>> from nmfaudio.nmf import relevant_rank, stability
    >>> generator = np.random.default_rng(0)
    >>> V = generator.random((40, 3)) ** 8 @ generator.random((3, 90)) ** 8
    >>> recommend(relevant_rank(V, 8), stability(V, range(1, 6)))
    Recommendation(3: every random start finds the same 3 components ...)
    """
    ranks, means = stability.ranks, stability.means
    explained = _explained(relevance, stability)
    good = (means >= steady) & (explained >= explains) & (ranks <= relevance.rank)
    if good.any():
        chosen = max(np.flatnonzero(good).tolist(), key=lambda i: (_bend(i, stability), ranks[i]))
        rank, reason = int(ranks[chosen]), _why_stable(chosen, explained, relevance, stability)
    else:
        rank, reason = relevance.rank, _why_relevant(relevance, stability)
    return Recommendation(rank, reason, explained, relevance, stability)


def _explained(relevance: Relevance, stability: Stability) -> NDArray[np.float64]:
    ranks, lowest = stability.ranks, stability.lowest
    one = lowest[ranks.argmin()]
    gain = one - lowest[ranks <= _limit(relevance, ranks)].min()
    return np.asarray((one - lowest) / gain if gain > 0 else np.ones(len(ranks)))


def _bend(position: int, stability: Stability) -> float:
    """Return how much more this component gains than the next one; 1 where either was not tried."""
    lowest = dict(zip(stability.ranks.tolist(), stability.lowest.tolist(), strict=True))
    rank = int(stability.ranks[position])
    if not {rank - 1, rank + 1} <= set(lowest):
        return 1.0
    gain, following = lowest[rank - 1] - lowest[rank], lowest[rank] - lowest[rank + 1]
    return float(gain / following) if following > 0 else np.inf


def _why_stable(
    chosen: int, explained: NDArray[np.float64], relevance: Relevance, stability: Stability
) -> str:
    ranks, means = stability.ranks, stability.means
    rank = int(ranks[chosen])
    if rank == 1:
        return "a single component: more would be irrelevant"
    same = "the same" if means[chosen] >= _SAME else "much the same"
    reason = f"every random start finds {same} {rank} components (stability {means[chosen]:.2f})"
    if rank < (limit := _limit(relevance, ranks)):
        reason += f", which explain {100 * min(explained[chosen], 1):.0f} % of what {limit} do"
    larger = np.flatnonzero(ranks > rank)
    if not len(larger):
        return f"{reason}; larger ranks were not tried"
    following = larger[ranks[larger].argmin()]
    if ranks[following] > relevance.rank:
        return f"{reason}; more are irrelevant"
    if means[following] < means[chosen] - _CLEARLY:
        return f"{reason}; with {ranks[following]} the stability falls to {means[following]:.2f}"
    return f"{reason}; one more adds only {100 * (explained[following] - explained[chosen]):.0f} %"


def _why_relevant(relevance: Relevance, stability: Stability) -> str:
    ranks, means = stability.ranks, stability.means
    several = np.flatnonzero((ranks > 1) & (ranks <= relevance.rank))
    reason = f"{relevance.rank} of {relevance.most} components are relevant"
    if relevance.rank == relevance.most:
        reason = f"all {relevance.most} components are relevant, and more may be"
    if not len(several):
        return reason
    steadiest = several[means[several].argmax()]
    return (
        f"no few components come back from every random start and explain enough (the steadiest are "
        f"{ranks[steadiest]}, stability {means[steadiest]:.2f}); {reason}"
    )


def _limit(relevance: Relevance, ranks: NDArray[np.intp]) -> int:
    """Return the largest rank that was tried and is relevant."""
    return int(ranks[ranks <= max(relevance.rank, int(ranks.min()))].max())
