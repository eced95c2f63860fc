"""Measure what regions gain: ``benchmark_regions.py --cases FOLDER``.

The true stems paint the regions, as a user would who hears where the present stems err. The script separates
each case without regions, then with the first region, and so on. Before each separation the painter looks at
the present stems and adds the rectangles of time and frequency that lessen the errors most, summed over the
stems relative to the present error of each. A rectangle says "only this source sounds here" or, with three
sources and more, "this source does not sound here". It is a multiple of 0.1 s and of a third of an octave.

Each case is separated by ``blind``, which knows the number of stems, and by a dictionary that is learned from
the recordings in ``train``. Where that has only some of the sources, ``--free 12`` learns the rest.
The table shows the mean SDR over the stems in dB above the mixture, without regions and what regions gain.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from separation_cases import Case, Signal, find_cases

from nmfaudio import STFT, Audio, Dictionary, learn, separate
from nmfaudio.sound.files import read
from nmfaudio.studies.evaluation import best_names, evaluate

COUNTS = (1, 3, 10, 30)
WINDOW = 0.093  # seconds of the painter's spectrogram
CELL_SECONDS, CELLS_PER_OCTAVE, LOWEST = 0.1, 3, 50.0  # the rectangles are made of such cells; LOWEST in Hz
FREE = 12  # templates of what a dictionary lacks

Separate = Callable[[dict[str, Any]], dict[str, Signal]]


@dataclass
class Painting:
    """Regions so far, as texts for `region` and `not_region`."""

    region: list[str] = field(default_factory=list)
    not_region: list[str] = field(default_factory=list)
    areas: list[tuple[float, float]] = field(default_factory=list)  # seconds and octaves of each

    @property
    def options(self) -> dict[str, Any]:
        """Options of the separators."""
        return {"region": tuple(self.region), "not_region": tuple(self.not_region)}


class Painter:
    """Chooses rectangles by the true stems of a case."""

    def __init__(self, case: Case) -> None:
        samples, self.rate = case.sound
        self.names = case.names
        self.stft = STFT.lasting(WINDOW, self.rate)
        self.mixture = self._spectrum(samples)
        self.truth = np.stack([self._spectrum(stem) for stem in case.truth.values()])
        frequencies = self.stft.frequencies(self.rate)
        octaves = np.log2(np.maximum(frequencies, LOWEST) / LOWEST)
        self.bands = _starts(np.round(CELLS_PER_OCTAVE * octaves))
        self.edges = [*frequencies[self.bands].tolist(), self.rate / 2 + 1]
        hop = self.stft.hop_length / self.rate
        self.times = _starts(np.floor(np.arange(self.mixture.shape[1]) * hop / CELL_SECONDS))
        self.moments = [*(self.times * hop).tolist(), self.mixture.shape[1] * hop]

    def paint(self, stems: dict[str, Signal], count: int, painting: Painting) -> None:
        """Add `count` rectangles, each on the errors that the earlier ones would leave."""
        estimate = np.stack([self._spectrum(stems[name]) for name in self.names])
        errors = self._errors(estimate)
        changes = {(s, sounds): self._errors(changed) for s, sounds, changed in self._changes(estimate)}
        for _ in range(count):
            weights = 1 / np.maximum(errors.sum(axis=(1, 2), keepdims=True), 1e-12)
            choices = {
                kind: best_rectangle(((errors - after) * weights).sum(axis=0))
                for kind, after in changes.items()
            }
            kind = max(choices, key=lambda kind: choices[kind][0])
            low, high, start, stop = cells = choices[kind][1]
            self._write(painting, *kind, cells)
            area = np.s_[:, low:high, start:stop]
            errors[area] = changes[kind][area]

    def _changes(self, estimate: NDArray[Any]) -> Iterator[tuple[int, bool, NDArray[Any]]]:
        """Yield each kind of region, and the estimate if it held everywhere."""
        for source in range(len(estimate)):
            alone = np.zeros_like(estimate)
            alone[source] = self.mixture
            yield source, True, alone
            if len(estimate) > 2:
                others = np.abs(estimate)
                others[source] = 0
                total = others.sum(axis=0)
                yield source, False, others / np.where(total > 0, total, 1) * self.mixture

    def _errors(self, estimate: NDArray[Any]) -> NDArray[np.float64]:
        """Return the energy of the error of each stem in each cell, shape (stems, bands, moments)."""
        power = np.abs(estimate - self.truth) ** 2
        return np.asarray(np.add.reduceat(np.add.reduceat(power, self.bands, axis=1), self.times, axis=2))

    def _write(self, painting: Painting, source: int, sounds: bool, cells: tuple[int, ...]) -> None:
        low, high, start, stop = cells
        f, t = (self.edges[low], self.edges[high]), (self.moments[start], self.moments[stop])
        text = f"{self.names[source]}={t[0]:.3f}-{t[1]:.3f}@{f[0]:.1f}-{f[1]:.1f}"
        (painting.region if sounds else painting.not_region).append(text)
        painting.areas.append((t[1] - t[0], float(np.log2(f[1] / max(f[0], LOWEST)))))

    def _spectrum(self, samples: Signal) -> NDArray[Any]:
        padded = np.pad(samples.mean(axis=0), self.stft.win_length // 2)
        return np.asarray(self.stft.analyse(padded[None])[0])


def best_rectangle(values: NDArray[np.float64]) -> tuple[float, tuple[int, int, int, int]]:
    """Return the largest sum of a rectangle of a matrix, and its first and last rows and columns."""
    rows, columns = values.shape
    sums = np.zeros((rows + 1, columns + 1))
    sums[1:, 1:] = values.cumsum(axis=0).cumsum(axis=1)
    best = (-np.inf, (0, 1, 0, 1))
    for low in range(rows):
        strips = sums[low + 1 :] - sums[low]  # from the first column on, one strip a row
        lowest = np.minimum.accumulate(strips, axis=1)
        gains = strips[:, 1:] - lowest[:, :-1]
        height, stop = np.unravel_index(gains.argmax(), gains.shape)
        if gains[height, stop] > best[0]:
            start = int(strips[height, : stop + 1].argmin())
            best = (float(gains[height, stop]), (low, low + int(height) + 1, start, int(stop) + 1))
    return best


def _starts(numbers: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the first index of each run of equal numbers."""
    return np.flatnonzero(np.diff(numbers, prepend=-1))


