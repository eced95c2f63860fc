"""Count the right and wrong decisions of `auto`: ``benchmark_decisions.py --cases FOLDER``.

For each recording of `decision_recordings.py`, the decision of `auto` is compared with the right ones. A
table shows how often each decision was wanted and taken. For each wrong decision on a recording of several
sources, ``--costs`` separates in both ways and prints the difference of the mean SI-SDR in dB. Where several
decisions are right, the best of them counts.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from decision_recordings import DRUMS, NOISE, PLACE, REST, TIMBRE, Recording, Signal, recordings

from nmfaudio import STFT, Audio, Blocks, separate
from nmfaudio.models.contract import Model, Separator
from nmfaudio.separators.auto.advice import advise, listen
from nmfaudio.separators.auto.separator import Auto
from nmfaudio.separators.blind.separator import Blind
from nmfaudio.separators.drums.separator import Drums
from nmfaudio.separators.noise import Noise
from nmfaudio.separators.stereo.panning import Panning
from nmfaudio.separators.stereo.separator import Stereo
from nmfaudio.studies.evaluation import best_names, evaluate

DECISIONS = (PLACE, REST, DRUMS, NOISE, TIMBRE)


def decision(recording: Recording) -> str:
    """Return what `auto` decides, given the number of sources of the recording if there are several."""
    facts = listen(Blocks(Audio(recording.mixture, recording.rate), STFT(2048)))
    chosen = advise(facts, sources=sources_of(recording)).separator
    if chosen == "stereo":
        return REST if len(facts.places) < 2 else PLACE
    return {"drums": DRUMS, "noise": NOISE}.get(chosen, TIMBRE)


def sources_of(recording: Recording) -> int | None:
    """Return the number of sources; None for recordings of a single stem."""
    return len(recording.stems) if len(recording.stems) > 1 else None


@dataclass(frozen=True)
class AtTruePositions:
    """Separator by the positions of the true stems, which needs no detection."""

    positions: Panning

    def fit(self, mixture: Blocks) -> Model:
        """Return a model of the sources at their true positions."""
        return Stereo().separated_by(self.positions, mixture)


def true_positions(recording: Recording) -> Panning:
    """Return the direction in which each stem has most energy."""
    angles = []
    for left, right in recording.stems.values():
        angles.append(np.rad2deg(np.arctan2(2 * left @ right, left @ left - right @ right) / 2))
    ones = np.ones(len(angles))
    return Panning(np.array(angles), ones, ones, 1.0)


def separator_for(wanted: str, recording: Recording) -> Separator:
    """Return the separator that follows a decision, whatever `auto` finds."""
    sources = len(recording.stems)
    if wanted == PLACE:
        return AtTruePositions(true_positions(recording))
    by_decision: Mapping[str, Separator] = {
        REST: Stereo(sources=sources),
        DRUMS: Drums(),
        NOISE: Noise(),
        TIMBRE: Blind(sources=sources),
    }
    return by_decision[wanted]


def score(recording: Recording, separator: Separator) -> float:
    """Return the mean SI-SDR of the stems in dB; the mixture stands for stems that are missing."""
    separated = separate(Audio(recording.mixture, recording.rate), separator)
    stems: dict[str, Signal] = {name: stem.samples for name, stem in separated.stems.items()}
    for number in range(len(recording.stems) - len(stems)):
        stems[f"mixture {number}"] = recording.mixture
    names = best_names(recording.stems, stems)
    scores = evaluate(recording.stems, {name: stems[match] for name, match in names.items()})
    return float(np.mean([one.si_sdr for one in scores.values()]))


def cost(recording: Recording) -> str:
    """Return what a wrong decision costs, as text."""
    sources = sources_of(recording)
    if sources is None:
        return "one source"
    best = max(score(recording, separator_for(wanted, recording)) for wanted in recording.wanted)
    return f"costs {best - score(recording, Auto(sources=sources)):.1f} dB"


def table(counts: Counter[tuple[str, str]]) -> Iterator[str]:
    """Yield the lines of a table in Markdown: decisions wanted in rows, decisions taken in columns."""
    rows = sorted({wanted for wanted, _ in counts})
    yield "| wanted \\ taken | " + " | ".join(DECISIONS) + " |"
    yield "|---" * (len(DECISIONS) + 1) + "|"
    for wanted in rows:
        yield f"| {wanted} | " + " | ".join(str(counts[wanted, taken]) for taken in DECISIONS) + " |"


def main() -> int:
    """Print the decision on each recording, the table, and the number of wrong decisions."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cases", type=Path, help="folder of cases (default: the audio samples alone)")
    parser.add_argument("--costs", action="store_true", help="measure what wrong decisions cost")
    options = parser.parse_args()
    counts: Counter[tuple[str, str]] = Counter()
    wrong = 0
    for recording in recordings(options.cases):
        taken, wanted = decision(recording), " or ".join(sorted(recording.wanted))
        counts[wanted, taken] += 1
        verdict = "right"
        if taken not in recording.wanted:
            wrong += 1
            verdict = f"WRONG, {cost(recording)}" if options.costs else "WRONG"
        print(f"{recording.name}: {taken} (wanted: {wanted}), {verdict}", flush=True)
    if not counts:
        sys.exit("no recording could be made: pass --cases FOLDER")
    print("\n" + "\n".join(table(counts)) + f"\n\n{wrong} of {counts.total()} decisions are wrong")
    return 0


if __name__ == "__main__":
    sys.exit(main())
