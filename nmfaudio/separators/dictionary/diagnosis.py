"""Checks before separating: how well a dictionary explains a mixture, what it lacks, what it will confuse."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmfaudio.dictionaries.dictionary import Dictionary
from nmfaudio.nmf import factorize
from nmfaudio.separators.dictionary.coverage import Gap, find_gaps, what_to_record
from nmfaudio.separators.dictionary.templates import TemplateModel
from nmfaudio.sound.bands import BANDS_PER_OCTAVE, band_starts, sum_in_bands
from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.frames import mean_frames

FRAMES = 512  # largest number of frames of the mixture, evenly spaced, that are analysed
POOR = 0.75  # a warning appears where the templates explain a smaller part of the mixture
SWALLOWED = 0.04  # a warning appears where the known sources have a smaller part of the mixture
SIMILAR = 0.95  # cosine similarity above which two templates count as the same
_SHARED_ENERGY = 0.25  # a warning appears where a larger part of a source's energy is in shared templates
_MOST_TEMPLATES = 400  # number of templates of a source that are compared: those with the most energy


def diagnose(
    model: TemplateModel, known: Dictionary, mixture: Blocks
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return messages and warnings about how well a dictionary fits a mixture.

    Parameters
    ----------
    model : TemplateModel
        Model of the mixture with the dictionary's templates.
    known : Dictionary
        The dictionary, with the STFT settings of the model.
    mixture : Blocks

    Returns
    -------
    messages : tuple of str
    warnings : tuple of str
    """
    V, times = mean_frames(mixture.with_stft(model.stft), model.magnitude_power, FRAMES)
    warnings = list(shared_template_warnings(known))
    if not V.any():
        return (), tuple(warnings)
    allowed = model.hints.allowed(model.sources, times) if model.hints else None
    fixed = model.template_sets[0].templates
    H = model.activations(V, 0, allowed)
    losses, single_spectrum_losses = _losses(V, fixed @ H, model.stft.frequencies(mixture.sample_rate))
    total = max(single_spectrum_losses.sum(), np.finfo(float).tiny)
    explained = float(np.clip(1 - losses.sum() / total, 0, 1))
    if explained < POOR and model.sources == known.sources:
        warnings.append(_poor_fit_warning(explained, find_gaps(V, fixed, losses, known)))
    warnings += _swallowed_warnings(known, fixed.sum(axis=0) * H.sum(axis=1))
    return (f"the templates explain {100 * explained:.0f} % of the mixture",), tuple(warnings)


def _poor_fit_warning(explained: float, gaps: Sequence[Gap]) -> str:
    wanted = what_to_record(gaps) if gaps else "record each source playing what it plays here"
    return (
        f"the templates explain only {100 * explained:.0f} % of the mixture: {wanted}, and add the recording "
        "to the dictionary (nmfaudio learn --add-to). If other sources sound too, such as wind, rest=True "
        "gives them a stem of their own"
    )


def _swallowed_warnings(known: Dictionary, levels: NDArray[Any]) -> list[str]:
    """Return a warning where free templates leave the known sources next to nothing.

    Parameters
    ----------
    known : Dictionary
    levels : ndarray, shape (components,)
        Level of each component of the mixture; those of the known sources come first.
    """
    total = float(levels.sum())
    share = float(levels[: len(known.labels)].sum()) / total if total > 0 else 1.0
    if share >= SWALLOWED:
        return []
    names = " and ".join(known.sources)
    return [
        f"the free templates leave {names} only {100 * share:.1f} % of the mixture: use fewer of them "
        "(free=...), or let their number be chosen (rest=True)"
    ]


def _losses(
    V: NDArray[np.float32], model: NDArray[Any], frequencies: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the divergence of each frame from a model, and from one spectrum fitted to all frames."""
    starts = band_starts(frequencies, BANDS_PER_OCTAVE)
    banded = sum_in_bands(V, starts)
    single = factorize(np.ascontiguousarray(banded.T).T, 1, iterations=20)
    target, single_spectrum = banded.astype(np.float64), (single.W @ single.H).astype(np.float64)
    floor = 1e-6 * target.mean()
    models = (sum_in_bands(model, starts).astype(np.float64), single_spectrum)
    losses, single_spectrum_losses = (_divergence(target, each + floor).sum(axis=0) for each in models)
    return losses, single_spectrum_losses


def _divergence(target: NDArray[Any], model: NDArray[Any]) -> NDArray[np.float64]:
    """Return the Kullback-Leibler divergence, a common measure for all dictionaries; it is not minimised."""
    ratio = np.where(target > 0, target / model, 1.0)
    return np.asarray(target * np.log(ratio) - target + model)


def shared_template_warnings(known: Dictionary) -> list[str]:
    """Return a warning for each pair of sources that share templates.

    Examples
    --------
    >>> from nmfaudio import STFT
    >>> twins = Dictionary(np.eye(9)[:, [2, 2]], ["a", "b"], 8000, STFT(16), energies=[1.0, 1.0])
    >>> shared_template_warnings(twins)[0][:48]
    '100 % of a sounds like b in the templates: these'
    """
    warnings = []
    for one, other in combinations(known.sources, 2):
        shares = _shared_energies(known, one, other)
        if max(shares) > _SHARED_ENERGY:
            first, second = (one, other) if shares[0] >= shares[1] else (other, one)
            warnings.append(
                f"{100 * max(shares):.0f} % of {first} sounds like {second} in the templates: these sources "
                "will be confused; give the passages where one is silent or alone (silent=..., solo=...), or "
                "its notes (range=...)"
            )
    return warnings


def _shared_energies(known: Dictionary, one: str, other: str) -> list[float]:
    """Return for each of two sources the part of its energy in templates that the other one also has."""
    a, b = (_strongest(known, source) for source in (one, other))
    similarity = _unit(known.templates[:, a]).T @ _unit(known.templates[:, b])
    shares = []
    for members, highest in ((a, similarity.max(axis=1)), (b, similarity.max(axis=0))):
        energies = known.energies[members]
        energies = energies if energies.any() else np.ones_like(energies)
        shares.append(float(energies[highest > SIMILAR].sum() / energies.sum()))
    return shares


def _strongest(known: Dictionary, source: str) -> NDArray[np.intp]:
    members = known.members[source]
    return members[np.argsort(-known.energies[members], kind="stable")[:_MOST_TEMPLATES]]


def _unit(templates: NDArray[Any]) -> NDArray[Any]:
    """Return the templates with unit Euclidean length."""
    return np.asarray(templates / np.linalg.norm(templates, axis=0))
