"""Learning from all frames of a corpus, on this machine or on a cluster, with the same bits.

The corpus is cut into shards of at most `FRAMES_OF_SHARD` frames of one recording. In each epoch every shard
gives sums of the size of the templates (`nmfaudio.nmf.shard_sums`), which are added in a fixed tree.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from nmfaudio.dictionaries.dictionary import Dictionary
from nmfaudio.dictionaries.epochs import Descent, Summary, descend, pass_over
from nmfaudio.dictionaries.format import Clip
from nmfaudio.dictionaries.pitch import template_pitches
from nmfaudio.dictionaries.submission import Client, total
from nmfaudio.dictionaries.sufficient_rank import FRAMES_PER_TEMPLATE, MOST_TEMPLATES, sufficient_rank
from nmfaudio.dictionaries.training_frames import COMMON, FEW, OUTLIER, SILENT, Frames, Report, Spectra
from nmfaudio.disk import tensorfile
from nmfaudio.errors import DictionaryError, NmfaudioError, OptionError
from nmfaudio.nmf import Divergence
from nmfaudio.nmf.shard_sums import ShardSums
from nmfaudio.sound.audio import Audio
from nmfaudio.sound.files import AudioFile
from nmfaudio.sound.progress import Progress
from nmfaudio.sound.stft import STFT

FRAMES_OF_SHARD = 4096
_SAMPLE = 2048  # frames from which the rank, and the level of faults, are found
SHARDS_OF_BATCH = 16  # at most, in one pass: more workers than these have nothing to do
_LEAST_BATCHES = 32  # where there are as many shards: each batch moves the templates a few times only


@runtime_checkable
class Remote(Protocol):
    """A recording elsewhere, of which a copy is made to read it."""

    @property
    def name(self) -> str:
        """Name of the recording."""

    def fetched(self) -> AbstractContextManager[str]:
        """Provide the path of a copy."""


Recording = Audio | Remote | str | os.PathLike[str]


@dataclass(frozen=True)
class Settings:
    """How a corpus is learned from.

    Attributes
    ----------
    label : str
        Name of the source.
    rank : int or None
        Number of templates; None chooses it.
    sample_rate : int or None
        Sample rate of the dictionary in Hz; None takes that of the first recording.
    window : float
        Length of the analysis window in seconds.
    divergence : Divergence
        What is minimised.
    iterations : int
        Greatest number of epochs.
    seed : int
        Seed of the start.
    minibatch : bool
        Whether each shard is used and forgotten, in every pass over the corpus.
    passes : int
        Number of passes over the corpus with `minibatch`.
    """

    label: str
    rank: int | None
    sample_rate: int | None
    window: float
    divergence: Divergence
    iterations: int
    seed: int
    minibatch: bool = False
    passes: int = 1

    @property
    def magnitude_power(self) -> float:
        """Power to which magnitudes are raised before they are factored."""
        return 2.0 if self.divergence.beta == 0 else 1.0

    def stft(self, sample_rate: int) -> STFT:
        """Return the analysis at a sample rate."""
        return STFT.lasting(self.window, sample_rate)


@dataclass(frozen=True)
class _Opened:
    """What is known of a recording: its description, its frames, and the level of its loudest frame."""

    clip: Clip
    frames: int
    loudest: float


@dataclass(frozen=True)
class _Range:
    """Levels between which frames count: neither silent nor faulty."""

    least: float
    most: float = float("inf")


def learn_corpus(
    recordings: Sequence[Recording],
    settings: Settings,
    client: Client,
    *,
    checkpoint: Path | None = None,
    report: Report | None = None,
) -> Dictionary:
    """Learn a dictionary of one source from all frames of its recordings.

    Parameters
    ----------
    recordings : sequence of Audio or path-like
        The recordings. Workers of a cluster must see the paths.
    settings : Settings
        How to learn.
    client : Client
        What does the work.
    checkpoint : Path, optional
        File that keeps the templates after each epoch. A later call with the same recordings and settings
        goes on from it. It is removed at the end.
    report : callable, optional
        Function that takes a `Progress` after each epoch.

    Returns
    -------
    Dictionary

    Raises
    ------
    AudioFileError, DictionaryError, OptionError
        As for `learn`.
    """
    if not recordings:
        raise DictionaryError(f"no recording: name recordings of {settings.label!r}")
    rate = settings.sample_rate or client.submit(_sample_rate, recordings[0], pure=False).result()
    opened = [
        one.result()
        for one in [client.submit(_opened, clip, settings, rate, pure=False) for clip in recordings]
    ]
    range_, sample = _range_and_sample(client, recordings, opened, settings, rate)
    infos = tuple(one.clip for one in opened)
    shards = [
        partial(client.submit, _shard, clip, settings, rate, start, stop, range_, pure=False)
        for clip, info in zip(recordings, opened, strict=True)
        for start, stop in _pieces(info.frames)
    ]

    def rank(frames: int) -> int:
        return _rank(settings, sample, frames, settings.stft(rate).frequencies(rate))

    if settings.minibatch:
        descent = _of_passes(client, shards, settings, sample, rank(len(sample)), report)
        return _dictionary(descent.W, descent.sums, settings, rate, infos)

    def keeper(templates: int) -> _Checkpoint:
        return _Checkpoint(checkpoint, _fingerprint(settings, rate, templates, opened))

    descent = _of_all_epochs(client, [make() for make in shards], settings, rank, keeper, report)
    return _dictionary(descent.W, descent.sums, settings, rate, infos)


def _of_all_epochs(
    client: Client,
    shards: list[Any],
    settings: Settings,
    rank: Callable[[int], int],
    keeper: Callable[[int], _Checkpoint],
    report: Report | None,
) -> Descent:
    """Keep all shards on the workers, and use each of them in every epoch."""
    summary = total(client, [client.submit(Summary.of, one, pure=False) for one in shards], Summary.plus)
    found: Summary = summary.result()
    templates = rank(found.frames)
    kept = keeper(templates)
    descent = descend(
        client,
        shards,
        found.start(templates, settings.seed),
        settings.divergence,
        found.level,
        settings.iterations,
        keeper=kept,
        report=_reporting(settings, settings.iterations, report),
    )
    kept.remove()
    return descent


def _of_passes(
    client: Client,
    shards: Sequence[Callable[[], Any]],
    settings: Settings,
    sample: Frames,
    rank: int,
    report: Report | None,
) -> Descent:
    """Make the shards of a batch, use them, and forget them; batches are random choices of shards."""
    summary = Summary.of(sample)
    generator = np.random.default_rng(settings.seed)
    size = min(SHARDS_OF_BATCH, max(1, len(shards) // _LEAST_BATCHES))
    orders = [generator.permutation(len(shards)) for _ in range(settings.passes)]
    passes = [[order[n : n + size] for n in range(0, len(order), size)] for order in orders]
    return pass_over(
        client,
        (([shards[n]() for n in batch] for batch in batches) for batches in passes),
        summary.start(rank, settings.seed),
        settings.divergence,
        summary.level,
        report=_reporting(settings, sum(map(len, passes)), report),
    )


def _reporting(
    settings: Settings, count: int, report: Report | None
) -> Callable[[int, float], object] | None:
    if report is None:
        return None
    return lambda done, objective: report(Progress(f"learning {settings.label}", done, count, objective))


def _sample_rate(recording: Recording) -> int:
    rate: int = _with_source(recording, lambda source: source.sample_rate)
    return rate


def _with_source(recording: Recording, use: Callable[[Any], Any]) -> Any:
    if isinstance(recording, Audio):
        return use(recording)
    copy = recording.fetched() if isinstance(recording, Remote) else nullcontext(recording)
    with copy as path, AudioFile(path) as file:
        return use(file)


def _spectra(source: Any, settings: Settings, rate: int) -> Spectra:
    return Spectra(source, settings.stft(rate), rate, settings.magnitude_power, None)


def _opened(recording: Recording, settings: Settings, rate: int) -> _Opened:
    """Read a recording once."""

    def survey(source: Any) -> _Opened:
        name = recording.name if isinstance(recording, Audio | Remote) else Path(recording).name
        digest = "" if isinstance(recording, Audio) else source.sha256()
        seconds = round(source.length / source.sample_rate, 3)
        clip = Clip(settings.label, name[:200], digest, seconds, source.sample_rate, source.channels)
        frames, loudest = 0, 0.0
        for block in _spectra(source, settings, rate).blocks():
            frames += len(block)
            loudest = max(loudest, float(block.sum(axis=1).max(initial=0.0)))
        return _Opened(clip, frames, loudest)

    found: _Opened = _with_source(recording, survey)
    return found


def _shard(
    recording: Recording, settings: Settings, rate: int, start: int, stop: int, range_: _Range
) -> Frames:
    """Return the frames of a shard that count, shape (frames, bins)."""

    def read(source: Any) -> Frames:
        rows = _spectra(source, settings, rate).between(start, stop)
        levels = rows.sum(axis=1)
        return np.ascontiguousarray(rows[(levels > range_.least) & (levels <= range_.most)])

    found: Frames = _with_source(recording, read)
    return found


def _range_and_sample(
    client: Client, recordings: Sequence[Recording], opened: list[_Opened], settings: Settings, rate: int
) -> tuple[_Range, Frames]:
    """Return the levels between which frames count, and evenly spaced frames of all recordings."""
    loudest, frames = max(one.loudest for one in opened), sum(one.frames for one in opened)
    if not loudest > 0:
        names = ", ".join(one.clip.name for one in opened[:3])
        raise DictionaryError(
            f"{names}: there is nothing but silence to learn {settings.label!r} from: record it again"
        )
    not_silent = _Range(SILENT * loudest)
    step = -(-frames // _SAMPLE)
    parts = [
        client.submit(_spaced, clip, settings, rate, one.frames, step, not_silent, pure=False)
        for clip, one in zip(recordings, opened, strict=True)
        if one.frames
    ]
    rows = np.concatenate([part.result() for part in parts])
    levels = rows.sum(axis=1)
    if len(rows) < FEW:
        return not_silent, rows
    most = OUTLIER * float(np.quantile(levels, COMMON))
    return _Range(not_silent.least, most), rows[levels <= most]


def _spaced(
    recording: Recording, settings: Settings, rate: int, frames: int, step: int, range_: _Range
) -> Frames:
    """Return every so many frames of a recording that count."""
    parts = [
        _shard(recording, settings, rate, start, stop, range_)[::step] for start, stop in _pieces(frames)
    ]
    return np.concatenate(parts)


def _pieces(frames: int) -> list[tuple[int, int]]:
    return [(start, min(start + FRAMES_OF_SHARD, frames)) for start in range(0, frames, FRAMES_OF_SHARD)]


def _rank(settings: Settings, sample: Frames, frames: int, frequencies: NDArray[np.float64]) -> int:
    if settings.rank is None:
        most = min(MOST_TEMPLATES, len(sample) // FRAMES_PER_TEMPLATE)
        return max(1, sufficient_rank(sample, frequencies, most, settings.divergence, settings.seed))
    if settings.rank > frames:
        raise OptionError(
            f"rank={settings.rank}: the recordings of {settings.label!r} have {frames} frames with sound: "
            f"use at most {frames}",
            option="rank",
        )
    return settings.rank


def _dictionary(
    W: NDArray[np.float32], sums: ShardSums, settings: Settings, rate: int, clips: tuple[Clip, ...]
) -> Dictionary:
    power = (W.astype(np.float64) ** 2).sum(axis=0) * sums.power
    used, stft = np.flatnonzero(power), settings.stft(rate)
    templates = W[:, used]
    pitches = template_pitches(templates ** (1 / settings.magnitude_power), stft.frequencies(rate))
    shares = (power / (power.sum() or 1.0))[used].astype(np.float32)
    return Dictionary(
        templates,
        (settings.label,) * len(used),
        rate,
        stft,
        settings.magnitude_power,
        settings.divergence.beta,
        settings.seed,
        shares,
        pitches,
        clips,
    )


def _fingerprint(settings: Settings, rate: int, rank: int, opened: list[_Opened]) -> str:
    """Return a hash of all that decides the templates of each epoch."""
    parts = asdict(replace(settings, sample_rate=rate, rank=rank, iterations=0))
    text = json.dumps([parts, [asdict(one) for one in opened]], default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


@dataclass(frozen=True)
class _Checkpoint:
    """The templates of the last epoch in a file, for a run that goes on later."""

    path: Path | None
    fingerprint: str

    def load(self, W: NDArray[np.float32]) -> tuple[int, list[float], NDArray[np.float32]]:
        """Return the epoch, the objectives so far, and the templates; those given where there is no file."""
        if self.path is None or not self.path.exists():
            return 0, [], W
        try:
            with tensorfile.opened(self.path) as content:
                told, found = content.metadata, content.arrays()["templates"]
            if told["fingerprint"] != self.fingerprint or found.shape != W.shape:
                return 0, [], W
            return int(told["epoch"]), [float(one) for one in json.loads(told["objectives"])], found
        except (NmfaudioError, KeyError, ValueError, TypeError):
            return 0, [], W

    def save(self, epoch: int, objectives: list[float], W: NDArray[np.float32]) -> None:
        if self.path is not None:
            kept = [objectives[0], objectives[-1]]  # the first and the last decide when to stop
            told = {"fingerprint": self.fingerprint, "epoch": str(epoch), "objectives": json.dumps(kept)}
            tensorfile.save(self.path, {"templates": W}, told)

    def remove(self) -> None:
        if self.path is not None:
            self.path.unlink(missing_ok=True)
