"""Penalties on the factors, as terms of the quotients of their updates.

Each penalty is majorised by a function that is separable in the entries, touches it at the current point, and
has a form that the multiplicative update minimises: so the update with the penalty's terms in its quotient
never raises the penalised objective. A penalty of H alone could be dodged by moving the scale to W; sparsity
and those that speak of *levels* weigh each activation by the norm of its template, which no scale can dodge.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nmfaudio.errors import OptionError
from nmfaudio.nmf.initialize import Matrix
from nmfaudio.nmf.layout import AnyTemplates, Penalty
from nmfaudio.nmf.problem import Problem

_LARGEST_POWER = 1000  # of two, that a weight may be multiplied by
_GROUP_FLOOR = 1e-3  # of the mean level of a frame: a source below it counts as silent


@dataclass(frozen=True)
class Penalties:
    """What to add to the divergence, to say what factors are wanted. All are off by default.

    With w_k and h_k template and activation of component k, and ``u_k = |w_k|_1 h_k`` its level:

    Parameters
    ----------
    l1_W, l2_W, l1_H, l2_H : float or array_like, shape (components,)
        Weights of ``|w_k|_1``, ``|w_k|_2^2 / 2``, ``|h_k|_1`` and ``|h_k|_2^2 / 2`` (Tan & Fevotte 2013).
        Where one factor alone is penalised, the other takes up the scale. With any of these, templates keep
        the scale that is best.
    sparsity : float or array_like, shape (components,)
        Weight of ``|w_k|_2 |h_k|_1``: few and short activations (Le Roux et al. 2015, the norm of W inside
        the objective). The Euclidean norm matters: with ``|w_k|_1``, Kullback-Leibler would merely shrink
        all of H.
    continuity : float or array_like, shape (components,)
        Weight of sum_n (u_k[n] - u_k[n-1])^2: activations that change slowly (Virtanen 2007).
    group_sparsity : float
        Weight of sum_n sum_g log(e + sum of u_k[n] over the components of group g): few groups at a time
        (Lefevre, Bach & Fevotte 2011); e is a thousandth of the mean level of a frame.
    groups : array_like of int, shape (components,)
        The group of each component, from 0, for `group_sparsity`.

    Raises
    ------
    OptionError
        For a weight that is negative or not finite, or groups that are missing.

    References
    ----------
    V. Y. F. Tan and C. Fevotte, "Automatic relevance determination in nonnegative matrix factorization with
    the beta-divergence", IEEE TPAMI 35(7), 2013 (the updates and why they descend). J. Le Roux, F. Weninger
    and J. Hershey, "Sparse NMF: half-baked or well done?", MERL TR2015-023. T. Virtanen, "Monaural sound
    source separation by nonnegative matrix factorization with temporal continuity and sparseness criteria",
    IEEE TASLP 15(3), 2007. A. Lefevre, F. Bach and C. Fevotte, "Itakura-Saito nonnegative matrix
    factorization with group sparsity", ICASSP 2011.

    Examples
    --------
    >>> from nmfaudio import factorize
    >>> V = np.random.default_rng(0).random((20, 50))
    >>> free, sparse = (factorize(V, 4, penalties=Penalties(sparsity=s)).H for s in (0.0, 0.5))
    >>> bool((sparse < 0.01).mean() > (free < 0.01).mean())
    True
    """

    l1_W: ArrayLike = 0.0
    l2_W: ArrayLike = 0.0
    l1_H: ArrayLike = 0.0
    l2_H: ArrayLike = 0.0
    sparsity: ArrayLike = 0.0
    continuity: ArrayLike = 0.0
    group_sparsity: float = 0.0
    groups: ArrayLike | None = None

    def __post_init__(self) -> None:
        for name in ("l1_W", "l2_W", "l1_H", "l2_H", "sparsity", "continuity", "group_sparsity"):
            given = getattr(self, name)
            if isinstance(given, float) and 0 <= given < np.inf:
                continue
            weight = np.asarray(given, np.float64)
            if weight.ndim > 1 or not np.isfinite(weight).all() or (weight < 0).any():
                raise OptionError(f"{name}={getattr(self, name)}: penalties must be finite and not negative")
        if self.group_sparsity and self.groups is None:
            raise OptionError(
                f"group_sparsity={self.group_sparsity} needs groups=: the group of each component"
            )

    @property
    def fix_scale(self) -> bool:
        """Whether the scale of the templates is a part of what is penalised."""
        return any(np.any(w) for w in (self.l1_W, self.l2_W, self.l1_H, self.l2_H))

    def of_unit_templates(self, total: NDArray[np.float64]) -> Penalties:
        """Return the same penalties of activations whose templates were divided by their sums."""
        safe = np.where(total > 0, total, 1.0)
        scaled = {"l1_H": np.asarray(self.l1_H) / safe, "l2_H": np.asarray(self.l2_H) / safe**2}
        levels = (self.sparsity, self.continuity, self.group_sparsity, self.groups)
        return Penalties(0.0, 0.0, scaled["l1_H"], scaled["l2_H"], *levels)


class Weights:
    """The penalties of one problem, in its own scale.

    Parameters
    ----------
    penalties : Penalties
    problem : Problem
        Whose data, and with them levels, are multiplied by its `data_scale`.
    rank : int
    """

    def __init__(self, penalties: Penalties, problem: Problem, rank: int) -> None:
        self._rank = rank
        beta, scale, unit = problem.divergence.beta, problem.data_scale, problem.weight_unit
        powers: dict[str, float] = {"l1_W": beta, "l2_W": beta, "l1_H": beta - 1, "l2_H": beta - 2}
        powers |= {"sparsity": beta - 1, "continuity": beta - 2}
        self._weights = {
            name: _in_scale(name, _vector(name, getattr(penalties, name), rank) / unit, scale, power)
            for name, power in powers.items()
        }
        self._group_weight = float(
            _in_scale("group_sparsity", np.array([penalties.group_sparsity / unit]), scale, beta)[0]
        )
        self._members = _members(penalties.groups, rank) if self._group_weight else np.empty((rank, 0))
        self._group_floor = _GROUP_FLOOR * (problem.level * problem.bins or 1.0)
        self.squares_of_templates = self._any("l2_W", "sparsity", "continuity")
        self.squares_of_activations = self._any("l2_H", "continuity")
        self.coupled = self._any("continuity") or self._group_weight > 0
        self._is_zero = not self._any(*powers) and self._group_weight == 0
        self._nothing = np.empty((0, rank), np.float32)
        zeros = np.zeros(rank, np.float32)
        self._none = Penalty(zeros, zeros, self._nothing, self._nothing)

    def _sums(self, templates: AnyTemplates) -> NDArray[np.float64]:
        """Return the sum of each template."""
        return templates.sums[: self._rank].astype(np.float64)

    def _norms(self, templates: AnyTemplates) -> NDArray[np.float64]:
        """Return the Euclidean norm of each template."""
        T = templates.T[: self._rank]
        return np.asarray(np.sqrt(np.einsum("kf,kf->k", T, T, dtype=np.float64)))

    def _any(self, *names: str) -> bool:
        return any(bool(self._weights[name].any()) for name in names)

    def on_activations(self, templates: AnyTemplates, H: Matrix) -> Penalty:
        """Return the terms of the update of H, (frames, components), whose templates are given."""
        if self._is_zero:
            return self._none
        weights, sums = self._weights, self._sums(templates)
        linear = weights["l1_H"]
        if weights["sparsity"].any():
            linear = linear + weights["sparsity"] * self._norms(templates)
        smooth = weights["continuity"] * sums**2
        entries = pull = self._nothing
        if smooth.any():
            # (a - b)^2 <= 2 (a - m)^2 + 2 (b - m)^2 with m the current middle: separable, and equal there.
            pull = _pull(H, (2 * smooth).astype(np.float32))
        if self._group_weight:
            entries = (self._slopes(sums, H) @ self._members.T * sums).astype(np.float32)
        quadratic = weights["l2_H"] + 8 * smooth
        return Penalty(linear.astype(np.float32), quadratic.astype(np.float32), entries, pull)

    def on_templates(self, templates: AnyTemplates, H: Matrix) -> tuple[Matrix, Matrix]:
        """Return what stands below in the quotient of W, and what stands there times W."""
        if self._is_zero:
            return self._none.linear, self._none.quadratic
        weights, sums = self._weights, self._sums(templates)
        linear, quadratic = weights["l1_W"].copy(), weights["l2_W"].copy()
        if weights["sparsity"].any():
            # A norm is majorised by a square: |w| <= |w|^2 / 2 |w0| + |w0| / 2.
            norms = np.maximum(self._norms(templates), np.finfo(np.float32).tiny)
            quadratic += weights["sparsity"] * H.sum(axis=0, dtype=np.float64) / norms
        if weights["continuity"].any():
            # The square of a sum is majorised by a sum of squares (Jensen), whose slope at W is this.
            linear += 2 * weights["continuity"] * sums * _roughness(H)
        if self._group_weight:
            linear += np.einsum("nk,nk->k", self._slopes(sums, H) @ self._members.T, H)
        return linear.astype(np.float32), quadratic.astype(np.float32)

    def value(self, templates: AnyTemplates, H: Matrix) -> float:
        """Return what the penalties add to the objective."""
        if self._is_zero:
            return 0.0
        weights, sums = self._weights, self._sums(templates)
        level = H.sum(axis=0, dtype=np.float64)
        added = float(weights["l1_W"] @ sums + weights["l1_H"] @ level)
        added += float((weights["sparsity"] * self._norms(templates)) @ level)
        added += float(weights["l2_W"] @ self._norms(templates) ** 2) / 2
        if weights["l2_H"].any():
            added += float(weights["l2_H"] @ np.einsum("nk,nk->k", H, H, dtype=np.float64)) / 2
        if weights["continuity"].any():
            added += float((weights["continuity"] * sums**2) @ _roughness(H))
        if self._group_weight:
            groups = self._group_floor + (H * sums) @ self._members
            added += self._group_weight * float(np.log(groups / self._group_floor).sum())
        return added

    def _slopes(self, sums: NDArray[np.float64], H: Matrix) -> NDArray[np.float64]:
        """Return the slope of the logarithm of each group's level, (frames, groups)."""
        return np.asarray(self._group_weight / (self._group_floor + (H * sums) @ self._members))


