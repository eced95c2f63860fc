"""A comparison as rows of numbers, as Markdown, and as a document in the schema of museval."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from nmfaudio.studies.comparison import STEMS, Comparison, StemScores

COLUMNS = (
    "SI-SDR",
    "SDR",
    "ISR",
    "SIR",
    "SAR",
    "SDR, whole",
    "ISR, whole",
    "SIR, whole",
    "SAR, whole",
    "SDR, v3",
)
_RATIOS = ("sdr", "isr", "sir", "sar")
MEAN = "mean"
UNDEFINED = "-"


def table(comparison: Comparison) -> list[tuple[str, str, list[float | None]]]:
    """Return the kind of estimate, the reference and the scores in the order of `COLUMNS`, row by row.

    SDR, ISR, SIR and SAR are medians over frames of one second; None where no frame is defined. Each kind of
    estimate ends with the means over the references.
    """
    rows: list[tuple[str, str, list[float | None]]] = []
    for kind, scores in comparison.rows.items():
        values = {name: _values(one) for name, one in scores.items()}
        rows += [(kind, name, line) for name, line in values.items()]
        columns = zip(*values.values(), strict=True)
        rows.append((kind, MEAN, [_mean([v for v in column if v is not None]) for column in columns]))
    return rows


def markdown(comparison: Comparison) -> str:
    """Return a comparison as a table in Markdown, followed by its notes."""
    lines = ["| estimate | reference | " + " | ".join(f"{column} (dB)" for column in COLUMNS) + " |"]
    lines.append("|---|---|" + "---:|" * len(COLUMNS))
    for kind, name, values in table(comparison):
        cells = " | ".join(shown(value) for value in values)
        lines.append(f"| {kind} | {_escaped(name)} | {cells} |")
    lines += ["", *(f"- {_escaped(note)}" for note in comparison.notes)]
    return "\n".join(lines).rstrip() + "\n"


def shown(value: float | None) -> str:
    """Return a score as text."""
    return UNDEFINED if value is None else f"{value:.2f}"


def document(comparison: Comparison) -> dict[str, Any]:
    """Return a comparison in the schema of museval, with more keys beside those of museval.

    Frames in which a score is undefined are left out, so no value is NaN.
    """
    targets = [
        {
            "name": name,
            "frames": [
                {"time": f.time, "duration": f.duration, "metrics": _metrics(f.ratios)} for f in scores.frames
            ],
            "stem": comparison.matches.get(name),
            **_summary(scores),
        }
        for name, scores in comparison.rows[STEMS].items()
    ]
    beside = {
        kind: {name: _summary(scores) for name, scores in of_kind.items()}
        for kind, of_kind in comparison.rows.items()
        if kind != STEMS
    }
    return {"targets": targets, "beside": beside, "notes": list(comparison.notes)}


def _summary(scores: StemScores) -> dict[str, Any]:
    median = scores.median
    return {
        "SI-SDR": round(scores.si_sdr, 5),
        "SDR_v3": round(scores.filtered_sdr, 5),
        "whole": _metrics(scores.whole),
        "median": _metrics(median) if median else None,
    }


def _metrics(ratios: object) -> dict[str, float]:
    return {name.upper(): round(getattr(ratios, name), 5) for name in _RATIOS}


def _values(scores: StemScores) -> list[float | None]:
    median = scores.median
    framewise = [getattr(median, name) if median else None for name in _RATIOS]
    whole = [getattr(scores.whole, name) for name in _RATIOS]
    return [scores.si_sdr, *framewise, *whole, scores.filtered_sdr]


def _mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _escaped(text: str) -> str:
    """Return a name without what Markdown or HTML would take for markup."""
    plain = "".join(c if c.isprintable() else " " for c in text)
    replaced: Mapping[str, str] = {"|": "\\|", "<": "&lt;", ">": "&gt;", "`": "\\`"}
    return "".join(replaced.get(c, c) for c in plain)
