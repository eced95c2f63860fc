"""Count how often a stem that is called sure is right: ``benchmark_confidence.py --cases FOLDER``.

Each way of separating runs on each case as in ``benchmark_separation.py``, and the verdict on each stem is
read from the manifest. A stem is right if its SDR exceeds that of the mixture by 1 dB and more. Stems without
labels are matched to the references first; stems that match no reference are left out.

The first table has a line for each way: stems, right ones, sure ones, and how many of the sure ones are
right. Then the limits of the rule are chosen anew on all cases but one, and used on that one, for each case
in turn: the result shows what the rule is worth on other recordings.

The judgements are written to ``confidence.json`` in the folder ``--out``; ``--from FILE`` reads them again.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmark_separation import timed
from separation_cases import WAYS, Task, find_cases, read

from nmfaudio.pipeline.confidence import LEAST_CERTAINTY, Evidence
from nmfaudio.studies.evaluation import best_names, evaluate

RIGHT = 1.0  # dB of SDR above the mixture from which a stem is right
WANTED = 0.95  # part of the sure stems that must be right where the limit is chosen
DEFAULT_WAYS = [way for way in WAYS if way not in ("scikit-learn", "oracle", "repeating")]


@dataclass(frozen=True)
class Judgement:
    """The verdict on a stem, its evidence, and its true gain over the mixture in dB."""

    way: str
    case: str
    known: str
    stem: str
    gain: float
    verdict: str
    separability: float
    spread: float

    @property
    def is_right(self) -> bool:
        """Whether the stem is better than the mixture."""
        return self.gain >= RIGHT

    @property
    def certainty(self) -> float:
        """The evidence in one number, in dB."""
        return Evidence(1.0, self.separability, self.spread).certainty

    def is_beyond(self, case: str, limit: float) -> bool:
        """Whether the stem belongs to a case and would be sure with this limit."""
        return self.case == case and self.certainty >= limit

    @property
    def is_sure(self) -> bool:
        """Whether the stem is called sure."""
        return self.verdict == "sure"


def judgements(task: Task) -> Iterator[Judgement]:
    """Run a task and yield the verdict on each stem that belongs to a reference."""
    with tempfile.TemporaryDirectory() as folder:
        for step in task.before:
            subprocess.run(step, check=True, stdout=subprocess.DEVNULL)
        error, _, _ = timed([word.replace("{out}", folder) for word in task.command])
        if error:
            print(f"{task.case.name} {task.way}: {error}", file=sys.stderr)
            return
        stems = {p.stem: read(p)[0][:, task.skip :] for p in sorted(Path(folder).glob("*.wav"))}
        entries = json.loads((Path(folder) / "manifest.json").read_bytes())["stems"]
    references = task.references
    names = {n: n for n in references if n in stems} if task.labelled else best_names(references, stems)
    references = {name: references[name] for name in names}
    achieved = evaluate(references, {name: stems[stem] for name, stem in names.items()})
    unprocessed = evaluate(references, dict.fromkeys(references, task.case.sound[0]))
    for name, stem in names.items():
        if name in achieved:
            entry = entries[stem]["confidence"]
            evidence = entry["evidence"]
            yield Judgement(
                task.way,
                task.case.name,
                task.known,
                stem,
                achieved[name].sdr - unprocessed[name].sdr,
                entry["verdict"],
                evidence["separability"],
                evidence["spread"],
            )


def row(name: str, found: Sequence[Judgement]) -> str:
    """Return a line of the table."""
    right, sure = [j for j in found if j.is_right], [j for j in found if j.is_sure]
    true = sum(j.is_right for j in sure)
    part = f"{true / len(sure):.0%}" if sure else ""
    return f"| {name} | {len(found)} | {len(right)} | {len(sure)} | {len(sure) / len(found):.0%} | {part} |"


def table(found: Sequence[Judgement]) -> str:
    """Return the counts of each way and of all ways together as Markdown."""
    lines = ["| way | stems | right | sure | sure of all | right of the sure |", "|---" * 6 + "|"]
    for way in dict.fromkeys(j.way for j in found):
        lines.append(row(way, [j for j in found if j.way == way]))
    return "\n".join([*lines, row("all", found)]) + "\n"


def chosen_limit(found: Iterable[Judgement]) -> float:
    """Return the lowest certainty above which enough stems are right; infinity where there is none."""
    falling = sorted(found, key=lambda j: -j.certainty)
    limit, right = math.inf, 0
    for count, one in enumerate(falling, start=1):
        right += one.is_right
        if right >= WANTED * count:
            limit = one.certainty
    return limit


def cross_validated(found: Sequence[Judgement]) -> str:
    """Return how the rule does on each case when its limit is chosen on the others."""
    cases = list(dict.fromkeys(j.case for j in found))
    limits = [chosen_limit(j for j in found if j.case != case) for case in cases]
    sure = [j for case, limit in zip(cases, limits, strict=True) for j in found if j.is_beyond(case, limit)]
    right = sum(j.is_right for j in sure) / max(len(sure), 1)
    return (
        f"cross-validated by case: {len(sure)} of {len(found)} stems sure ({len(sure) / len(found):.0%}), "
        f"{right:.0%} of them right; limits from {min(limits):.1f} to {max(limits):.1f} dB (in use: "
        f"{LEAST_CERTAINTY:g} dB)\n"
    )


def main() -> int:
    """Run the cases, print the tables and write the judgements."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cases", type=Path, help="folder of cases (default: the audio samples)")
    parser.add_argument("--only", nargs="+", default=[], help="names of cases (default: all)")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=DEFAULT_WAYS)
    parser.add_argument("--from", dest="earlier", type=Path, help="judgements of an earlier run")
    parser.add_argument("--out", type=Path, default=Path("benchmark"), help="folder for the results")
    options = parser.parse_args()
    found: list[Judgement] = []
    if options.earlier:
        found = [Judgement(**entry) for entry in json.loads(options.earlier.read_bytes())]
    else:
        options.out.mkdir(parents=True, exist_ok=True)
        for case in find_cases(options.cases):
            if options.only and case.name not in options.only:
                continue
            with tempfile.TemporaryDirectory() as folder:
                for task in (task for way in options.ways for task in WAYS[way](case, Path(folder))):
                    found += judgements(task)
                    print(f"{case.name} {task.way} {task.known}: {len(found)} stems", flush=True)
            (options.out / "confidence.json").write_text(json.dumps([asdict(j) for j in found], indent=1))
    if not found:
        sys.exit(f"no case in {options.cases}: a case is a folder with mixture.flac and stems/*.flac")
    print("\n" + table(found) + "\n" + cross_validated(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
