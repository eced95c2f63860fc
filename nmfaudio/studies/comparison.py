"""Compare stems with references: all scores of each stem, beside the mixture and the ideal ratio mask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from nmfaudio.errors import InputError, OptionError
from nmfaudio.matching import best_pairs
from nmfaudio.pipeline.fitting import Report
from nmfaudio.sound.progress import Progress, ignore_progress
from nmfaudio.sound.source import SampleSource
from nmfaudio.studies.bss_eval import LIMIT, WORST, Projections, Ratios, Target
from nmfaudio.studies.correlations import correlate, padded
from nmfaudio.studies.ideal_mask import IdealMasks, SumOfSources, silence_like

STEMS, MIXTURE, IDEAL = "stems", "mixture as estimate", "ideal ratio mask"
MATCHINGS = ("auto", "names", "best")
_BLOCK = 1 << 16  # samples that are read at a time
_TINY = 1e-12  # mean power below which a reference is silent


@dataclass(frozen=True)
class Frame:
    """Scores of one frame.

    Attributes
    ----------
    time, duration : float
        Start and length in seconds.
    ratios : Ratios
        Scores of BSS Eval version 4 in dB.
    """

    time: float
    duration: float
    ratios: Ratios


@dataclass(frozen=True)
class StemScores:
    """All scores of one estimate in dB.

    Attributes
    ----------
    si_sdr : float
        Scale-invariant SDR of the whole recording; one gain for all channels is allowed.
    filtered_sdr : float
        SDR of BSS Eval version 3 of the whole recording; a filter of 512 samples in each channel is allowed.
    whole : Ratios
        Scores of BSS Eval version 4 of the whole recording.
    frames : tuple of Frame
        Scores of the frames of one second in which all references and all estimates sound.
    """

    si_sdr: float
    filtered_sdr: float
    whole: Ratios
    frames: tuple[Frame, ...] = field(repr=False)

    @property
    def median(self) -> Ratios | None:
        """Medians over the frames; None where there is no frame."""
        if not self.frames:
            return None
        values = [(f.ratios.sdr, f.ratios.isr, f.ratios.sir, f.ratios.sar) for f in self.frames]
        return Ratios(*(float(value) for value in np.median(values, axis=0)))


@dataclass(frozen=True)
class Comparison:
    """Scores of stems, of the mixture and of the ideal ratio mask.

    Attributes
    ----------
    rows : dict of str to dict of str to StemScores
        Scores by kind of estimate (`"stems"`, `"mixture as estimate"`, `"ideal ratio mask"`) and by
        reference.
    matches : dict of str to str
        Name of the stem of each reference; references without a stem are left out.
    notes : tuple of str
        What the user should know: missing and unused stems, silent references, the matching.
    """

    rows: dict[str, dict[str, StemScores]]
    matches: dict[str, str]
    notes: tuple[str, ...]


def compare(
    references: Mapping[str, SampleSource],
    stems: Mapping[str, SampleSource],
    *,
    mixture: SampleSource | None = None,
    matching: str = "auto",
    report: Report = ignore_progress,
) -> Comparison:
    """Score stems against references, beside the mixture and the ideal ratio mask.

    Recordings are read piece by piece, so that long files need little memory.

    Parameters
    ----------
    references, stems : mapping of str to Audio or AudioFile
        Sounds with one sample rate, number of channels and length.
    mixture : Audio or AudioFile, optional
        The mixture; by default the sum of the references. A single reference is its own sum, so the mixture
        and the ideal ratio mask are then left out.
    matching : {"auto", "names", "best"}
        Whether stems belong to the references of the same names, or are assigned such that the sum of SI-SDR
        is greatest; `"auto"` uses names where at least one stem has the name of a reference.
    report : callable
        Takes a `Progress` now and then.

    Returns
    -------
    Comparison

    Raises
    ------
    InputError
        When sounds do not fit together, no name fits, or all references are silent.

    Examples
    --------
    >>> from nmfaudio import Audio
    >>> a, b = np.random.default_rng(0).standard_normal((2, 1, 4000)) / 8
    >>> sounds = {"a": Audio(a, 4000), "b": Audio(b, 4000)}
    >>> leaking = {"a": Audio(a + 0.1 * b, 4000), "b": Audio(b, 4000)}
    >>> round(compare(sounds, leaking).rows["stems"]["a"].whole.sdr)
    20
    """
    if matching not in MATCHINGS:
        raise OptionError(f"matching={matching!r}: use one of {', '.join(MATCHINGS)}", option="matching")
    check_fit(references, stems, mixture)
    products, powers, own_powers = _products(references, stems, report)
    sounding, notes = _sounding(references, powers)
    matches, found = _matches(references, stems, products, powers, own_powers, matching)
    matches = {name: match for name, match in matches.items() if name in sounding}
    true = {name: references[name] for name in sounding}
    notes += [*found, *_leftovers(true, stems, matches)]
    estimates, groups = _estimates(true, stems, matches, mixture, len(references))
    if len(groups) == 1:
        notes.append("one reference alone: name the mixture to see its scores and those of the ideal mask")
    rows = _scored(true, estimates, groups, report)
    if not all(scores.frames for scores in rows[STEMS].values()):
        notes.append("in no second do all references and stems sound, so there are no medians over frames")
    return Comparison(rows, matches, tuple(notes))


def check_fit(
    references: Mapping[str, SampleSource], stems: Mapping[str, SampleSource], mixture: SampleSource | None
) -> None:
    """Raise InputError unless all sounds have one sample rate, number of channels and length."""
    if not references or not stems:
        kind = "references" if not references else "stems"
        raise InputError(f"there are no {kind}: name at least one audio file")
    first, *_ = references
    expected = references[first]
    sounds = [("reference", *item) for item in references.items()]
    sounds += [("stem", *item) for item in stems.items()]
    sounds += [("mixture", mixture.name, mixture)] if mixture else []
    for kind, name, sound in sounds:
        for unit, remedy, value, wanted in (
            ("Hz", "convert them to one sample rate", sound.sample_rate, expected.sample_rate),
            ("channels", "convert one of them, mono to stereo or back", sound.channels, expected.channels),
            ("samples", "cut both to the same passage", sound.length, expected.length),
        ):
            if value != wanted:
                raise InputError(
                    f"{kind} {name!r} has {value} {unit}, but reference {first!r} has {wanted}: {remedy}"
                )


def _products(
    references: Mapping[str, SampleSource], stems: Mapping[str, SampleSource], report: Report
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the inner products of references and stems, and the energies of both."""
    sounds = [*references.values(), *stems.values()]
    length, count = sounds[0].length, len(references)
    total = np.zeros((len(sounds), len(sounds)))
    for start in range(0, length, _BLOCK):
        stop = min(start + _BLOCK, length)
        flat = padded(sounds, start, stop).reshape(len(sounds), -1)
        total += flat @ flat.T
        report(Progress("matching", stop, length))
    energies = np.diag(total)
    return total[:count, count:], energies[:count], energies[count:]


