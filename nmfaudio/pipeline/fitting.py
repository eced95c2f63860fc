"""The spine's middle: fit a separator to a mixture, apply its model block by block, check every answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmfaudio.errors import NmfaudioError, SeparatorError
from nmfaudio.models.contract import Components, Model, Separator
from nmfaudio.models.phased import with_phases
from nmfaudio.models.wrappers import as_model
from nmfaudio.sound.audio import Recent, Samples, SampleSource
from nmfaudio.sound.blocks import BLOCK_SECONDS, Blocks
from nmfaudio.sound.progress import Progress
from nmfaudio.sound.spectrogram import Spectrogram
from nmfaudio.sound.stft import STFT

DEFAULT_WINDOW_SECONDS = 0.046  # 2048 samples at 44.1 kHz: what a separator sees unless it chooses its own
_SUM_TOLERANCE = 1e-5  # of the mixture: above it a separator's stems do not sum to the mixture
_SUM_ROUNDING = 1e-9  # below it the difference is rounding; in between it is shared out among the stems

Report = Callable[[Progress], None]


@dataclass(frozen=True)
class Fitted:
    """A model of one mixture, ready to give its stems.

    Attributes
    ----------
    mixture : Blocks
        The mixture at the model's settings; its level is set so that the peak lies within 1/2 and 1.
    model : Model
    warnings : tuple of str
        What the user should know.
    """

    mixture: Blocks
    model: Model
    warnings: tuple[str, ...] = ()

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the stems, in order."""
        return self.model.sources

    @property
    def components(self) -> Components | None:
        """Templates and activations, where the model has some."""
        return self.model.components

    @property
    def messages(self) -> tuple[str, ...]:
        """What the user should know."""
        return self.model.messages

    @property
    def unwritten(self) -> tuple[str, ...]:
        """Stems that nobody asked for."""
        return self.model.unwritten

    @property
    def written(self) -> tuple[str, ...]:
        """Names of the stems that are asked for."""
        return tuple(name for name in self.sources if name not in self.unwritten)

    @property
    def parts(self) -> tuple[Fitted, ...]:
        """The models that were combined, or this one."""
        return tuple(Fitted(self.mixture.with_stft(part.stft), part) for part in self.model.parts)

    def stems(self) -> Iterator[tuple[Samples, dict[str, Samples]]]:
        """Give the mixture and its stems, piece by piece from the start, each (channels, samples)."""
        pieces = self._joint_stems()
        while True:
            with _underflow_ignored():  # not around the `yield`: the caller's own settings hold there
                piece = next(pieces, None)
            if piece is None:
                return
            yield piece

    def _joint_stems(self) -> Iterator[tuple[Samples, dict[str, Samples]]]:
        parts = self.parts
        if len(parts) == 1:
            return parts[0]._own_stems()
        # Models with long windows read ahead of the others, which find the same samples in memory.
        recent = Recent(self.mixture.source, 3 * BLOCK_SECONDS * self.mixture.sample_rate)
        shared = [replace(p, mixture=replace(p.mixture, source=recent)) for p in parts]
        return averaged([part._own_stems() for part in shared])

    def _own_stems(self) -> Iterator[tuple[Samples, dict[str, Samples]]]:
        position = 0
        adders = {name: _OverlapAdd(self.mixture) for name in self.sources}
        for start, stop in self.mixture.bounds:
            block = self._separated(start, stop)
            pieces = {name: adders[name].add(block[name]) for name in self.sources}
            length = next(iter(pieces.values())).shape[1]
            mixture = self.mixture.source.read(position, position + length)
            position += length
            yield (
                mixture,
                {name: np.ldexp(piece, self.mixture.scale_exponent) for name, piece in pieces.items()},
            )
            self.mixture.report(Progress("writing stems", stop, self.mixture.frames))

    def _separated(self, start: int, stop: int) -> dict[str, Spectrogram]:
        context = self.model.context
        wide = self.mixture.block(start - context, stop + context)
        stems = {name: s.cut(start, stop) for name, s in checked_stems(self.model, wide).items()}
        return _summing_to(wide.cut(start, stop), stems, self.model)


def fit(
    source: SampleSource,
    separator: Separator,
    *,
    report: Report | None = None,
    memory: int = 0,
    phase_rounds: int = 0,
) -> Fitted:
    """Fit a separator to a mixture.

    Parameters
    ----------
    source : SampleSource
        The mixture: an `Audio` or an open `AudioFile`.
    separator : Separator
    report : callable, optional
        Takes a `Progress`; may raise to stop the work.
    memory : int
        Bytes that spectrograms of the whole may take in memory; 0 stands for a quarter of what there is.
    phase_rounds : int
        Rounds of refining the stems' phases.

    Returns
    -------
    Fitted

    Raises
    ------
    SeparatorError
        When the separator fails or breaks its contract.
    """
    mixture = blocks_of(source, report=report, memory=memory)
    with _blaming(separator):
        fitted = separator.fit(mixture)
    model = with_phases(_checked_model(fitted, separator), phase_rounds)
    mixture = mixture.with_stft(model.stft)
    return Fitted(mixture, model, (*_warnings(source, mixture), *model.warnings))


def blocks_of(source: SampleSource, *, report: Report | None = None, memory: int = 0) -> Blocks:
    """Return a mixture as a separator is given it: at the default settings, its peak within 1/2 and 1."""
    stft = STFT.lasting(DEFAULT_WINDOW_SECONDS, source.sample_rate)
    mixture = Blocks(source, stft, scale_exponent=int(np.frexp(source.peak)[1]), memory=memory)
    return replace(mixture, report=report) if report else mixture


