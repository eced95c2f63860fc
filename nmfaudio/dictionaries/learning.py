"""Learning the templates of a source from recordings of the source alone, with bounded memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from nmfaudio.dictionaries.corpus import Recording, Remote, Settings, learn_corpus
from nmfaudio.dictionaries.dictionary import Dictionary
from nmfaudio.dictionaries.format import Clip
from nmfaudio.dictionaries.labels import check_label
from nmfaudio.dictionaries.pitch import template_pitches
from nmfaudio.dictionaries.submission import Client, ThisProcess
from nmfaudio.dictionaries.sufficient_rank import FRAMES_PER_TEMPLATE, MOST_TEMPLATES, sufficient_rank
from nmfaudio.dictionaries.training_frames import Frames, Report, Reservoir, Spectra
from nmfaudio.errors import DictionaryError, OptionError
from nmfaudio.nmf import Divergence, Factorization, factorize
from nmfaudio.sound.audio import Audio
from nmfaudio.sound.files import AudioFile
from nmfaudio.sound.progress import Progress
from nmfaudio.sound.source import SampleSource
from nmfaudio.sound.stft import STFT
from nmfaudio.sound.window_length import check_window

WINDOW_SECONDS = 0.093  # 4096 samples at 44.1 kHz
KEPT_FRAMES = 2048  # greatest number of frames to learn from: a random choice of all frames with sound

Clips = Iterable[Recording] | Recording


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
    whole_corpus: bool = False,
    minibatch: bool = False,
    passes: int = 1,
    client: Client | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    report: Report | None = None,
) -> Dictionary:
    """Learn a dictionary of one source from recordings of the source alone.

    The recordings may have different sample rates and numbers of channels. They are streamed, so memory does
    not grow with their length. Silent frames, and frames far louder than all others (clicks, faults), are
    left out.

    Parameters
    ----------
    clips : Audio, path-like, or iterable of these
        The recordings.
    label : str
        Name of the source.
    rank : int, optional
        Number of templates. Default: the lowest number that explains nearly as much as 40 templates.
    sample_rate : int, optional
        Sample rate of the dictionary in Hz. Default: the rate of the first recording.
    window : float
        Length of the analysis window in seconds; the nearest power of two in samples is used.
    divergence : str or float
        `"kl"` on magnitudes, `"is"` on powers, or any beta in [-1, 3] on magnitudes.
    iterations : int
        Greatest number of updates.
    seed : int
        Seed of the random start, and of the choice of frames in long recordings.
    add_to : Dictionary, optional
        Dictionary of the same source that was learned before. Its templates count as much as the seconds of
        its recordings.
    whole_corpus : bool
        Whether to learn from all frames, not from a random choice of 2048. Without a client, all of them are
        kept in memory, 8 kB each at 44.1 kHz.
    minibatch : bool
        Whether to learn from all frames in passes over random batches. No frame is kept, so memory does not
        grow with the corpus. The templates fit less well than after all epochs; see `docs/cluster.md`.
    passes : int
        Number of passes over the corpus with `minibatch`.
    client : distributed.Client, optional
        Connection to a Dask cluster, whose workers learn from the whole corpus. The templates are the same
        bits as with `whole_corpus` on one machine, for any number of workers.
    checkpoint : path-like, optional
        File for the templates of each epoch of a whole corpus: a later call with the same recordings and
        settings goes on from it. It is removed at the end.
    report : callable, optional
        Function that takes a `Progress`; it may raise an exception to stop the work.

    Returns
    -------
    Dictionary

    Raises
    ------
    AudioFileError
        When a file cannot be read.
    DictionaryError
        When all recordings are silent, or when the label cannot be used.
    OptionError
        When an option is outside its range.

    Examples
    --------
    >>> kick = learn("audio_samples/drum_loop/kick.flac", "kick")
    >>> kick.sources, kick.sample_rate
    (('kick',), 44100)
    """
    if whole_corpus or minibatch or client is not None:
        settings = _corpus_settings(add_to, label, rank, sample_rate, window, divergence, iterations, seed)
        _check(passes=passes)
        settings = replace(settings, minibatch=minibatch, passes=passes)
        recordings: list[Recording] = (
            [clips] if isinstance(clips, Audio | Remote | str | os.PathLike) else list(clips)
        )
        place = None if checkpoint is None else Path(checkpoint)
        return learn_corpus(recordings, settings, client or ThisProcess(), checkpoint=place, report=report)
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
    for clip in [clips] if isinstance(clips, Audio | Remote | str | os.PathLike) else clips:
        learner.partial_fit(clip)
    return learner.dictionary()


def _corpus_settings(
    add_to: Dictionary | None,
    label: str,
    rank: int | None,
    sample_rate: int | None,
    window: float,
    divergence: str | float,
    iterations: int,
    seed: int,
) -> Settings:
    if add_to is not None:
        raise OptionError(
            "add_to: a whole corpus is learned from its start: name all recordings again", option="add_to"
        )
    checked = Learner(
        label,
        rank=rank,
        sample_rate=sample_rate,
        window=window,
        divergence=divergence,
        iterations=iterations,
        seed=seed,
    )
    return Settings(checked.label, rank, sample_rate, window, checked.divergence, iterations, seed)


class Learner:
    """Learns a source step by step: `partial_fit` adds a recording, `dictionary` returns the result so far.

    Parameters
    ----------
    label, rank, sample_rate, window, divergence, iterations, seed, report
        As for `learn`.

    Raises
    ------
    OptionError
        When an option is outside its range.
    DictionaryError
        When the label cannot be used.

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
        check_window(window)
        if seed < 0:
            raise OptionError(f"seed={seed}: it must be at least 0", option="seed")
        self.label, self.rank, self.window, self.iterations = check_label(label), rank, window, iterations
        self.divergence, self.seed, self.report = Divergence.of(divergence), seed, report
        self.sample_rate = sample_rate
        self.clips: list[Clip] = []
        self.silent: list[str] = []  # names of silent recordings
        self._reservoir: Reservoir | None = None
        self._earlier: Dictionary | None = None

    @property
    def magnitude_power(self) -> float:
        """Power to which magnitudes are raised before they are factored."""
        return 2.0 if self.divergence.beta == 0 else 1.0

    def recall(self, dictionary: Dictionary) -> Self:
        """Continue from an earlier dictionary of this source: its templates count as frames of its clips.

        Raises
        ------
        OptionError
            When the dictionary is not one of this source alone.
        """
        if dictionary.sources != (self.label,):
            raise OptionError(
                f"the dictionary has the sources {', '.join(dictionary.sources)}, not {self.label!r} alone: "
                "pick the source, or use its label",
                option="add_to",
            )
        self.sample_rate = self.sample_rate or dictionary.sample_rate
        self._earlier = dictionary.to_settings(self.sample_rate, self._stft(self.sample_rate))
        self.clips = list(dictionary.clips)
        return self

    def partial_fit(self, clip: Recording) -> Self:
        """Add a recording.

        Raises
        ------
        AudioFileError
            When the file cannot be read.
        """
        if isinstance(clip, Audio):
            return self._add(clip, clip.name, lambda: "")
        if isinstance(clip, Remote):
            with clip.fetched() as path:
                return self.partial_fit(path)
        with AudioFile(clip) as file:
            return self._add(file, Path(clip).name, file.sha256)

    def _add(self, source: SampleSource, name: str, sha256: Callable[[], str]) -> Self:
        self.sample_rate = self.sample_rate or source.sample_rate
        target = self._stft(self.sample_rate)
        if self._reservoir is None:
            self._reservoir = Reservoir(KEPT_FRAMES, self.seed)
        spectra = Spectra(source, target, self.sample_rate, self.magnitude_power, self.report)
        for frames in spectra.blocks():
            self._reservoir.add(frames)
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
        """Return the dictionary learned from the recordings so far.

        Raises
        ------
        DictionaryError
            When all recordings are silent.
        OptionError
            When `rank` is greater than the number of frames with sound.
        """
        V = self._training_frames()
        assert self.sample_rate is not None
        stft = self._stft(self.sample_rate)
        frequencies = stft.frequencies(self.sample_rate)
        rank = self._rank(V, frequencies)
        factorization = factorize(
            V.T,
            rank,
            divergence=self.divergence,
            init="random",
            iterations=self.iterations,
            seed=self.seed,
            callback=self._progress,
        )
        used = np.flatnonzero(factorization.H.any(axis=1))
        templates = factorization.W[:, used]
        return Dictionary(
            templates,
            (self.label,) * len(used),
            self.sample_rate,
            stft,
            self.magnitude_power,
            self.divergence.beta,
            self.seed,
            _energy_shares(factorization)[used].astype(np.float32),
            template_pitches(templates ** (1 / self.magnitude_power), frequencies),
            tuple(self.clips),
        )

    def _progress(self, done: int, objective: float) -> None:
        if self.report:
            self.report(Progress(f"learning {self.label}", done, self.iterations, objective))

    def _training_frames(self) -> Frames:
        """Return the frames to learn from, shape (frames, bins)."""
        new = self._reservoir.frames() if self._reservoir else np.empty((0, 0), np.float32)
        if self._earlier is None:
            if not len(new):
                names = ", ".join(clip.name for clip in self.clips[:3]) or "no recording"
                raise DictionaryError(
                    f"{names}: there is nothing but silence to learn {self.label!r} from: record it again"
                )
            return new
        earlier = self._frames_of(self._earlier, new)
        return np.concatenate([earlier, new]) if len(new) else earlier

    def _frames_of(self, earlier: Dictionary, new: Frames) -> Frames:
        """Return the earlier templates as frames that weigh as much as the recordings behind them."""
        earlier_seconds = sum(clip.seconds for clip in earlier.clips) or 1.0
        new_seconds = sum(clip.seconds for clip in self.clips[len(earlier.clips) :])
        level = float(new.sum(dtype=np.float64)) if len(new) else 1.0
        shares = earlier.energies if earlier.energies.any() else np.ones(len(earlier.labels))
        weights = shares / shares.sum() * level * (earlier_seconds / new_seconds if new_seconds else 1.0)
        return np.asarray((earlier.templates * weights).T, np.float32)

    def _rank(self, V: Frames, frequencies: NDArray[np.float64]) -> int:
        if self.rank is not None:
            if self.rank > len(V):
                raise OptionError(
                    f"rank={self.rank}: the recordings of {self.label!r} have {len(V)} frames with sound: "
                    f"use at most {len(V)}",
                    option="rank",
                )
            return self.rank
        most = min(MOST_TEMPLATES, len(V) // FRAMES_PER_TEMPLATE)
        least = len(self._earlier.labels) if self._earlier else 1
        return max(least, sufficient_rank(V, frequencies, most, self.divergence, self.seed))


def _energy_shares(factorization: Factorization) -> NDArray[np.float64]:
    """Return the part of the energy that each component has; overlaps of components are ignored."""
    W, H = factorization.W.astype(np.float64), factorization.H.astype(np.float64)
    power = (W**2).sum(axis=0) * (H**2).sum(axis=1)
    return np.asarray(power / (power.sum() or 1.0))


def _check(**counts: int | None) -> None:
    for name, count in counts.items():
        if count is not None and count < 1:
            raise OptionError(f"{name}={count}: it must be at least 1", option=name)
