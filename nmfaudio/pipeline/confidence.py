"""Confidence in a stem: whether it is likely to be better than the mixture.

The limits were chosen on known mixtures, where a stem counts as better than the mixture if its SDR exceeds
that of the mixture by 1 dB; `scripts/benchmark_confidence.py` makes the table.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

SURE: Literal["sure"] = "sure"
UNSURE: Literal["unsure"] = "unsure"

LEAST_CERTAINTY = 2.0  # dB, from which a stem is sure
_CHANCE = 2.0  # how many times as much the spread counts as the overlap, of which it shows only a part
_HIGHEST_SEPARABILITY = 60.0  # dB


@dataclass(frozen=True)
class Evidence:
    """What is known of a stem without knowing the true source.

    Attributes
    ----------
    share : float
        Energy of the stem relative to the sum of the energies of all stems.
    separability : float
        Energy of the stem or of the rest, whichever is smaller, relative to their inner product, in dB. A
        mask that is read as a probability states its own mean error, which is this product: it is small
        where the stem and the rest hardly overlap.
    spread : float
        Energy of the differences between stems that other random starts or template sets give, relative to
        the energy of the stem or of the rest, whichever is smaller. 0 where there are no alternatives.

    Examples
    --------
    >>> Evidence.of_energies(mixture=2.4, stem=1.0, product=1.2, total=2.0).separability.__round__(6)
    6.9897
    """

    share: float
    separability: float
    spread: float = 0.0

    @property
    def certainty(self) -> float:
        """Energy of the stem or the rest, whichever is smaller, over that of the expected errors, in dB."""
        return -10 * math.log10(self._overlap + _CHANCE * self.spread)

    @property
    def overlaps_more_than_it_varies(self) -> bool:
        """Whether the overlap with the rest, and not chance, accounts for most of the expected errors."""
        return self._overlap >= _CHANCE * self.spread

    @property
    def _overlap(self) -> float:
        return float(10 ** (-self.separability / 10))

    @classmethod
    def of_energies(
        cls, *, mixture: float, stem: float, product: float, total: float, spread: float = 0.0
    ) -> Evidence:
        """Return the evidence that follows from energies.

        Parameters
        ----------
        mixture, stem : float
            Energy of the mixture and of the stem.
        product : float
            Inner product of the mixture and the stem.
        total : float
            Sum of the energies of all stems.
        spread : float
        """
        # With a mask m as the probability of the source, the expected energy of the error of the stem is the
        # sum of m (1 - m) |X|^2 over all points of the spectrogram: the product of the stem and the rest.
        error, rest = product - stem, mixture - 2 * product + stem
        smaller = min(stem, rest)
        if smaller <= 0:
            return cls(stem / total if total > 0 else 0.0, 0.0, spread)
        floor = smaller * 10 ** (-_HIGHEST_SEPARABILITY / 10)
        return cls(stem / total, 10 * math.log10(smaller / max(error, floor)), spread)


@dataclass(frozen=True)
class Confidence:
    """Whether a stem is likely to be better than the mixture, and why.

    Attributes
    ----------
    verdict : {"sure", "unsure"}
        "sure" where the stem is likely to be nearer to a source than the mixture is.
    reason : str
        The evidence for the verdict.
    way_out : str
        What the user can do; empty where the stem is sure.
    evidence : Evidence

    Examples
    --------
    >>> confidence = judged({"flute": Evidence(0.3, 20.0)}, "learn it from a recording")["flute"]
    >>> confidence.is_sure, Confidence.of(confidence.entry) == confidence
    (True, True)
    """

    verdict: Literal["sure", "unsure"]
    reason: str
    way_out: str
    evidence: Evidence

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> Confidence:
        """Return the confidence that an entry of a manifest states."""
        return cls(**{**entry, "evidence": Evidence(**entry["evidence"])})

    @property
    def entry(self) -> dict[str, Any]:
        """The confidence as plain values, for the manifest."""
        return asdict(self)

    @property
    def is_sure(self) -> bool:
        """Whether the verdict is "sure"."""
        return self.verdict == SURE


def judged(evidence: Mapping[str, Evidence], way_out: str, doubt: str = "") -> dict[str, Confidence]:
    """Return the confidence in each stem.

    Parameters
    ----------
    evidence : mapping of str to Evidence
    way_out : str
        What the user can do where a stem is unsure.
    doubt : str
        Reason for which no stem is sure; empty where there is none.
    """
    return {name: _judged(one, way_out, doubt or _doubt(one)) for name, one in evidence.items()}


def _judged(evidence: Evidence, way_out: str, doubt: str) -> Confidence:
    if doubt:
        return Confidence(UNSURE, doubt, way_out, evidence)
    return Confidence(SURE, "it overlaps little with the other stems", "", evidence)


def _doubt(evidence: Evidence) -> str:
    """Return why a stem is unsure; empty where it is sure."""
    if evidence.share == 0:
        return "the stem is silent"
    if evidence.share == 1:
        return "the stem is the whole mixture"
    if evidence.certainty >= LEAST_CERTAINTY:
        return ""
    if evidence.overlaps_more_than_it_varies:
        return "the sound overlaps the other stems in time and frequency, so little of it is certain"
    return "separations with other random numbers give a different sound"


def doubts(entries: Mapping[str, Mapping[str, Any] | None]) -> list[str]:
    """Return a line for each reason for which stems are unsure, with the way out.

    Parameters
    ----------
    entries : mapping of str to mapping
        `Confidence.entry` of each stem; None where nothing is known of a stem.

    Examples
    --------
    >>> doubt = {"verdict": "unsure", "reason": "the stem is silent", "way_out": "ask for fewer sources"}
    >>> doubts({"a": doubt, "b": doubt, "c": None})
    ['unsure: a, b: the stem is silent. Way out: ask for fewer sources']
    """
    names: dict[tuple[str, str], list[str]] = {}
    for name, entry in entries.items():
        if entry and entry["verdict"] == UNSURE:
            names.setdefault((entry["reason"], entry["way_out"]), []).append(name)
    return [
        f"{UNSURE}: {', '.join(listed)}: {reason}. Way out: {way_out}"
        for (reason, way_out), listed in names.items()
    ]