def _in_scale(name: str, weight: NDArray[np.float64], scale: float, power: float) -> NDArray[np.float64]:
    """Return weights for data that were multiplied by `scale`."""
    if not weight.any():
        return weight
    if abs(np.log2(scale) * power) > _LARGEST_POWER:
        raise OptionError(
            f"{name}={weight.max():g} is out of range for data of a level of {1 / scale:.1g}: multiply the "
            "data by a constant"
        )
    return np.asarray(weight * scale**power)


def _vector(name: str, weight: ArrayLike, rank: int) -> NDArray[np.float64]:
    given = np.asarray(weight, np.float64)
    if given.ndim and given.shape != (rank,):
        raise OptionError(f"{name} has shape {given.shape}: it must be one number or one for each of {rank}")
    return given + np.zeros(rank)


def _members(groups: Any, rank: int) -> NDArray[np.float64]:
    """Return which component belongs to which group, (components, groups), of zeros and ones."""
    given = np.asarray(groups)
    if given.shape != (rank,) or not np.issubdtype(given.dtype, np.integer) or given.min() < 0:
        raise OptionError(f"groups={groups}: it must hold a number from 0 for each of {rank} components")
    return np.asarray(np.eye(int(given.max()) + 1)[given])


def _pull(H: Matrix, weight: NDArray[np.float32]) -> Matrix:
    """Return what draws each entry towards the middles between it and its neighbours in time."""
    before, after = np.vstack([H[:1], H[:-1]]), np.vstack([H[1:], H[-1:]])
    return np.ascontiguousarray(weight * (2 * H + before + after))


def _roughness(H: Matrix) -> NDArray[np.float64]:
    """Return the sum of squared steps of each activation."""
    steps = np.diff(H, axis=0)
    return np.asarray(np.einsum("nk,nk->k", steps, steps, dtype=np.float64))
