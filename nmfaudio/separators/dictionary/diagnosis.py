"""Before separating: how well a dictionary explains a mixture, what it lacks, and what it will confuse."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmfaudio.dictionaries.dictionary import Dictionary
from nmfaudio.nmf import factorize
from nmfaudio.separators.dictionary.coverage import find_gaps, what_to_record
from nmfaudio.separators.dictionary.templates import TemplateModel
from nmfaudio.sound.bands import band_starts, in_bands
from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.frames import mean_frames

FRAMES = 512  # of the mixture, evenly spread, that are looked at
POOR, NEAR = 0.75, 0.95  # explained below, or likeness above: a warning
_COPIED = 0.25  # of a source's energy in near copies of another's templates: a warning
_MOST_TEMPLATES = 400  # of a source that are compared: those with the most energy


def diagnose(
    model: TemplateModel, known: Dictionary, mixture: Blocks
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return messages and warnings on how a dictionary fits a mixture.

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
    V, times = mean_frames(mixture.with_stft(model.stft), model.power, FRAMES)
    warnings = list(near_copies(known))
    if not V.any():
        return (), tuple(warnings)
    allowed = model.hints.allowed(model.sources, times) if model.hints else None
    fixed = model.takes[0].templates
    lost, plain = _losses(
        V, fixed @ model.activations(V, 0, allowed), model.stft.frequencies(mixture.sample_rate)
    )
    explained = float(np.clip(1 - lost.sum() / max(plain.sum(), np.finfo(float).tiny), 0, 1))
    messages = [f"the templates explain {100 * explained:.0f} % of the mixture"]
    if explained < POOR:
        gaps = find_gaps(V, fixed, lost, known)
        cure = "more free templates (--free) catch more"
        if model.sources == known.sources:
            cure = "--free 12 (free=12) catches what no template explains"
        wanted = what_to_record(gaps) if gaps else "record each source playing what it plays here"
        warnings.append(
            f"the templates explain only {100 * explained:.0f} % of the mixture: {wanted}, and add that to "
            f"what is known of it (nmfaudio learn --add-to); {cure}"
        )
    return tuple(messages), tuple(warnings)


def _losses(
    V: NDArray[np.float32], found: NDArray[Any], frequencies: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the divergence of each frame from a model, and from one spectrum for all frames."""
    starts = band_starts(frequencies, 24)
    banded = in_bands(V, starts)
    flat = factorize(np.ascontiguousarray(banded.T).T, 1, iterations=20)
    target, plain = banded.astype(np.float64), (flat.W @ flat.H).astype(np.float64)
    floor = 1e-6 * target.mean()
    models = (in_bands(found, starts).astype(np.float64), plain)
    lost, most = (_divergence(target, model + floor).sum(axis=0) for model in models)
    return lost, most


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
