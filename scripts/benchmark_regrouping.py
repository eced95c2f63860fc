"""Measure what a listener can gain by regrouping: ``benchmark_regrouping.py --cases FOLDER``.

The components of `blind` are put together to as many stems as the case has, in two ways: as the separator
groups them, and by an oracle that knows the true stems. The oracle gives each component to the true stem with
which it correlates most, and each stem at least one. Both go through the code of ``nmfaudio regroup``. A
third way shows what this code costs: there the mixture is divided among the components of the first random
start, without the stems.

Scores are gains in dB over the unprocessed mixture: the mean over the stems of a case.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from separation_cases import Case, Signal, find_cases

import nmfaudio
from nmfaudio.matching import best_pairs
from nmfaudio.models.components import Components
from nmfaudio.pipeline.component_sounds import component_sounds, in_memory, regrouped
from nmfaudio.studies.evaluation import best_names, evaluate

CASES = ("s01", "s03", "s07", "s09", "s10")
METRICS = ("sdr", "si_sdr")
Scores = dict[str, float]
Stems = Mapping[str, nmfaudio.Audio]


def measure(case: Case, components: int | None) -> dict[str, object]:
    """Return the gains of all ways on one case, with the same factorization."""
    mixture = nmfaudio.read(case.mixture)
    made = nmfaudio.separate(mixture, "blind", sources=len(case.stems), components=components)
    began = time.perf_counter()
    found = made.components
    by_oracle = regrouped_by_oracle(made.stems, found, case.truth)
    seconds = time.perf_counter() - began
    whole = {"mixture": mixture}
    automatic = {name: stem.samples for name, stem in made.stems.items()}
    names = best_names(case.truth, automatic)
    return {
        "case": case.name,
        "components": len(found),
        "automatic": gains(case, {name: automatic[match] for name, match in names.items()}),
        "oracle": gains(case, by_oracle),
        "oracle_without_stems": gains(case, regrouped_by_oracle(whole, of_one_source(found), case.truth)),
        "seconds_to_regroup": round(seconds, 2),
    }


def regrouped_by_oracle(
    stems: Stems, components: Components, truth: Mapping[str, Signal]
) -> dict[str, Signal]:
    """Return stems in which each component belongs to the true stem with which it correlates most.

    Where a stem would get no component, one is chosen for each stem, one to one, such that the sum of the
    correlations, relative to the greatest of each component, is largest.
    """
    numbers = {part.name: part.number for part in components.parts}
    sounds = in_memory(component_sounds(stems, components), list(numbers))
    correlations = np.array(
        [[_correlation(sounds[name], true) for name in numbers] for true in truth.values()]
    )
    owners = correlations.argmax(axis=0)
    if len(np.unique(owners)) < len(truth):
        rows, columns = best_pairs(correlations / correlations.max(axis=0).clip(1e-9))
        owners[columns] = rows
    groups: dict[str, list[int]] = {name: [] for name in truth}
    for number, owner in zip(numbers.values(), owners, strict=True):
        groups[list(truth)[owner]].append(number)
    return in_memory(regrouped(stems, components, groups), list(groups))


def _correlation(a: Signal, b: Signal) -> float:
    """Return the correlation of two sounds, from -1 to 1."""
    norms = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float((a * b).sum()) / norms if norms else 0.0


def of_one_source(components: Components) -> Components:
    """Return the same components as those of a single stem, which is the mixture."""
    return replace(components, sources=("mixture",), labels=np.zeros_like(components.labels))


def gains(case: Case, estimates: Mapping[str, Signal]) -> Scores:
    """Return the mean scores of the stems above those of the unprocessed mixture."""
    mixture = dict.fromkeys(case.truth, case.sound[0])
    reached, start = (evaluate(case.truth, sounds).values() for sounds in (estimates, mixture))
    return {
        metric: float(np.mean([getattr(s, metric) for s in reached]))
        - float(np.mean([getattr(s, metric) for s in start]))
        for metric in METRICS
    }


def table(results: list[dict[str, object]]) -> str:
    """Return the SDR gains as Markdown, with their means."""
    ways = ("automatic", "oracle", "oracle_without_stems")
    lines = ["| case | components | " + " | ".join(ways) + " | oracle above automatic |", "|---" * 6 + "|"]
    rows = [[result[way]["sdr"] for way in ways] for result in results]  # type: ignore[index]
    for result, row in zip(results, rows, strict=True):
        lines.append(f"| {result['case']} | {result['components']} | {cells(row)} |")
    return "\n".join([*lines, f"| mean | | {cells(list(np.mean(rows, axis=0)))} |"])


def cells(row: list[float]) -> str:
    """Return the gains of the ways, and of the oracle above the automatic grouping."""
    return " | ".join(f"{value:.2f}" for value in [*row, row[1] - row[0]])


def main() -> int:
    """Measure the chosen cases and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cases", type=Path, help="folder of cases (default: the audio samples)")
    parser.add_argument(
        "--only",
        nargs="+",
        default=CASES,
        help="beginnings of the names of cases in a folder (default: five)",
    )
    parser.add_argument("--components", nargs="+", type=int, help="numbers of components (default: blind's)")
    parser.add_argument("--json", type=Path, help="file for all results")
    options = parser.parse_args()
    cases = find_cases(options.cases)
    if options.cases:
        cases = [case for case in cases if case.name.startswith(tuple(options.only))]
    if not cases:
        sys.exit(f"no case in {options.cases}: a case is a folder with mixture.flac and stems/*.flac")
    everything: list[dict[str, object]] = []
    for components in options.components or [None]:
        results = []
        for case in cases:
            results.append(measure(case, components))
            print(json.dumps(results[-1]), flush=True)
        print(table(results), flush=True)
        everything += results
    if options.json:
        options.json.write_text(json.dumps(everything, indent=1), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
