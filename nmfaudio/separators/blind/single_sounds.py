"""Mixtures in which each source is a single sound: as many components as sources explain nearly all.

The tests compare the objectives of three factorizations: by one component, by a few, and by many. The few
explain a part, from 0 to 1, of what the many explain beyond one component.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmfaudio.nmf import Factorization, factorize
from nmfaudio.separators.blind.search import ComponentSearch, Job

# Part that as many components as sources must explain, when the number of sources is given.
SIMPLE_ENOUGH = 0.58
# When the number is not given: part that the components must explain, and how many times as much the last of
# them must explain as one further component.
ELBOW_EXPLAINS, ELBOW_BEND = 0.55, 2.2

_MOST = 6  # sources: the search tries 2 to 5, and compares the last with 6
_STARTS = 3  # random starts of few components, because a single start is often a bad one
_ONE_ITERATIONS = 20  # updates of a single component, which converges at once
# Evenly spaced frames and updates that suffice to compare numbers of components.
_COMPARED_FRAMES, _COMPARED_ITERATIONS = 1024, 40


def are_single_sounds(search: ComponentSearch, sources: int, components: int) -> bool:
    """Return whether as many components as sources explain nearly as much as many components do."""
    V, iterations = _sample(search)
    jobs = [Job(V, components, 0, iterations), *_jobs(V, sources, iterations)]
    many, *few = search.factorize_all(jobs, "counting components")
    return _explained(search, V, _best(few), many) > SIMPLE_ENOUGH


def count_single_sounds(search: ComponentSearch, components: int) -> int | None:
    """Return the number of components after which further ones explain little; None without such a number."""
    if components <= _MOST:
        return None
    V, iterations = _sample(search)
    jobs = [Job(V, components, 0, iterations), *_jobs(V, _MOST, iterations)]
    many, *few = search.factorize_all(jobs, "counting sources")
    explained = {1: 0.0, _MOST: _explained(search, V, _best(few), many)}
    if explained[_MOST] < ELBOW_EXPLAINS:
        return None
    ranks = range(2, _MOST)
    jobs = [job for rank in ranks for job in _jobs(V, rank, iterations)]
    factorizations = search.factorize_all(jobs, "counting sources")
    for rank in ranks:
        first = (rank - ranks[0]) * _STARTS
        explained[rank] = _explained(search, V, _best(factorizations[first : first + _STARTS]), many)
    bends = {rank: _bend(*(explained[rank + step] for step in (-1, 0, 1))) for rank in ranks}
    best = max(bends, key=lambda rank: bends[rank])
    return best if bends[best] > ELBOW_BEND and explained[best] > ELBOW_EXPLAINS else None


def factorize_single_sounds(search: ComponentSearch, sources: int) -> Factorization:
    """Return the best factorization of several random starts, with one component for each source."""
    jobs = _jobs(search.V, sources, search.iterations)
    plural = "" if sources == 1 else "s"
    return _best(search.factorize_all(jobs, f"finding {sources} component{plural}"))


def _sample(search: ComponentSearch) -> tuple[NDArray[Any], int]:
    """Return frames and a number of updates that suffice to compare numbers of components."""
    step = -(-search.V.shape[1] // _COMPARED_FRAMES)
    V = np.ascontiguousarray(search.V.T[::step]).T
    return V, min(_COMPARED_ITERATIONS, search.iterations)


def _jobs(V: NDArray[Any], rank: int, iterations: int) -> list[Job]:
    return [Job(V, rank, start, iterations) for start in range(_STARTS)]


def _best(factorizations: list[Factorization]) -> Factorization:
    return min(factorizations, key=lambda one: float(one.objective[-1]))


def _explained(search: ComponentSearch, V: NDArray[Any], few: Factorization, many: Factorization) -> float:
    """Return the part, of what many components explain beyond a single one, that a few explain."""
    one = factorize(V, 1, divergence=search.divergence, iterations=_ONE_ITERATIONS)
    gain = one.objective[-1] - many.objective[-1]
    return float((one.objective[-1] - few.objective[-1]) / gain) if gain > 0 else 1.0


def _bend(before: float, here: float, after: float) -> float:
    """Return how many times as much the last component explains as the next one would."""
    return (here - before) / max(after - here, 1e-9)
