"""Cases, and commands for each way of separating them; for `benchmark_separation.py`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent
PEERS = Path(__file__).resolve().with_name("separation_peers.py")
MULTICHANNEL_PEERS = PEERS.with_name("multichannel_peers.py")
SOLO = 3.0  # seconds of each stem alone that are placed before the mixture, for hints
DRUMS = {"kick", "snare", "hihat", "ride", "tom", "clap", "cymbal"}

Signal = NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    """A mixture, its true stems, and further material if there is any."""

    name: str
    mixture: Path
    stems: tuple[Path, ...]
    clips: tuple[Path, ...] = ()
    score: Path | None = None

    @cached_property
    def sound(self) -> tuple[Signal, int]:
        """Samples (channels, samples) and sample rate of the mixture."""
        return read(self.mixture)

    @cached_property
    def truth(self) -> dict[str, Signal]:
        """Samples of the true stems by name."""
        return {path.stem: read(path)[0] for path in self.stems}

    @property
    def names(self) -> list[str]:
        """Names of the stems."""
        return [path.stem for path in self.stems]

    @property
    def complete(self) -> bool:
        """Whether there is a training recording of every stem."""
        return {clip.stem for clip in self.clips} >= set(self.names)


@dataclass(frozen=True)
class Task:
    """One run: commands before it, the command itself, and how its stems are scored.

    Attributes
    ----------
    way : str
    case : Case
    command : list of str
        The command; `{out}` stands for the folder of the stems.
    before : list of list of str
        Commands that run first and are not timed, such as learning.
    labelled : bool
        Whether the stems have the names of the references; otherwise the best match is used.
    known : str
        The only known stem; the sum of the others is scored as one stem. "" if all stems are scored alone.
    skip : int
        Number of samples before the mixture that are not scored.
    """

    way: str
    case: Case
    command: list[str]
    before: list[list[str]] = field(default_factory=list)
    labelled: bool = False
    known: str = ""
    skip: int = 0

    @property
    def references(self) -> dict[str, Signal]:
        """The true stems; with a known stem, the others are added up."""
        if not self.known:
            return self.case.truth
        others = sum((s for n, s in self.case.truth.items() if n != self.known), np.zeros(1))
        return {self.known: self.case.truth[self.known], "residual": others}


def read(path: Path) -> tuple[Signal, int]:
    """Return samples (channels, samples) and their sample rate."""
    samples, rate = soundfile.read(path, always_2d=True)
    return np.ascontiguousarray(samples.T), int(rate)


def find_cases(folder: Path | None) -> list[Case]:
    """Return the cases in a folder, or the audio samples."""
    if folder is None:
        mixtures = sorted((ROOT / "audio_samples").glob("*.flac"))
        return [Case(m.stem, m, tuple(sorted(m.with_suffix("").glob("*.flac")))) for m in mixtures]
    cases = []
    for mixture in sorted(folder.glob("*/mixture.flac")):
        case_folder = mixture.parent
        stems, clips = (tuple(sorted((case_folder / part).glob("*.flac"))) for part in ("stems", "train"))
        score = case_folder / "score.mid"
        cases.append(Case(case_folder.name, mixture, stems, clips, score if score.exists() else None))
    return cases


def nmfaudio(*arguments: object) -> list[str]:
    """Return an nmfaudio command as a user would call it."""
    return [sys.executable, "-m", "nmfaudio", *map(str, arguments)]


def separate(case: Case, *options: object, mixture: Path | None = None) -> list[str]:
    """Return the command that separates the mixture of a case into float stems."""
    target = ("-o", "{out}", "--format", "wav", "--subtype", "FLOAT", "--filename", "{stem}.{ext}")
    return nmfaudio("separate", mixture or case.mixture, *target, *options, "--quiet", "--json")


def peer(way: str, case: Case, *options: object) -> list[str]:
    """Return the command that separates with librosa and scikit-learn."""
    return [sys.executable, str(PEERS), way, str(case.mixture), "{out}", *map(str, options)]


def learning(clips: Sequence[Path], folder: Path) -> tuple[list[list[str]], Path]:
    """Return the commands that learn a dictionary from recordings, and the path of the dictionary."""
    parts = [folder / f"{clip.stem}.safetensors" for clip in clips]
    steps = [
        nmfaudio("learn", clip, "--label", clip.stem, "-o", part, "--quiet", "--overwrite")
        for clip, part in zip(clips, parts, strict=True)
    ]
    if len(parts) == 1:
        return steps, parts[0]
    return [
        *steps,
        nmfaudio("join", *parts, "-o", folder / "all.safetensors", "--overwrite"),
    ], folder / "all.safetensors"


def with_number_of_stems(separator: str) -> Callable[[Case, Path], Iterator[Task]]:
    """Return a way that runs a separator with the number of stems."""

    def tasks(case: Case, _: Path) -> Iterator[Task]:
        options = ("--separator", separator, "--sources", len(case.stems))
        yield Task(separator, case, separate(case, *options))

    return tasks


def with_two_stems(separator: str) -> Callable[[Case, Path], Iterator[Task]]:
    """Return a way that runs a separator with always two stems, on mixtures of two sources."""

    def tasks(case: Case, _: Path) -> Iterator[Task]:
        if len(case.stems) == 2:
            yield Task(separator, case, separate(case, "--separator", separator))

    return tasks


def auto(case: Case, _: Path) -> Iterator[Task]:
    """Run the default separator with the number of stems."""
    yield Task("auto", case, separate(case, "--sources", len(case.stems)))


def stereo(case: Case, _: Path) -> Iterator[Task]:
    """Separate mixtures of two channels by pan position."""
    if len(case.sound[0]) == 2:
        options = ("--separator", "stereo", "--sources", len(case.stems))
        yield Task("stereo", case, separate(case, *options))


def drums(case: Case, folder: Path) -> Iterator[Task]:
    """Separate drums without training, and from one-shots."""
    if not set(case.names) <= DRUMS:
        return
    yield Task("drums", case, separate(case, "--separator", "drums"), labelled=True)
    if case.complete:
        options = ("--separator", "drums", "--set", f"oneshots={case.clips[0].parent}")
        yield Task("drums with one-shots", case, separate(case, *options), labelled=True)


def score(case: Case, _: Path) -> Iterator[Task]:
    """Separate with the score of the case."""
    if case.score:
        yield Task("score", case, separate(case, "--midi", case.score), labelled=True)


def dictionary(case: Case, folder: Path) -> Iterator[Task]:
    """Learn a dictionary of all stems, then separate."""
    if case.complete:
        before, path = learning(case.clips, folder)
        yield Task("dictionary", case, separate(case, "--dictionary", path), before, labelled=True)


def one_known(case: Case, folder: Path) -> Iterator[Task]:
    """Learn a dictionary of a single stem, for each stem in turn; the rest with and without a number."""
    for clip in case.clips:
        before, path = learning([clip], folder)
        for options in (("--free", 16), ("--rest",)):
            command = separate(case, "--dictionary", path, *options)
            way = " ".join(map(str, ("one known", *options)))
            yield Task(way, case, command, before, labelled=True, known=clip.stem)
            before = []


def hints(case: Case, folder: Path) -> Iterator[Task]:
    """Place some seconds of each stem alone before the mixture, and pass their times as hints."""
    samples, rate = case.sound
    length = int(SOLO * rate)
    passages = [loudest(stem, length) for stem in case.truth.values()]
    joined, solos = folder / f"{case.name}.wav", []
    for j, name in enumerate(case.names):
        solos += ["--solo", f"{name}={j * SOLO:g}-{(j + 1) * SOLO:g}"]
    soundfile.write(joined, np.concatenate([*passages, samples], axis=1).T, rate, subtype="FLOAT")
    command = separate(case, *solos, mixture=joined)
    yield Task("hints", case, command, labelled=True, skip=length * len(passages))


def loudest(stem: Signal, length: int) -> Signal:
    """Return the passage with the most energy; stems that are too short are padded with silence."""
    padded = np.pad(stem, ((0, 0), (0, max(0, length - stem.shape[1]))))
    energy = np.concatenate([[0.0], np.cumsum((padded**2).sum(axis=0))])
    start = int(np.argmax(energy[length:] - energy[:-length]))
    return padded[:, start : start + length]


def scikit_learn(case: Case, _: Path) -> Iterator[Task]:
    """Separate with librosa and scikit-learn, blindly and with recordings of the sources."""
    yield Task("scikit-learn, blind", case, peer("blind", case, "--stems", len(case.stems)))
    if case.complete:
        command = peer("dictionary", case, "--clips", *case.clips)
        yield Task("scikit-learn, dictionary", case, command, labelled=True)


def multichannel(case: Case, _: Path) -> Iterator[Task]:
    """Separate recordings of several microphones with pyroomacoustics, where that is installed.

    ILRMA makes as many stems as there are microphones; those that match no source best are not scored.
    """
    microphones, stems = len(case.sound[0]), len(case.stems)
    if microphones < 2 or find_spec("pyroomacoustics") is None:
        return
    for method in ("ilrma", "fastmnmf2") if stems <= microphones else ("fastmnmf2",):
        command = [sys.executable, str(MULTICHANNEL_PEERS), method, str(case.mixture), "{out}"]
        yield Task(f"pyroomacoustics, {method}", case, [*command, "--stems", str(stems)])


def oracle(case: Case, _: Path) -> Iterator[Task]:
    """Apply the ideal ratio mask."""
    yield Task("ideal ratio mask", case, peer("oracle", case, "--truth", *case.stems), labelled=True)


WAYS: dict[str, Callable[[Case, Path], Iterator[Task]]] = {
    "auto": auto,
    "blind": with_number_of_stems("blind"),
    "stereo": stereo,
    **{name: with_two_stems(name) for name in ("noise", "harmonic-percussive", "repeating", "voice")},
    "drums": drums,
    "score": score,
    "dictionary": dictionary,
    "one-known": one_known,
    "hints": hints,
    "scikit-learn": scikit_learn,
    "multichannel": multichannel,
    "oracle": oracle,
}
