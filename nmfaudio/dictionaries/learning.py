"""Learning a source's templates from recordings of it alone, read bit by bit."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from nmfaudio.dictionaries.dictionary import Dictionary
from nmfaudio.dictionaries.format import Clip
from nmfaudio.dictionaries.labels import check_label
from nmfaudio.dictionaries.pitch import template_pitches
from nmfaudio.dictionaries.sufficient_rank import sufficient_rank
from nmfaudio.errors import DictionaryError, OptionError
from nmfaudio.nmf import Divergence, Factorization, factorize
from nmfaudio.sound.audio import Audio, SampleSource
from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.files import AudioFile
from nmfaudio.sound.progress import Progress
from nmfaudio.sound.stft import STFT

WINDOW_SECONDS = 0.093  # 4096 samples at 44.1 kHz
MOST_TEMPLATES = 40
FRAMES_A_TEMPLATE = 4  # frames that a template needs at least, or it is a copy of one
KEPT_FRAMES = 2048  # at most: a random choice of all frames that sound
_SILENT = 1e-4  # of the loudest frame's level: below it a frame counts as silent
_OUTLIER = 20.0  # times the level that one frame in ten exceeds: above it a frame is a fault, not sound
_COMMON = 0.9
_FEW = 200  # frames: among fewer, what is rare cannot be told from what is wrong

Clips = Iterable[Audio | str | os.PathLike[str]] | Audio | str | os.PathLike[str]
Report = Callable[[Progress], None]
Frames = NDArray[np.float32]


def learn(
    clips: Clips,
    label: str,
    *,
    rank: int | None = None,
    sample_rate: int | None = None,
    window: float = WINDOW_SECONDS,
    divergence: str | float = "kl",
    iterations: int = 60,
    seed: int = 0,
    add_to: Dictionary | None = None,
    report: Report | None = None,
) -> Dictionary:
    """Learn a dictionary of one source from recordings of it alone.

    Recordings may differ in rate and channels, and are streamed: memory does not grow with their length.
    Silence, and frames far louder than all others (clicks, faults), are left out.

    Parameters
    ----------
    clips : Audio, path-like, or iterable of these
    label : str
        Name of the source.
    rank : int, optional
        Templates to learn; default: as many as explain nearly all that 40 would.
    sample_rate : int, optional
        Of the dictionary; default: that of the first recording.
    window : float
        Seconds of the analysis window; its length is the nearest power of two.
    divergence : str or float
        `"kl"` on magnitudes, `"is"` on powers, or any beta in [-1, 3] on magnitudes.
    iterations : int
        Updates, at most.
    seed : int
        Of the random start, and of the choice of frames where there are many.
    add_to : Dictionary, optional
        One of the same source that was learned before: what it knows is kept, by its weight in seconds.
    report : callable, optional
        Takes a `Progress`; may raise to stop the work.

    Returns
    -------
    Dictionary

    Raises
    ------
    AudioFileError
        For a file that cannot be read.
    DictionaryError
        When all recordings are silent.
    OptionError
        For an option outside its range.

    Examples
    --------
    >>> kick = learn("audio_samples/drum_loop/kick.flac", "kick")
    >>> kick.sources, kick.sample_rate
    (('kick',), 44100)
    """
    learner = Learner(
        label,
        rank=rank,
        sample_rate=sample_rate,
        window=window,
        divergence=divergence,
        iterations=iterations,
        seed=seed,
        report=report,
    )
    if add_to is not None:
        learner.recall(add_to)
    for clip in [clips] if isinstance(clips, Audio | str | os.PathLike) else clips:
        learner.partial_fit(clip)
    return learner.dictionary()


class Learner:
    """Learns a source bit by bit: show it recordings, then ask for the dictionary, as often as wanted.

    Parameters
    ----------
    label, rank, sample_rate, window, divergence, iterations, seed, report
        As for `learn`.

    Raises
    ------
    OptionError, DictionaryError
        For an option outside its range, or a label that cannot be used.

    Examples
    --------
    >>> learner = Learner("snare", rank=4)
    >>> learner.partial_fit("audio_samples/drum_loop/snare.flac").dictionary().templates.shape
    (2049, 4)
    """

    def __init__(
        self,
        label: str,
        *,
        rank: int | None = None,
        sample_rate: int | None = None,
        window: float = WINDOW_SECONDS,
        divergence: str | float = "kl",
        iterations: int = 60,
        seed: int = 0,
        report: Report | None = None,
    ) -> None:
        _check(rank=rank, sample_rate=sample_rate, iterations=iterations)
        if not 0 < window < 10 or seed < 0:
            raise OptionError(f"window={window}, seed={seed}: use 0 to 10 seconds, and a seed from 0 on")
        self.label, self.rank, self.window, self.iterations = check_label(label), rank, window, iterations
        self.divergence, self.seed, self.report = Divergence.of(divergence), seed, report
        self.sample_rate = sample_rate
        self.clips: list[Clip] = []
        self.silent: list[str] = []  # recordings in which nothing was heard
        self._kept: _Reservoir | None = None
        self._known: Dictionary | None = None

    @property
    def magnitude_power(self) -> float:
        """Of the magnitudes that are factored."""
        return 2.0 if self.divergence.beta == 0 else 1.0

    def recall(self, dictionary: Dictionary) -> Self:
        """Start from what a dictionary of this source knows: its templates count as frames of its clips."""
        if dictionary.sources != (self.label,):
            raise OptionError(
                f"the dictionary knows {', '.join(dictionary.sources)}, not {self.label!r}: "
                "pick the source, or use its label"
            )
        self.sample_rate = self.sample_rate or dictionary.sample_rate
        self._known = dictionary.to_settings(self.sample_rate, self._stft(self.sample_rate))
        self.clips = list(dictionary.clips)
        return self

    def partial_fit(self, clip: Audio | str | os.PathLike[str]) -> Self:
        """Listen to a recording.

        Raises
        ------
        AudioFileError
            When the file cannot be read.
        """
        if isinstance(clip, Audio):
            return self._listen(clip, clip.name, lambda: "")
        with AudioFile(clip) as file:
            return self._listen(file, Path(clip).name, file.sha256)

    def _listen(self, source: SampleSource, name: str, sha256: Callable[[], str]) -> Self:
        self.sample_rate = self.sample_rate or source.sample_rate
        target = self._stft(self.sample_rate)
        if self._kept is None:
            self._kept = _Reservoir(KEPT_FRAMES, target.bins, self.seed)
        frames = _Frames(source, target, self.sample_rate, self.magnitude_power, self.report)
        for part in frames.parts():
            self._kept.add(part)
        if source.peak == 0:
            self.silent.append(name)
        seconds = source.length / source.sample_rate
        self.clips.append(
            Clip(self.label, name[:200], sha256(), round(seconds, 3), source.sample_rate, source.channels)
        )
        return self

    def _stft(self, sample_rate: int) -> STFT:
        return STFT.lasting(self.window, sample_rate)

    def dictionary(self) -> Dictionary:
        """Return what was learned.

        Raises
        ------
        DictionaryError
            When nothing but silence was heard.
        """
        V = self._evidence()
        assert self.sample_rate is not None
        stft = self._stft(self.sample_rate)
        frequencies = stft.frequencies(self.sample_rate)
        rank = self._rank(V, frequencies)
        found = factorize(
            V.T,
            rank,
            divergence=self.divergence,
            init="random",
            iterations=self.iterations,
            seed=self.seed,
            callback=self._progress,
        )
        kept = np.flatnonzero(found.H.any(axis=1))
        templates = found.W[:, kept]
        return Dictionary(
            templates,
            (self.label,) * len(kept),
            self.sample_rate,
            stft,
            self.magnitude_power,
            self.divergence.beta,
            self.seed,
            _energy_shares(found)[kept].astype(np.float32),
            template_pitches(templates ** (1 / self.magnitude_power), frequencies),
            tuple(self.clips),
        )

    def _progress(self, done: int, objective: float) -> None:
        if self.report:
            self.report(Progress(f"learning {self.label}", done, self.iterations, objective))

    def _evidence(self) -> Frames:
        """Return the frames to learn from, shape (frames, bins)."""
        heard = self._kept.frames() if self._kept else np.empty((0, 0), np.float32)
        if self._known is None:
            if not len(heard):
                names = ", ".join(clip.name for clip in self.clips[:3]) or "no recording"
                raise DictionaryError(
                    f"{names}: there is nothing but silence to learn {self.label!r} from: record it again"
                )
            return heard
        recalled = self._recalled(heard)
        return np.concatenate([recalled, heard]) if len(heard) else recalled

    def _recalled(self, heard: Frames) -> Frames:
        """Return the known templates as frames that weigh as much as the recordings behind them."""
        assert self._known is not None
        ours = sum(clip.seconds for clip in self._known.clips) or 1.0
        theirs = sum(clip.seconds for clip in self.clips[len(self._known.clips) :])
        level = float(heard.sum(dtype=np.float64)) if len(heard) else 1.0
        shares = self._known.energies if self._known.energies.any() else np.ones(len(self._known.labels))
        weights = shares / shares.sum() * level * (ours / theirs if theirs else 1.0)
        return np.asarray((self._known.templates * weights).T, np.float32)

    def _rank(self, V: Frames, frequencies: NDArray[np.float64]) -> int:
        if self.rank is not None:
            if self.rank > len(V):
                raise OptionError(
                    f"rank={self.rank}: the recordings of {self.label!r} have {len(V)} frames that sound; "
                    f"ask for at most {len(V)}"
                )
            return self.rank
        most = min(MOST_TEMPLATES, len(V) // FRAMES_A_TEMPLATE)
        known = len(self._known.labels) if self._known else 1
        return max(known, sufficient_rank(V, frequencies, most, self.divergence, self.seed))


class _Frames:
    """The magnitudes of a recording as the dictionary's settings see them."""

    def __init__(
        self,
        source: SampleSource,
        target: STFT,
        sample_rate: int,
        magnitude_power: float,
        report: Report | None,
    ) -> None:
        self._magnitude_power = magnitude_power
        if source.sample_rate == sample_rate:
            self._matrix, stft = None, target
            self._gain = 1.0
        else:
            stft = _same_window(target, sample_rate, source.sample_rate)
            self._matrix = _interpolation(
                stft.frequencies(source.sample_rate), target.frequencies(sample_rate)
            )
            self._gain = target.win_length / stft.win_length  # as many samples under the window as there
        self._blocks = Blocks(source, stft, scale_exponent=int(np.frexp(source.peak)[1]))
        if report:
            self._blocks = replace(self._blocks, report=report)
        self._silent = source.peak == 0

    def parts(self) -> Iterable[Frames]:
        """Give the frames in order, some seconds at a time, each (frames, bins)."""
        if self._silent:
            return
        for block in self._blocks:
            magnitude = np.ldexp(block.magnitude.mean(axis=0), self._blocks.scale_exponent)
            if self._matrix is not None:
                magnitude = self._gain * (self._matrix @ magnitude)
            yield (magnitude**self._magnitude_power).T.astype(np.float32)