def by_blind(case: Case) -> Separate:
    """Return a function that separates a case blindly."""
    samples, rate = case.sound
    names: dict[str, str] = {}

    def run(options: dict[str, Any]) -> dict[str, Signal]:
        options = {kind: tuple(_renamed(text, names) for text in texts) for kind, texts in options.items()}
        stems = separate(Audio(samples, rate), "blind", sources=len(case.stems), **options).stems
        found = {name: stem.samples for name, stem in stems.items()}
        if not names:  # a user calls the stems by the names that they have without regions
            names.update(best_names(case.truth, found))
        return {name: found[match] for name, match in names.items()}

    return run


def by_dictionary(case: Case) -> Separate:
    """Return a function that separates a case with a dictionary of the sources that have recordings."""
    samples, rate = case.sound
    known = Dictionary.join([learn(read(clip), clip.stem) for clip in case.clips])
    missing = [name for name in case.names if name not in known.sources]

    def run(options: dict[str, Any]) -> dict[str, Signal]:
        names = dict.fromkeys(missing, "residual")
        options = {kind: tuple(_renamed(text, names) for text in texts) for kind, texts in options.items()}
        free = FREE if missing else 0
        stems = separate(Audio(samples, rate), "dictionary", dictionary=known, free=free, **options).stems
        found = {name: stem.samples for name, stem in stems.items()}
        if missing:
            found[missing[0]] = found.pop("residual")
        return found

    return run


def _renamed(text: str, names: dict[str, str]) -> str:
    """Return the text of a region with the name that its stem has in a run."""
    name, _, rest = text.partition("=")
    return f"{names.get(name, name)}={rest}"


def measured(case: Case, run: Separate, counts: tuple[int, ...]) -> dict[str, Any]:
    """Return the gain without regions, and what each number of regions adds."""
    painter, painting = Painter(case), Painting()
    stems = run({})
    result: dict[str, Any] = {"without": gain(case, stems), "gained": {}}
    for before, count in zip((0, *counts), counts, strict=False):
        painter.paint(stems, count - before, painting)
        stems = run(painting.options)
        result["gained"][count] = gain(case, stems) - result["without"]
    seconds, octaves = np.median(painting.areas, axis=0)
    return {**result, "median_seconds": float(seconds), "median_octaves": float(octaves)}


def gain(case: Case, stems: dict[str, Signal]) -> float:
    """Return the mean SDR over the stems minus that of the mixture, in dB."""
    mixture = dict.fromkeys(case.names, case.sound[0])
    scores = [np.mean([s.sdr for s in evaluate(case.truth, e).values()]) for e in (stems, mixture)]
    return float(scores[0] - scores[1])


def table(results: dict[str, dict[str, Any]], counts: tuple[int, ...]) -> str:
    """Return the results as Markdown, with the means of each way."""
    headings = ["case", "way", "0 regions", *(f"{n}: gained" for n in counts), "median rectangle"]
    lines = ["| " + " | ".join(headings) + " |", "|---" * len(headings) + "|"]
    for way in dict.fromkeys(key.split(", ")[1] for key in results):
        rows = {key: one for key, one in results.items() if key.endswith(f", {way}")}
        for key, one in rows.items():
            gained = [f"{one['gained'][n]:+.2f}" for n in counts]
            size = f"{one['median_seconds']:.1f} s, {one['median_octaves']:.1f} octaves"
            lines.append(
                f"| {key.split(', ')[0]} | {way} | {one['without']:.2f} | {' | '.join(gained)} | {size} |"
            )
        means = [f"{np.mean([one['gained'][n] for one in rows.values()]):+.2f}" for n in counts]
        without = np.mean([one["without"] for one in rows.values()])
        lines.append(f"| mean | {way} | {without:.2f} | {' | '.join(means)} | |")
    return "\n".join(lines)


def main() -> int:
    """Measure the requested cases, print the table and write the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cases", type=Path, help="folder of cases (default: the audio samples)")
    parser.add_argument("--only", nargs="+", default=[], help="names of cases (default: all)")
    parser.add_argument("--regions", nargs="+", type=int, default=COUNTS, help="numbers of regions, rising")
    parser.add_argument("--out", type=Path, help="JSON file for the figures")
    options = parser.parse_args()
    cases = [c for c in find_cases(options.cases) if not options.only or c.name in options.only]
    if not cases:
        sys.exit(f"no case in {options.cases}: a case is a folder with mixture.flac and stems/*.flac")
    results, counts = {}, tuple(sorted(set(options.regions)))
    for case in cases:
        unknown = len(set(case.names) - {clip.stem for clip in case.clips})
        ways = {"blind": by_blind, **({"dictionary": by_dictionary} if case.clips and unknown < 2 else {})}
        for way, start in ways.items():
            results[f"{case.name}, {way}"] = measured(case, start(case), counts)
            print(f"{case.name}, {way}: {results[f'{case.name}, {way}']}", flush=True)
    print("\n" + table(results, counts))
    if options.out:
        options.out.write_text(json.dumps(results, indent=1), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