def _sounding(
    references: Mapping[str, SampleSource], energies: NDArray[np.float64]
) -> tuple[list[str], list[str]]:
    sizes = (source.channels * source.length for source in references.values())
    loud = [energy > _TINY * size for energy, size in zip(energies, sizes, strict=True)]
    names = [name for name, is_loud in zip(references, loud, strict=True) if is_loud]
    silent = [name for name in references if name not in names]
    if not names:
        raise InputError(f"all references are silent ({', '.join(silent)}): their scores are undefined")
    lines = [f"reference {name!r} is silent, so it has no scores and is left out" for name in silent]
    return names, lines


def _matches(
    references: Mapping[str, SampleSource],
    stems: Mapping[str, SampleSource],
    products: NDArray[np.float64],
    powers: NDArray[np.float64],
    own_powers: NDArray[np.float64],
    matching: str,
) -> tuple[dict[str, str], list[str]]:
    """Return the stem of each reference, and a line that says how they were found."""
    named = {name: name for name in references if name in stems}
    if matching == "names" and not named:
        raise InputError(
            f"no stem has the name of a reference: stems are {', '.join(stems)}, references are "
            f"{', '.join(references)}: rename them, or match them by their sound"
        )
    if named and matching != "best":
        return named, []
    kept = products**2 / np.maximum(np.outer(powers, np.ones(len(own_powers))), _TINY)
    rest = np.maximum(own_powers - kept, _TINY)
    table = np.clip(10 * np.log10(np.maximum(kept, _TINY) / rest), WORST, LIMIT)
    rows, columns = best_pairs(np.where(powers[:, None] > 0, table, WORST))
    names, stem_names = list(references), list(stems)
    pairs = {names[i]: stem_names[j] for i, j in zip(rows, columns, strict=True)}
    found = ", ".join(f"{name} = {stem}" for name, stem in pairs.items())
    return pairs, [f"stems were matched to references by their sound: {found}"]


def _leftovers(
    references: Mapping[str, object], stems: Mapping[str, object], matches: Mapping[str, str]
) -> list[str]:
    missing = [name for name in references if name not in matches]
    unused = [name for name in stems if name not in matches.values()]
    lines = [f"reference {name!r} has no stem, so it is scored as silence" for name in missing]
    return lines + ([f"these stems have no reference and are not scored: {', '.join(unused)}"] * bool(unused))


def _estimates(
    references: Mapping[str, SampleSource],
    stems: Mapping[str, SampleSource],
    matches: Mapping[str, str],
    mixture: SampleSource | None,
    count: int,
) -> tuple[list[SampleSource], dict[str, list[Target]]]:
    """Return all estimates, and for each kind of them the pairs of reference and estimate."""
    sources = list(references.values())
    estimates = [
        stems[matches[name]] if name in matches else silence_like(reference)
        for name, reference in references.items()
    ]
    numbers = range(len(sources))
    groups: dict[str, list[Target]] = {STEMS: [(j, j) for j in numbers]}
    if mixture is None and count == 1:
        return estimates, groups
    whole = mixture or SumOfSources(sources)
    groups[MIXTURE] = [(j, len(sources)) for j in numbers]
    groups[IDEAL] = [(j, len(sources) + 1 + j) for j in numbers]
    return [*estimates, whole, *IdealMasks(sources, whole).sources], groups


def _scored(
    references: Mapping[str, SampleSource],
    estimates: Sequence[SampleSource],
    groups: Mapping[str, list[Target]],
    report: Report,
) -> dict[str, dict[str, StemScores]]:
    sources = list(references.values())
    rate = sources[0].sample_rate
    projections = Projections(
        correlate(sources, estimates, report), sources[0].channels, list(groups.values())
    )
    frames = projections.frames(sources, estimates, rate, report)
    duration = min(rate, sources[0].length) / rate

    def scores(target: Target) -> StemScores:
        defined = tuple(
            Frame(start / rate, duration, ratios[target]) for start, ratios in frames if target in ratios
        )
        return StemScores(
            projections.si_sdr(target), projections.filtered_sdr(target), projections.whole(target), defined
        )

    return {
        kind: {name: scores(target) for name, target in zip(references, targets, strict=True)}
        for kind, targets in groups.items()
    }