def checked_stems(model: Model, block: Spectrogram) -> dict[str, Spectrogram]:
    """Ask a model for the stems of a block and check names, shapes and numbers.

    Raises
    ------
    SeparatorError
        Saying what is wrong.
    """
    with _blaming(model):
        stems = model.separate(block)
    if tuple(stems) != tuple(model.sources):
        raise _broken(model, f"gave stems {tuple(stems)}, but its sources are {tuple(model.sources)}")
    for name, stem in stems.items():
        if not isinstance(stem, Spectrogram):
            raise _broken(model, f"gave {type(stem).__name__} for {name!r}: use block.with_values(...)")
        if stem.values.shape != block.values.shape or stem.start != block.start:
            raise _broken(
                model, f"gave {name!r} the shape {stem.values.shape} for a block of {block.values.shape}"
            )
        if not np.isfinite(stem.values).all():
            raise _broken(model, f"gave NaN or infinity in {name!r}")
    return stems


def sum_error(block: Spectrogram, stems: dict[str, Spectrogram]) -> tuple[NDArray[Any], float]:
    """Return what the stems lack to sum to the block, and its largest value relative to the block's."""
    rest = block.values.copy("K")
    for stem in stems.values():
        rest -= stem.values
    level = float(np.abs(block.values).max(initial=0.0))
    worst = float(np.abs(rest).max(initial=0.0))
    return rest, worst / level if level > 0 else float(worst > 0)


def _summing_to(block: Spectrogram, stems: dict[str, Spectrogram], model: Model) -> dict[str, Spectrogram]:
    rest, error = sum_error(block, stems)
    if error > _SUM_TOLERANCE:
        raise _broken(model, f"gave stems that miss the mixture by {error:.1e} of it: end in soft_masks(...)")
    if error < _SUM_ROUNDING:
        return stems
    share = rest / len(stems)
    return {name: stem.with_values(stem.values + share) for name, stem in stems.items()}


def averaged(
    streams: Sequence[Iterator[tuple[Samples, dict[str, Samples]]]],
) -> Iterator[tuple[Samples, dict[str, Samples]]]:
    """Give the mixture and the mean of each stem over several streams, whose pieces may differ in length."""
    left = [next(stream) for stream in streams]
    while True:
        length = min(mixture.shape[1] for mixture, _ in left)
        mean = {name: _mean([stems[name][:, :length] for _, stems in left]) for name in left[0][1]}
        yield left[0][0][:, :length], mean
        for number, (mixture, stems) in enumerate(left):
            left[number] = mixture[:, length:], {name: stem[:, length:] for name, stem in stems.items()}
            while not left[number][0].shape[1]:
                following = next(streams[number], None)
                if following is None:
                    return
                left[number] = following


def _mean(pieces: list[Samples]) -> Samples:
    return np.asarray(np.mean(pieces, axis=0))


class _OverlapAdd:
    """Joins blocks of one stem to samples, each given out once no later frame can reach it."""

    def __init__(self, mixture: Blocks) -> None:
        self._stft, self._frames, self._length = mixture.stft, mixture.frames, mixture.length
        self._tail = np.zeros((mixture.channels, 0))

    def add(self, block: Spectrogram) -> Samples:
        """Take the next frames; return the samples that are complete."""
        samples = self._stft.synthesise(block.values)
        samples[:, : self._tail.shape[1]] += self._tail
        last = block.stop == self._frames
        hops = samples.shape[1] if last else block.frames * self._stft.hop_length
        self._tail = samples[:, hops:]
        first = self._stft.first_sample(block.start)
        return samples[:, max(0, -first) : min(hops, max(0, self._length - first))]


def _underflow_ignored() -> np.errstate:
    """Return a context in which numpy rounds tiny results to zero, even after `np.seterr(all="raise")`."""
    return np.errstate(under="ignore")


class _blaming:
    """Turns whatever a plugin raises into a SeparatorError that names it; an underflow is no error in it."""

    def __init__(self, plugin: object) -> None:
        self._plugin = plugin
        self._arithmetic = _underflow_ignored()

    def __enter__(self) -> None:
        self._arithmetic.__enter__()

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        self._arithmetic.__exit__(kind, error, traceback)
        if isinstance(error, Exception) and not isinstance(error, NmfaudioError | MemoryError):
            raise _broken(self._plugin, f"failed with {type(error).__name__}: {error}") from error


def _broken(plugin: object, fault: str) -> SeparatorError:
    kind = type(plugin)
    return SeparatorError(f"{kind.__module__}.{kind.__qualname__} {fault}")


def _checked_model(fitted: object, separator: Separator) -> Model:
    try:
        model = as_model(fitted)
    except SeparatorError as error:
        raise _broken(separator, str(error)) from None
    sources = model.sources
    if not sources or len(set(sources)) != len(sources):
        raise _broken(separator, f"names its sources {sources}: give each stem a name of its own")
    for name in sources:
        if not name or name.startswith(".") or set(name) & set("/\\\0"):
            raise _broken(separator, f"names a source {name!r}, which cannot be part of a file name")
    return model


def _warnings(source: SampleSource, mixture: Blocks) -> Iterator[str]:
    if source.peak == 0:
        yield "the mixture is silent, so all stems are silent"
    if source.length < mixture.stft.win_length:
        yield (
            f"{source.length} samples are shorter than one window ({mixture.stft.win_length}): "
            "there is too little to tell sources apart"
        )
    if getattr(source, "truncated", False):
        declared = getattr(source, "declared_length", source.length)
        yield f"the file ends early: {source.length} of {declared} samples are there and were used"
