"""Grouping of components into sources by timbre, envelope and panning.

A blind factorization gives many components without names. The components of one instrument share their
timbre, whatever the note is, and timbre is the smooth shape of a template's spectrum. They also begin, end
and fluctuate alike. Each template is described by a few mel-cepstral coefficients, each activation by the
shape of its envelope, and Ward clustering joins the nearest components. In a recording of several channels,
the panning of the components counts too, if they are panned far apart, and so does the coherence of the
channels in each component.

The mel filters and the silhouette are computed here, although librosa and scikit-learn have them: importing
either of these packages takes longer than importing all that a blind separation needs. The tests compare the
results with theirs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nmfaudio.errors import MatrixError, OptionError
from nmfaudio.separators.blind.envelopes import envelope_points

BANDS = 20  # mel bands: wide enough to show the envelope of a spectrum and no single partials
COEFFICIENTS = 8  # cepstral coefficients 1 to 8; coefficient 0 is the level, which templates do not have
FLOOR = 1e-4  # relative to the loudest band of a template; lower values count as silence
MARGIN = 0.05  # mean silhouette that a split into more sources must gain over a split into fewer
PANNING_WEIGHT = 13.0  # cepstral distance that equals one radian between two panning directions
# Spread of the panning directions in radians, weighted by energy. Below it, differences of level between the
# channels say more about the room than about the sources.
MIN_PANNING_SPREAD = 0.26
COHERENCE_WEIGHT = 20.0  # cepstral distance that equals the difference between no and full coherence
MIN_SHARE = 0.2  # relative to an equal share of the energy; a smaller cluster is not a source

Vector = NDArray[np.float64]
Labels = NDArray[np.intp]


@dataclass(frozen=True)
class Grouping:
    """The source to which each component belongs.

    Attributes
    ----------
    labels : ndarray, shape (components,)
        Source of each component, 0 to ``sources - 1``; source 0 has the most energy.
    sources : int
        Number of sources; each has at least one component.
    reason : str
        Line for the user that says how the number of sources was chosen.
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
    frames_per_second: float | None = None,
    coherence: NDArray[np.floating] | None = None,
    sources: int | None = None,
    limits: tuple[int, int] = (2, 6),
) -> Grouping:
    """Group the components of a factorization into sources by their timbre and their envelope.

    Parameters
    ----------
    W : ndarray, shape (bins, components)
        Templates of magnitudes.
    H : ndarray, shape (components, channels * frames)
        Activations, channel after channel.
    frequencies : ndarray, shape (bins,)
        Centre of each bin in Hz, in rising order.
    channels : int
        Number of channels of the recording.
    frames_per_second : float, optional
        Number of frames in a second. Without it, the frames need not be successive, and the
        envelopes do not count.
    coherence : ndarray, shape (components,), optional
        Coherence of the channels in each component, from 0 to 1. Without it, this does not count.
    sources : int, optional
        Number of sources. By default it is a guess within `limits`: the lowest number, unless a higher one
        gives a clearly better split. The guess was wrong for half of 27 mixtures, so pass the number if you
        know it.
    limits : tuple of int
        Lowest and highest number of sources to try, when `sources` is not given.

    Returns
    -------
    Grouping
        The same factorization is always grouped in the same way.

    Raises
    ------
    MatrixError
        When the shapes do not fit together or a value is not finite.
    OptionError
        When there are fewer components than sources, or no number lies within the limits.

    References
    ----------
    M. Spiertz and V. Gnann, "Source-filter based clustering for monaural blind source
    separation", DAFx 2009 (clustering by mel-cepstral coefficients of templates). G. Peeters, "A large set of
    audio features for sound description", IRCAM 2004 (attack, decay and modulation of envelopes).

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
    energies = component_energies(W, H)
    points = component_points(
        W,
        H,
        frequencies,
        energies,
        channels=channels,
        frames_per_second=frames_per_second,
        coherence=coherence,
    )
    if sources is None:
        return _best_split(points, energies, limits)
    labels = _split(points, energies, sources)
    return Grouping(labels, sources, f"{counted(sources, 'source')} requested")


def component_points(
    W: NDArray[np.floating],
    H: NDArray[np.floating],
    frequencies: NDArray[np.floating],
    energies: Vector,
    *,
    channels: int,
    frames_per_second: float | None = None,
    coherence: NDArray[np.floating] | None = None,
) -> Vector:
    """Describe the sound of each component by a point, shape (components, features).

    Parameters
    ----------
    W, H, frequencies, channels, frames_per_second, coherence
        As for `group_components`.
    energies : ndarray, shape (components,)
        Part of the energy that each component has.
    """
    points = np.hstack([timbres(W, frequencies), _panning(H, channels, energies)])
    if coherence is not None:
        points = np.hstack([points, COHERENCE_WEIGHT * coherence[:, None]])
    if frames_per_second is not None:
        points = np.hstack([points, envelope_points(H, channels, energies, frames_per_second)])
    return points


def timbres(W: NDArray[np.floating], frequencies: NDArray[np.floating]) -> Vector:
    """Return the mel-cepstral coefficients of each template, shape (components, COEFFICIENTS)."""
    from scipy.fft import dct  # here, because loading it takes 0.15 s

    bands = W.T @ mel_filters(frequencies)
    loudest = bands.max(axis=1, keepdims=True)
    relative = np.divide(bands, loudest, out=np.ones_like(bands), where=loudest > 0)
    cepstra = dct(np.log(np.maximum(relative, FLOOR)), axis=1, norm="ortho")
    return np.asarray(cepstra[:, 1 : COEFFICIENTS + 1])


def mel_filters(frequencies: NDArray[np.floating], bands: int = BANDS) -> Vector:
    """Return the weights of bins in triangular bands of equal width in mel, shape (bins, bands).

    Each band is a mean over its bins: its weights sum to one, or to zero where it lies between two bins.
    """
    mel = 2595 * np.log10(1 + frequencies.astype(np.float64) / 700)
    edges = np.linspace(0, mel[-1], bands + 2)
    width = max(edges[1], np.finfo(np.float64).tiny)
    triangles = np.maximum(0, 1 - np.abs(mel[:, None] - edges[1:-1]) / width)
    total = triangles.sum(axis=0)
    return np.asarray(np.divide(triangles, total, out=triangles, where=total > 0))


def _panning(H: NDArray[np.floating], channels: int, energies: Vector) -> Vector:
    """Return weighted panning directions, shape (components, channels or 0).

    A direction is a unit vector of the levels of a component in the channels: a component in the middle of
    two channels is 45 degrees from either side. Directions that lie close together are left out.
    """
    parts = H.reshape(len(H), channels, -1).astype(np.float64)
    levels = np.sqrt((parts**2).sum(axis=2))
    norms = np.linalg.norm(levels, axis=1, keepdims=True)
    directions = np.divide(levels, norms, out=np.full_like(levels, channels**-0.5), where=norms > 0)
    deviations = directions - energies @ directions
    spread = float(np.sqrt(energies @ (deviations**2).sum(axis=1)))
    return PANNING_WEIGHT * directions if spread > MIN_PANNING_SPREAD else np.zeros((len(H), 0))


def _check(
    W: NDArray[np.floating],
    H: NDArray[np.floating],
    frequencies: NDArray[np.floating],
    sources: int | None,
    limits: tuple[int, int],
) -> None:
    """Raise an error for arguments that cannot be grouped."""
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
            f"sources={sources}, but there {'is' if components == 1 else 'are'} "
            f"{counted(components, 'component')}: use 1 to {components} sources, or factorize into more "
            "components",
            option="sources",
        )
    if not 1 <= limits[0] <= limits[1]:
        raise OptionError(f"limits={limits}: pass (fewest, most) with 1 <= fewest <= most")


def component_energies(W: NDArray[np.floating], H: NDArray[np.floating]) -> Vector:
    """Return each component's share of the total energy ``|w|^2 |h|^2``; equal shares in silence.

    The sums are in float64, because squares of a quiet recording's float32 values would be rounded to zero.
    """
    levels = np.sum(W.astype(np.float64) ** 2, axis=0) * np.sum(H.astype(np.float64) ** 2, axis=1)
    return np.asarray(levels / levels.sum() if levels.any() else np.full(len(H), 1 / len(H)))


def _split(points: Vector, energies: Vector, sources: int) -> Labels:
    """Return clusters of components as sources, numbered by falling energy; faint clusters are joined.

    The tree is cut into `sources` clusters, then into one more, and so on, until each of the `sources`
    loudest clusters has `MIN_SHARE` of an equal share of the energy. If no cut reaches that, the cut that
    comes nearest is used. The components of all other clusters join the nearest of the loudest clusters.
    """
    if sources == 1:
        return np.zeros(len(points), np.intp)
    cuts = tree_cuts(points)[sources - 1 :]
    totals = [np.bincount(cut, energies) for cut in cuts]
    least = np.array([np.sort(total)[-sources] for total in totals])
    sufficient = least >= MIN_SHARE / sources
    chosen = int(np.argmax(sufficient) if sufficient.any() else np.argmax(least))
    cut, total = cuts[chosen], totals[chosen]
    loudest = np.argsort(-total, kind="stable")[:sources]
    centres = np.stack([points[cut == cluster].mean(axis=0) for cluster in loudest])
    labels = np.argmin(((points[:, None] - centres) ** 2).sum(axis=2), axis=1)
    for source, cluster in enumerate(loudest):
        labels[cut == cluster] = source
    order = np.argsort(-np.bincount(labels, energies), kind="stable")
    return np.asarray(np.argsort(order)[labels], dtype=np.intp)


def tree_cuts(points: Vector) -> list[Labels]:
    """Return the cuts of the Ward tree into 1, 2, ... clusters; each cut numbers its clusters from 0."""
    # Imported here because it is slow to import, and mixtures of single sounds need no grouping.
    from scipy.cluster.hierarchy import ward

    merged = np.arange(len(points))
    cuts = [merged]
    for step, pair in enumerate(ward(points)[:, :2]):
        merged = np.where(np.isin(merged, pair), len(points) + step, merged)
        cuts.append(np.unique(merged, return_inverse=True)[1])
    return cuts[::-1]


def _best_split(points: Vector, energies: Vector, limits: tuple[int, int]) -> Grouping:
    """Return the best number of sources; a higher number must raise the mean silhouette by `MARGIN`."""
    components = len(points)
    fewest, most = (min(limit, components) for limit in limits)
    if fewest == most:
        labels = _split(points, energies, most)
        why = f"no other number fits limits={limits} and {counted(components, 'component')}"
        return Grouping(labels, most, f"{counted(most, 'source')}: {why}")
    splits = {n: _split(points, energies, n) for n in range(fewest, most + 1)}
    scores = {n: _silhouette(points, labels) for n, labels in splits.items()}
    best = fewest
    for n, score in scores.items():
        if score > scores[best] + MARGIN:
            best = n
    others = ", ".join(f"{n}: {score:.2f}" for n, score in scores.items() if n != best)
    reason = (
        f"{counted(best, 'source')}: the clearest split of {components} components "
        f"(silhouette {scores[best]:.2f}; {others})"
    )
    return Grouping(splits[best], best, reason)


def _silhouette(points: Vector, labels: Labels) -> float:
    """Return the mean silhouette (Rousseeuw 1987), from -1 to 1; it is 0 for a single cluster.

    The silhouette of a cluster of one point is 0, too.
    """
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


def counted(number: int, thing: str) -> str:
    """Return a number and the name of a thing in the singular or plural.

    Examples
    --------
    >>> counted(1, "source"), counted(2, "source")
    ('1 source', '2 sources')
    """
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
