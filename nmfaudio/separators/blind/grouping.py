"""Components to sources: which templates sound alike.

A blind factorization gives many components and no names.  The components of one instrument share
their timbre, whatever the note, and timbre is the smooth shape of a template's spectrum.  Each
template becomes a few mel-cepstral coefficients, and Ward clustering joins the nearest of them.  Where
the components of a recording of several channels stand far apart, where they stand counts too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct

from nmfaudio.errors import MatrixError, OptionError

BANDS = 20  # mel bands: wide enough that single partials do not show, only their envelope
COEFFICIENTS = 8  # cepstral coefficients 1 to 8; the 0th is the level, which a template lacks
FLOOR = 1e-4  # of a template's loudest band: what lies lower is taken to be silent
MARGIN = 0.05  # in silhouette: what a split into more sources must gain to be believed
# What a radian between two places counts beside cepstra; and the spread of places, weighed by energy, below
# which they tell more of the room than of the sources.
PLACE, SPREAD = 13.0, 0.26
SHARE = 0.2  # of an equal share of the energy: a smaller cluster is a stray, not a source

Vector = NDArray[np.float64]
Labels = NDArray[np.intp]


@dataclass(frozen=True)
class Grouping:
    """Which source each component belongs to.

    Attributes
    ----------
    labels : ndarray, shape (components,)
        The source of each component, 0 to ``sources - 1``; source 0 has the most energy.
    sources : int
        How many sources there are; each has at least one component.
    reason : str
        One line for the user: how the number of sources came about.
    """

    labels: Labels
    sources: int
    reason: str


def group_components(
    W: NDArray[np.floating],
    H: NDArray[np.floating],
    frequencies: NDArray[np.floating],
    *,
    channels: int = 1,
    sources: int | None = None,
    limits: tuple[int, int] = (2, 6),
) -> Grouping:
    """Group the components of a factorization into sources by the timbre of their templates.

    Parameters
    ----------
    W : ndarray, shape (bins, components)
        Templates of magnitudes.
    H : ndarray, shape (components, channels * frames)
        Activations, channel after channel.
    frequencies : ndarray, shape (bins,)
        Centre of each bin in Hz, rising.
    channels : int
        Of the recording.
    sources : int, optional
        Number of sources.  By default a guess within `limits`: the fewest, unless more split
        clearly better.  It is often wrong (half of 27 mixtures): pass the number if you know it.
    limits : tuple of int
        Fewest and most sources to look for, when `sources` is not given.

    Returns
    -------
    Grouping
        Deterministic: the same factorization is always grouped the same way.

    Raises
    ------
    MatrixError
        If the shapes do not fit together or a value is not finite.
    OptionError
        If there are fewer components than sources, or no number within the limits.

    References
    ----------
    M. Spiertz and V. Gnann, "Source-filter based clustering for monaural blind source
    separation", DAFx 2009 (mel-cepstral coefficients of templates, clustered).

    Examples
    --------
    >>> W = np.array([[0.9, 0.8, 0.0], [0.1, 0.2, 0.0], [0.0, 0.0, 1.0]])
    >>> H = np.array([[1.0, 0.0], [0.0, 1.0], [3.0, 3.0]])
    >>> group_components(W, H, np.array([0.0, 4000.0, 8000.0]), sources=2).labels
    array([1, 1, 0])
    """
    _check(W, H, frequencies, sources, limits)
    if channels < 1 or H.shape[1] % channels:
        raise MatrixError(
            f"H {H.shape} does not hold {channels} channels: pass (components, channels * frames)"
        )
    energies = _energies(W, H)
    points = np.hstack([timbres(W, frequencies), _places(H, channels, energies)])
    if sources is None:
        return _best_split(points, energies, limits)
    labels = _split(points, energies, sources)
    return Grouping(labels, sources, f"{_count(sources, 'source')} asked for")


def timbres(W: NDArray[np.floating], frequencies: NDArray[np.floating]) -> Vector:
    """Describe each template by its mel-cepstral coefficients, shape (components, COEFFICIENTS)."""
    bands = W.T @ mel_filters(frequencies)
    loudest = bands.max(axis=1, keepdims=True)
    relative = np.divide(bands, loudest, out=np.ones_like(bands), where=loudest > 0)
    cepstra = dct(np.log(np.maximum(relative, FLOOR)), axis=1, norm="ortho")
    return np.asarray(cepstra[:, 1 : COEFFICIENTS + 1])


def mel_filters(frequencies: NDArray[np.floating], bands: int = BANDS) -> Vector:
    """Weigh bins into triangular bands of equal width in mel, shape (bins, bands).

    Each band is a mean over its bins (the weights sum to one, or to zero where a band falls
    between two bins).  librosa has this too, but importing it costs more than the grouping.
    """
    mel = 2595 * np.log10(1 + frequencies.astype(np.float64) / 700)
    edges = np.linspace(0, mel[-1], bands + 2)
    width = max(edges[1], np.finfo(np.float64).tiny)
    triangles = np.maximum(0, 1 - np.abs(mel[:, None] - edges[1:-1]) / width)
    total = triangles.sum(axis=0)
    return np.asarray(np.divide(triangles, total, out=triangles, where=total > 0))


def _places(H: NDArray[np.floating], channels: int, energies: Vector) -> Vector:
    """Describe each component by its levels in the channels, shape (components, channels), if they tell much.

    Directions in the space of the channels: what stands in the middle of two is 45 degrees from either side.
    """
    parts = H.reshape(len(H), channels, -1).astype(np.float64)
    levels = np.sqrt((parts**2).sum(axis=2))
    norms = np.linalg.norm(levels, axis=1, keepdims=True)
    directions = np.divide(levels, norms, out=np.full_like(levels, channels**-0.5), where=norms > 0)
    around = directions - energies @ directions
    spread = float(np.sqrt(energies @ (around**2).sum(axis=1)))
    return PLACE * directions if spread > SPREAD else np.zeros((len(H), 0))


def _check(
    W: NDArray[np.floating],
    H: NDArray[np.floating],
    frequencies: NDArray[np.floating],
    sources: int | None,
    limits: tuple[int, int],
) -> None:
    """Refuse what cannot be grouped, and say what to do instead."""
    bins, components = W.shape if W.ndim == 2 else (0, 0)
    if components == 0 or H.ndim != 2 or len(H) != components or frequencies.shape != (bins,):
        raise MatrixError(
            f"W {W.shape}, H {H.shape} and frequencies {frequencies.shape} do not fit together: "
            "pass W (bins, components), H (components, frames) and frequencies (bins,)"
        )
    if not (np.isfinite(W).all() and np.isfinite(H).all()):
        raise MatrixError("W or H holds NaN or infinity: factorize finite magnitudes")
    if sources is not None and not 1 <= sources <= components:
        raise OptionError(
            f"{_count(sources, 'source')} asked for, but there are {components} components: "
            f"ask for 1 to {components} sources, or factorize into more components"
        )
    if not 1 <= limits[0] <= limits[1]:
        raise OptionError(f"limits={limits}: pass (fewest, most) with 1 <= fewest <= most")


def _energies(W: NDArray[np.floating], H: NDArray[np.floating]) -> Vector:
    """Share of each component in the energy of all, ``|w|^2 |h|^2``; equal shares in silence.

    In float64: the squares of a quiet recording's float32 values would vanish.
    """
    levels = np.sum(W.astype(np.float64) ** 2, axis=0) * np.sum(H.astype(np.float64) ** 2, axis=1)
    return np.asarray(levels / levels.sum() if levels.any() else np.full(len(H), 1 / len(H)))


def _split(points: Vector, energies: Vector, sources: int) -> Labels:
    """Cluster into `sources` groups, none of them a stray; order them by falling energy.

    The tree is cut into `sources` clusters, then one more, and so on, until `sources` of them hold
    `SHARE` of an equal share of the energy each (if no cut does, the cut that comes nearest).  What
    is left over goes to the nearest of those.
    """
    if sources == 1:
        return np.zeros(len(points), np.intp)
    cuts = _cuts(points)[sources - 1 :]
    totals = [np.bincount(cut, energies) for cut in cuts]
    least = np.array([np.sort(total)[-sources] for total in totals])
    enough = least >= SHARE / sources
    chosen = int(np.argmax(enough) if enough.any() else np.argmax(least))
    cut, total = cuts[chosen], totals[chosen]
    kept = np.argsort(-total, kind="stable")[:sources]
    centres = np.stack([points[cut == cluster].mean(axis=0) for cluster in kept])
    labels = np.argmin(((points[:, None] - centres) ** 2).sum(axis=2), axis=1)
    for source, cluster in enumerate(kept):
        labels[cut == cluster] = source
    order = np.argsort(-np.bincount(labels, energies), kind="stable")
    return np.asarray(np.argsort(order)[labels], dtype=np.intp)


def _cuts(points: Vector) -> list[Labels]:
    """Cut the Ward tree into 1, 2, ... clusters; each cut numbers its clusters from 0."""
    # Loaded here, for it takes a while, and what is simple needs no groups.
    from scipy.cluster.hierarchy import ward

    merged = np.arange(len(points))
    cuts = [merged]
    for step, pair in enumerate(ward(points)[:, :2]):
        merged = np.where(np.isin(merged, pair), len(points) + step, merged)
        cuts.append(np.unique(merged, return_inverse=True)[1])
    return cuts[::-1]


def _best_split(points: Vector, energies: Vector, limits: tuple[int, int]) -> Grouping:
    """Try each number of sources; a greater one must raise the mean silhouette by `MARGIN`."""
    components = len(points)
    fewest, most = (min(limit, components) for limit in limits)
    if fewest == most:
        labels = _split(points, energies, most)
        why = f"no other number fits limits={limits} and {_count(components, 'component')}"
        return Grouping(labels, most, f"{_count(most, 'source')}: {why}")
    splits = {n: _split(points, energies, n) for n in range(fewest, most + 1)}
    scores = {n: _silhouette(points, labels) for n, labels in splits.items()}
    best = fewest
    for n, score in scores.items():
        if score > scores[best] + MARGIN:
            best = n
    others = ", ".join(f"{n}: {score:.2f}" for n, score in scores.items() if n != best)
    reason = (
        f"{_count(best, 'source')}: the clearest split of {components} components "
        f"(silhouette {scores[best]:.2f}; {others})"
    )
    return Grouping(splits[best], best, reason)


def _silhouette(points: Vector, labels: Labels) -> float:
    """Mean silhouette (Rousseeuw 1987), from -1 to 1; 0 for a point alone and for one cluster."""
    sizes = np.bincount(labels)
    if len(sizes) < 2:
        return 0.0
    distances = np.linalg.norm(points[:, None] - points, axis=2)
    sums = np.stack([distances[:, labels == source].sum(axis=1) for source in range(len(sizes))], 1)
    rows = np.arange(len(points))
    own = sums[rows, labels] / np.maximum(sizes[labels] - 1, 1)
    means = sums / sizes
    means[rows, labels] = np.inf
    nearest = means.min(axis=1)
    span = np.maximum(own, nearest)
    values = np.divide(nearest - own, span, out=np.zeros_like(span), where=span > 0)
    return float(np.where(sizes[labels] > 1, values, 0).mean())


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
