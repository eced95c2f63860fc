"""The outcome of one file as a JSON object, which worker processes can send."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nmfaudio.pipeline.target import Written

# One JSON object with `ok`, `file`, and what `succeeded` or `failed` add.
Outcome = dict[str, Any]


def succeeded(file: str, written: Written) -> Outcome:
    """Return the outcome of a file that was separated."""
    from nmfaudio.pipeline.manifest import options_of

    shares = written.shares
    return {
        "file": file,
        "ok": True,
        "separator": type(written.result.separator).__name__.lower(),
        "options": options_of(written.result.separator),
        "stems": {
            name: {
                "path": str(stem.path),
                "share": shares[name],
                "peak_dbfs": _decibels(stem.peak),
                "clipped": stem.clipped,
                "confidence": _confidence_in(written, name),
                "components": _components_of(written, position),
            }
            for position, name in enumerate(written.stems)
            for stem in (written.stems[name],)
        },
        "manifest": str(written.manifest),
        "labels": str(written.labels) if written.labels else None,
        "found": written.already_there,
        "notes": list(written.result.messages),
        "warnings": list(written.warnings),
        "seconds": round(written.result.seconds, 3),
    }


def failed(file: str, reason: str, traceback: str = "") -> Outcome:
    """Return the outcome of a file that was not separated, with the traceback of the error if it is given."""
    outcome = {"file": file, "ok": False, "error": reason}
    return {**outcome, "traceback": traceback} if traceback else outcome


def _confidence_in(written: Written, name: str) -> dict[str, Any] | None:
    """Return the confidence in a stem; None where nothing is known of it."""
    confidence = written.result.confidence.get(name)
    return confidence.entry if confidence else None


def _components_of(written: Written, source: int) -> dict[str, float]:
    """Return the shares of the components of one stem, by component number from 1."""
    labelled = written.result.factorization
    if labelled is None:
        return {}
    shares, labels = labelled.shares, labelled.labels
    return {str(k + 1): float(shares[k]) for k in (-shares).argsort() if labels[k] == source}


def _decibels(level: float) -> float | None:
    return round(20 * math.log10(level), 2) if level > 0 else None
