"""How well an exported plugin separates at each latency, beside `nmfaudio separate` with the same dictionary.

    python scripts/live_quality.py CASES

CASES is a folder of cases, as `benchmark_separation.py` takes it: `NAME/mixture.flac`, `NAME/stems/*.flac`
and `NAME/train/*.flac`, recordings of each source alone. Prints a table in Markdown: SDR in dB, mean over the
stems of a case.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from separation_cases import Case, find_cases

from nmfaudio import Audio, Dictionary, evaluate, learn, make, separate
from nmfaudio.live.exported import LATENCIES, PluginSettings, exported_bytes
from nmfaudio.live.kernel import Kernel

Signal = NDArray[np.float64]


def learned(case: Case) -> Dictionary:
    """Return the dictionary of all sources of a case."""
    return Dictionary.join([learn(path, label=path.stem) for path in case.clips])


def through_plugin(
    dictionary: Dictionary, settings: PluginSettings, mixture: Signal, rate: int
) -> dict[str, Signal]:
    """Return the stems that the plugin gives, each source alone, without the delay."""
    exported, stems = exported_bytes(dictionary, settings), {}
    for number, source in enumerate(dictionary.sources):
        kernel = Kernel(exported, rate, len(mixture))
        for other in range(len(dictionary.sources)):
            kernel.controls.gains[other] = float(other == number)
        padded = np.pad(mixture, ((0, 0), (0, kernel.latency))).astype(np.float32)
        stems[source] = kernel.process(padded)[:, kernel.latency :].astype(np.float64)
    return stems


def mean_sdr(case: Case, stems: dict[str, Signal]) -> float:
    """Return the mean SDR over the stems of a case."""
    return float(np.mean([scores.sdr for scores in evaluate(case.truth, stems).values()]))


def row(case: Case) -> list[float]:
    """Return the SDR of the mixture, of the plugin at each latency, and of `separate` in two ways."""
    dictionary, (mixture, rate) = learned(case), case.sound
    found = [mean_sdr(case, {name: mixture for name in case.names})]
    for latency in LATENCIES:
        settings = PluginSettings("case", latency)
        found.append(mean_sdr(case, through_plugin(dictionary, settings, mixture, rate)))
    for options in ({"transpose": 0, "stereo": False}, {}):
        separator: Any = make("dictionary", dictionary=dictionary, **options)
        stems = separate(Audio(mixture, rate), separator).stems
        found.append(mean_sdr(case, {name: stem.samples for name, stem in stems.items()}))
    return found


def main() -> None:
    """Print the table."""
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    titles = ["case", "mixture", "plugin, 12 ms", "plugin, 46 ms", "`separate`, plain", "`separate`"]
    print(f"| {' | '.join(titles)} |\n|{'---|' * len(titles)}")
    rows = []
    for case in find_cases(Path(sys.argv[1])):
        if case.complete:
            rows.append(row(case))
            print(f"| {case.name} | " + " | ".join(f"{value:.1f}" for value in rows[-1]) + " |", flush=True)
    print("| mean | " + " | ".join(f"{value:.1f}" for value in np.mean(rows, axis=0)) + " |")


if __name__ == "__main__":
    main()
