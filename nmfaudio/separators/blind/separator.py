"""Separate without knowing anything of the sources."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmfaudio.errors import OptionError
from nmfaudio.matching import best_pairs
from nmfaudio.models.contract import Components, Model
from nmfaudio.models.masks import normalised_masks, soft_masks
from nmfaudio.nmf import Divergence, Factorization, activate, factorize
from nmfaudio.nmf.factorization import Callback
from nmfaudio.nmf.side_by_side import side_by_side
from nmfaudio.separators.blind.grouping import group_components
from nmfaudio.separators.blind.naming import source_names
from nmfaudio.sound.bands import BANDS_AN_OCTAVE, band_starts, in_bands, over_bins
from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.frames import LEARNED_VALUES, channel_frames
from nmfaudio.sound.progress import Progress
from nmfaudio.sound.spectrogram import Spectrogram
from nmfaudio.sound.stft import STFT

DEFAULT_COMPONENTS = 24
# Part of what many components explain that as many components as sources must explain to stand for them.
SIMPLE_ENOUGH = 0.58
# The same for a number of sources that nobody gave: it must explain so much, and its last component so many
# times what the next one would.
ELBOW_EXPLAINS, ELBOW_BEND = 0.55, 2.2

_ACTIVATION_ITERATIONS = 30  # of them, the templates being known; also in bands

# Of the masks, unless another is asked for.
SIMPLE_EXPONENT, GROUPED_EXPONENT = 1.5, 1.0

# Components are found in bands of a 24th of an octave, which takes a fifth of the time; in all bins, so many
# times as many updates follow. On dense mixtures stems are as good; where notes click, a little worse.
FINER = 0.3
_MOST = 6  # sources that are looked for
_FEW_STARTS = 3
_ONE_ITERATIONS = 20  # a single component converges at once
# To compare numbers of components, so many frames of the spectrogram, evenly spread, and so many updates tell
# as much as all.
_COUNT_FRAMES, _COUNT_ITERATIONS = 1024, 40
_SEED_STRIDE = 1_000_003  # so that seeds 0 and 1 share no start


@dataclass(frozen=True)
class Blind:
    """Separate without knowing anything of the sources: find components, group them by timbre.

    Where each source is a single sound (drums, single notes), as many components as sources explain nearly
    all that many more would, and each is a source. Elsewhere a source plays many sounds: more components are
    found, from several random starts, and those of each start are grouped by the timbre of their templates,
    and by their place where those of several channels stand far apart; the masks of all starts are averaged,
    source by source.

    Parameters
    ----------
    sources : int, optional
        Stems to make; chosen from the data, 2 to 6, if not given.
    components : int, optional
        Components to group; 24 (fewer in files of fewer frames) if not given.
    divergence : str or float
        `"kl"` on magnitudes, `"is"` on powers, `"euclidean"` or any beta in [-1, 3] on magnitudes.
    iterations : int
        Updates of each start in bands of a 24th of an octave; a third as many in all bins follow.
    starts : int
        Random starts.
    window : float
        Seconds of the analysis window; its length is the nearest power of two.
    mask_exponent : float, optional
        Of the masks: higher ones separate harder. If not given, 1.5 where each source is a component, and 1
        where components are grouped: where grouping errs, softer masks do less harm.
    seed : int
        Of the random starts.

    References
    ----------
    P. Smaragdis and J. C. Brown, "Non-negative matrix factorization for polyphonic music transcription",
    WASPAA 2003. M. Spiertz and V. Gnann, "Source-filter based clustering for monaural blind source
    separation", DAFx 2009.
    """

    sources: int | None = field(
        default=None, metadata={"help": "stems to make; default: chosen from the data"}
    )
    components: int | None = field(default=None, metadata={"help": "components to group; default: 24"})
    divergence: str | float = field(
        default="kl", metadata={"help": "kl, is, euclidean, or a beta in [-1, 3]"}
    )
    iterations: int = field(default=100, metadata={"help": "updates of each start"})
    starts: int = field(default=3, metadata={"help": "random starts, whose masks are averaged"})
    window: float = field(default=0.046, metadata={"help": "seconds of the analysis window"})
    mask_exponent: float | None = field(
        default=None, metadata={"help": "of the masks: higher ones separate harder; default: 1.5 or 1"}
    )
    seed: int = field(default=0, metadata={"help": "of the random starts"})

    def __post_init__(self) -> None:
        for name in ("sources", "components", "iterations", "starts"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise OptionError(f"{name}={value}: it must be at least 1")
        if self.seed < 0:
            raise OptionError(f"seed={self.seed}: it must not be negative")
        for name in ("window", "mask_exponent"):
            value = getattr(self, name)
            if value is not None and not 0 < value < np.inf:
                raise OptionError(f"{name}={value}: it must be above 0")
        if self.sources is not None and self.sources > (self.components or DEFAULT_COMPONENTS):
            raise OptionError(
                f"sources={self.sources} are more than components={self.components or DEFAULT_COMPONENTS}: "
                "a source needs at least one"
            )
        Divergence.of(self.divergence)

    def fit(self, mixture: Blocks) -> BlindModel:
        """Find components in the mixture and group them."""
        mixture = mixture.with_stft(STFT.lasting(self.window, mixture.sample_rate))
        return _Search(self, mixture).model()


@dataclass(frozen=True)
class BlindModel(Model):
    """Components of several starts, grouped into the same sources.

    Attributes
    ----------
    stft : STFT
    takes : tuple of Components
        One for each start.
    sources : tuple of str
    mask_exponent : float
        Of the masks.
    messages : tuple of str
    whole : bool
        Whether the components' activations are those of all frames.
    context : int
    """

    stft: STFT
    takes: tuple[Components, ...]
    sources: tuple[str, ...]
    mask_exponent: float
    messages: tuple[str, ...]
    whole: bool = True
    context: int = 0

    @property
    def components(self) -> Components:
        """Those of the first start, for tables and pictures."""
        return self.takes[0]

    def separate(self, block: Spectrogram) -> dict[str, Spectrogram]:
        """Mask the block by the average over all starts."""
        divergence = self.components.factorization.divergence
        V = None if self.whole else (block.magnitude ** (2 if divergence.beta == 0 else 1)).astype(np.float32)
        shares = np.mean([self._shares(take, block, V) for take in self.takes], axis=0)
        return soft_masks(block, dict(zip(self.sources, shares, strict=True)))

    def _shares(self, take: Components, block: Spectrogram, V: NDArray[Any] | None) -> NDArray[Any]:
        """Return each source's mask by one start, shape (sources, channels, bins, frames)."""
        if V is None:
            activations = take.activations[:, :, block.start : block.stop]
        else:
            activations = np.stack([_activations(take, channel) for channel in V])
        members = [take.labels == source for source in range(len(self.sources))]
        power = np.array([take.templates[:, m] @ activations[:, m] for m in members])
        return normalised_masks(power, self.mask_exponent)