def _same_window(target: STFT, rate: int, other: int) -> STFT:
    """Return settings at another rate whose window lasts as long, on a grid at least twice as fine."""
    length = max(2, round(target.win_length * other / rate))
    hop = max(1, round(target.hop_length * other / rate))
    return STFT(max(16, 2 ** int(np.ceil(np.log2(2 * length)))), hop, length, target.window)


def _interpolation(source: NDArray[np.float64], target: NDArray[np.float64]) -> Any:
    """Return the sparse matrix that interpolates linearly from one grid of frequencies to another."""
    from scipy.sparse import csr_array

    inside = np.flatnonzero(target <= source[-1])
    left = np.minimum(np.searchsorted(source, target[inside], side="right") - 1, len(source) - 2)
    right = (target[inside] - source[left]) / (source[1] - source[0])
    rows, columns = np.concatenate([inside, inside]), np.concatenate([left, left + 1])
    return csr_array((np.concatenate([1 - right, right]), (rows, columns)), (len(target), len(source)))


class _Reservoir:
    """A random choice of the frames that sound, of bounded size whatever the length of the recordings.

    References
    ----------
    J. S. Vitter, "Random sampling with a reservoir", ACM Transactions on Mathematical Software 11(1), 1985.
    """

    def __init__(self, size: int, bins: int, seed: int) -> None:
        self._size, self._random = size, np.random.default_rng(seed)
        self._rows: list[Frames] = []
        self._seen, self._loudest = 0, 0.0

    def add(self, frames: Frames) -> None:
        """Look at more frames."""
        levels = frames.sum(axis=1)
        self._loudest = max(self._loudest, float(levels.max(initial=0.0)))
        for row in frames[levels > _SILENT**2 * self._loudest]:
            self._seen += 1
            if len(self._rows) < self._size:
                self._rows.append(row.copy())
            elif (place := int(self._random.integers(self._seen))) < self._size:
                self._rows[place] = row.copy()

    def frames(self) -> Frames:
        """Return those kept without silence and faults, (frames, bins)."""
        if not self._rows:
            return np.empty((0, 0), np.float32)
        rows = np.array(self._rows)
        levels = rows.sum(axis=1)
        if len(rows) >= _FEW:
            usual = levels <= _OUTLIER * np.quantile(levels, _COMMON)
            rows, levels = rows[usual], levels[usual]
        return np.ascontiguousarray(rows[levels > _SILENT * levels.max()])


def _energy_shares(found: Factorization) -> NDArray[np.float64]:
    W, H = found.W.astype(np.float64), found.H.astype(np.float64)
    power = (W**2).sum(axis=0) * (H**2).sum(axis=1)
    return np.asarray(power / (power.sum() or 1.0))


def _check(**counts: int | None) -> None:
    for name, count in counts.items():
        if count is not None and count < 1:
            raise OptionError(f"{name}={count}: it must be at least 1")
