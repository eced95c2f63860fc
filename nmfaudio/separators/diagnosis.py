"""Before separating: how well a dictionary explains a mixture, what it lacks, and what it will confuse."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmfaudio.dictionary import Dictionary
from nmfaudio.nmf import factorize
from nmfaudio.pitch import note_name
from nmfaudio.separators.templates import TemplateModel, spread_frames
from nmfaudio.sound.bands import band_starts, in_bands
from nmfaudio.sound.stft import Blocks

FRAMES = 512  # of the mixture, evenly spread, that are looked at
POOR, NEAR = 0.75, 0.95  # explained below, or likeness above: a warning
_COPIED = 0.25  # of a source's energy in near copies of another's templates: a warning
_MOST_TEMPLATES = 400  # of a source that are compared: those with the most energy
_AUDIBLE_HZ = 30.0


def diagnose(
    model: TemplateModel, known: Dictionary, mixture: Blocks
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return notes and warnings on how a dictionary fits a mixture.

    Parameters
    ----------
    model : TemplateModel
        Of the dictionary.
    known : Dictionary
        Through the settings of the model.
    mixture : Blocks

    Returns
    -------
    tuple of str, tuple of str
    """
    V, times = spread_frames(mixture.with_stft(model.stft), model.power, FRAMES)
    warnings = list(near_copies(known))
    if not V.any():
        return (), tuple(warnings)
    frequencies = model.stft.frequencies(mixture.sample_rate)
    explained, lacking = _explained(model, V, times, frequencies)
    notes = [f"the templates explain {100 * explained:.0f} % of the mixture"]
    if explained < POOR:
        where = f"; what they lack lies mostly around {lacking:.0f} Hz ({note_name(lacking)})"
        cure = "--free 12 (free=12) catches what no template explains"
        if model.sources != known.sources:
            cure = "more free templates catch more"
        warnings.append(
            f"the templates explain only {100 * explained:.0f} % of the mixture{where}: record each source "
            f"there too, playing the notes that the mixture has, and add it to its dictionary; {cure}"
        )
    return tuple(notes), tuple(warnings)


def _explained(
    model: TemplateModel,
    V: NDArray[np.float32],
    times: NDArray[np.float64],
    frequencies: NDArray[np.float64],
) -> tuple[float, float]:
    """Return the part of the divergence from one spectrum that is explained, and where most is lacking."""
    allowed = model.hints.allowed(model.sources, times) if model.hints else None
    H = model.activations(V, 0, allowed)
    starts = band_starts(frequencies, 24)
    banded = in_bands(V, starts)
    flat = factorize(np.ascontiguousarray(banded.T).T, 1, iterations=20)
    target, plain = banded.astype(np.float64), (flat.W @ flat.H).astype(np.float64)
    found = in_bands(model.takes[0].templates @ H, starts).astype(np.float64)
    floor = 1e-6 * target.mean()
    lost = _divergence(target, found + floor)
    explained = 1 - lost.sum() / max(_divergence(target, plain + floor).sum(), np.finfo(float).tiny)
    middles = frequencies[starts]
    audible = np.flatnonzero(middles > _AUDIBLE_HZ)
    gap = np.maximum(target - found, 0).sum(axis=1)[audible]
    return float(np.clip(explained, 0, 1)), float(middles[audible[gap.argmax()]]) if len(audible) else 0.0


def _divergence(target: NDArray[Any], model: NDArray[Any]) -> NDArray[np.float64]:
    """Kullback-Leibler, whatever the templates were learned with: it is told, not minimised."""
    ratio = np.where(target > 0, target / model, 1.0)
    return np.asarray(target * np.log(ratio) - target + model)


def near_copies(known: Dictionary) -> list[str]:
    """Return a warning on each pair of sources that share templates.

    Examples
    --------
    >>> from nmfaudio import STFT
    >>> twins = Dictionary(np.eye(9)[:, [2, 2]], ["a", "b"], 8000, STFT(16), energies=[1.0, 1.0])
    >>> near_copies(twins)[0][:46]
    '100 % of a sounds like b to these templates: t'
    """
    found = []
    for one, other in combinations(known.sources, 2):
        a, b = (_strongest(known, source) for source in (one, other))
        likeness = _unit(known.templates[:, a]).T @ _unit(known.templates[:, b])
        shares = []
        for members, best in ((a, likeness.max(axis=1)), (b, likeness.max(axis=0))):
            energies = known.energies[members]
            energies = energies if energies.any() else np.ones_like(energies)
            shares.append(float(energies[best > NEAR].sum() / energies.sum()))
        if max(shares) > _COPIED:
            first, second = (one, other) if shares[0] >= shares[1] else (other, one)
            found.append(
                f"{100 * max(shares):.0f} % of {first} sounds like {second} to these templates: they will be "
                "confused; say where one is silent or alone (--silent, --solo), or its notes (--range)"
            )
    return found


def _strongest(known: Dictionary, source: str) -> NDArray[np.intp]:
    members = known.members[source]
    return members[np.argsort(-known.energies[members], kind="stable")[:_MOST_TEMPLATES]]


def _unit(templates: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(templates / np.linalg.norm(templates, axis=0))