class _Search:
    """One fit: the spectrogram in memory, and what is looked for in it."""

    def __init__(self, options: Blind, mixture: Blocks) -> None:
        self.options, self.mixture = options, mixture
        beta = Divergence.of(options.divergence).beta
        self.V = channel_frames(mixture, 2 if beta == 0 else 1, LEARNED_VALUES).T
        self.whole = self.V.shape[1] == mixture.channels * mixture.frames
        self.components = self._count()

    def model(self) -> BlindModel:
        """Find components and say which source each belongs to."""
        sources = self.options.sources
        if self.options.components is not None:
            takes, messages = self._grouped(sources)
        elif sources is None:
            few = self._elbow()
            takes, messages = self._simple(few, "found") if few else self._grouped(None)
        else:
            takes, messages = self._simple_or_grouped(sources)
        first = takes[0]
        frequencies = self.mixture.stft.frequencies(self.mixture.sample_rate)
        names = source_names(first.templates, first.factorization.H, first.labels, frequencies)
        simple = first.factorization.rank == len(names)
        mask_exponent = self.options.mask_exponent or (SIMPLE_EXPONENT if simple else GROUPED_EXPONENT)
        if not self.whole:
            learned = self.V.shape[1] // self.mixture.channels
            messages = (
                *messages,
                f"components learned from {learned} of {self.mixture.frames} frames, evenly spread",
            )
        return BlindModel(self.mixture.stft, tuple(takes), names, mask_exponent, messages, self.whole)

    def _count(self) -> int:
        asked, frames = self.options.components, self.V.shape[1]
        if asked is not None and asked > frames:
            raise OptionError(
                f"components={asked}: the spectrogram has {frames} frames; ask for at most {frames}"
            )
        return asked or max(self.options.sources or 1, min(DEFAULT_COMPONENTS, frames))

    def _simple_or_grouped(self, sources: int) -> tuple[list[Components], tuple[str, ...]]:
        V, iterations = self._sample()
        jobs = [_Job(V, self.components, 0, iterations), *_few(V, sources, iterations)]
        many, *few = self._side_by_side(jobs, "counting components")
        if self._explained(V, _lowest(few), many) > SIMPLE_ENOUGH:
            return self._simple(sources, "asked for")
        return self._grouped(sources)

    def _simple(self, sources: int, why: str) -> tuple[list[Components], tuple[str, ...]]:
        """Let each component be a source."""
        jobs = _few(self.V, sources, self.options.iterations)
        found = _lowest(self._side_by_side(jobs, f"finding {sources} components"))
        shares = Components(found, self.mixture.channels, np.arange(sources)).shares
        labels = np.argsort(np.argsort(-shares, kind="stable"))
        told = f"{sources} sources {why}; each is a single sound, so each is one component"
        return [Components(found, self.mixture.channels, labels)], (told,)

    def _grouped(self, sources: int | None) -> tuple[list[Components], tuple[str, ...]]:
        """Group the components of each start by timbre; bring the sources of all starts into one order."""
        frequencies = self.mixture.stft.frequencies(self.mixture.sample_rate)
        takes: list[Components] = []
        for found in self._found():
            channels = self.mixture.channels
            grouping = group_components(found.W, found.H, frequencies, channels=channels, sources=sources)
            if not takes:
                sources, reason = grouping.sources, grouping.reason
            take = Components(found, self.mixture.channels, grouping.labels)
            takes.append(aligned(take, takes[0]) if takes else take)
        guess = "" if self.options.sources else "; this is a guess: say how many if you know"
        return takes, (f"{reason}{guess}",)

    def _elbow(self) -> int | None:
        """Return the number of components after which more explain little, if there is such a number."""
        if self.components <= _MOST:
            return None
        V, iterations = self._sample()
        jobs = [_Job(V, self.components, 0, iterations), *_few(V, _MOST, iterations)]
        many, *few = self._side_by_side(jobs, "counting sources")
        explained = {1: 0.0, _MOST: self._explained(V, _lowest(few), many)}
        if explained[_MOST] < ELBOW_EXPLAINS:
            return None
        ranks = range(2, _MOST)
        jobs = [job for rank in ranks for job in _few(V, rank, iterations)]
        found = self._side_by_side(jobs, "counting sources")
        for number, rank in enumerate(ranks):
            few = found[number * _FEW_STARTS : (number + 1) * _FEW_STARTS]
            explained[rank] = self._explained(V, _lowest(few), many)
        bends = {j: _bend(explained[j - 1], explained[j], explained[j + 1]) for j in range(2, _MOST)}
        best = max(bends, key=lambda j: bends[j])
        return best if bends[best] > ELBOW_BEND and explained[best] > ELBOW_EXPLAINS else None

    def _sample(self) -> tuple[NDArray[Any], int]:
        """Return frames that suffice to compare numbers of components, and updates that do."""
        V = np.ascontiguousarray(self.V.T[:: -(-self.V.shape[1] // _COUNT_FRAMES)]).T
        return V, min(_COUNT_ITERATIONS, self.options.iterations)

    def _explained(self, V: NDArray[Any], few: Factorization, many: Factorization) -> float:
        """Return how much of what many components explain beyond one is explained by few."""
        one = factorize(V, 1, divergence=self.options.divergence, iterations=_ONE_ITERATIONS)
        gain = one.objective[-1] - many.objective[-1]
        return float((one.objective[-1] - few.objective[-1]) / gain) if gain > 0 else 1.0

    def _found(self) -> list[Factorization]:
        """Find components in bands first, and begin in all bins with what was found there."""
        options, starts = self.options, _starts(self.V)
        banded, mean = _banded(self.V, starts), self.V.mean(axis=1, dtype=np.float64)
        finer = max(1, round(FINER * options.iterations))

        def start(number: int, threads: int, callback: Callback) -> Factorization:
            job = _Job(banded, self.components, number, options.iterations)
            found = self._factorize(job, threads, callback)
            init = over_bins(found.W, starts, mean), found.H
            job = _Job(self.V, self.components, number, finer, init)
            done = options.iterations
            return self._factorize(job, threads, lambda more, objective: callback(done + more, objective))

        total = options.starts * (options.iterations + finer)
        tasks = [partial(start, number) for number in range(options.starts)]
        return side_by_side(tasks, self._teller(f"finding components, {options.starts} starts", total))

    def _side_by_side(self, jobs: list[_Job], stage: str) -> list[Factorization]:
        tell = self._teller(stage, sum(job.iterations for job in jobs))
        return side_by_side([partial(self._factorize, job) for job in jobs], tell)

    def _teller(self, stage: str, total: int) -> Callable[[int, float], None]:
        def tell(done: int, objective: float) -> None:
            self.mixture.report(Progress(stage, done, total, objective if np.isfinite(objective) else None))

        return tell

    def _factorize(self, job: _Job, threads: int, callback: Callback) -> Factorization:
        return factorize(
            job.V,
            job.rank,
            init=job.init,
            divergence=self.options.divergence,
            seed=self.options.seed + _SEED_STRIDE * job.start,
            iterations=job.iterations,
            tolerance=0,
            threads=threads,
            callback=callback,
        )


@dataclass(frozen=True)
class _Job:
    """A factorization to make: of what, of how many components, from which random start."""

    V: NDArray[Any]
    rank: int
    start: int
    iterations: int
    init: str | tuple[NDArray[Any], NDArray[Any]] = "random"


def _few(V: NDArray[Any], rank: int, iterations: int) -> list[_Job]:
    """Return several starts: of few components a single one is often a bad one."""
    return [_Job(V, rank, start, iterations) for start in range(_FEW_STARTS)]


def _lowest(found: list[Factorization]) -> Factorization:
    return min(found, key=lambda one: float(one.objective[-1]))


def _activations(take: Components, V: NDArray[Any]) -> NDArray[Any]:
    """Return the activations of a take's templates in one channel, (bins, frames): each frame by itself."""
    found = take.factorization
    starts = _starts(V)
    return activate(
        _banded(V, starts),
        in_bands(found.W, starts),
        divergence=found.divergence,
        iterations=_ACTIVATION_ITERATIONS,
        tolerance=0,
        level=1.0,
    ).H


def _starts(V: NDArray[Any]) -> NDArray[np.intp]:
    """Return the first bin of each band of V, (bins, frames)."""
    return band_starts(np.arange(len(V), dtype=np.float64), BANDS_AN_OCTAVE)


def _banded(V: NDArray[Any], starts: NDArray[np.intp]) -> NDArray[np.float32]:
    """Return V in bands, frame after frame in memory."""
    return np.ascontiguousarray(in_bands(V, starts).T).T


def aligned(take: Components, reference: Components) -> Components:
    """Renumber the sources of a take such that each resembles the source of that number in the reference.

    Resemblance is the correlation of the sources' spectrograms, found without making them: the inner product
    of two products of templates and activations is that of their Gram matrices.
    """
    inner = _inner(reference, take)
    norms = np.sqrt(np.outer(np.diag(_inner(reference, reference)), np.diag(_inner(take, take))))
    correlation = np.divide(inner, norms, out=np.zeros_like(inner), where=norms > 0)
    ours, theirs = best_pairs(correlation)
    numbers = np.empty(len(theirs), np.intp)
    numbers[theirs] = ours
    return replace(take, labels=numbers[take.labels])


def _inner(a: Components, b: Components) -> NDArray[np.float64]:
    """Inner products of the spectrograms of all sources of a and b, shape (sources of a, sources of b)."""
    templates = a.templates.T.astype(np.float64) @ b.templates
    activations = a.factorization.H.astype(np.float64) @ b.factorization.H.T
    members = [np.eye(int(c.labels.max()) + 1)[c.labels] for c in (a, b)]
    return np.asarray(members[0].T @ (templates * activations) @ members[1])


def _bend(before: float, here: float, after: float) -> float:
    """How much more this component explains than the next."""
    return (here - before) / max(after - here, 1e-9)
