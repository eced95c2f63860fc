"""Fit a separator to a mixture, then apply its model block by block."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from nmfaudio.models.components import Components, without_templates
from nmfaudio.models.contract import Model, Separator
from nmfaudio.models.labelled import LabelledFactorization
from nmfaudio.models.options import Options
from nmfaudio.models.phased import with_phases
from nmfaudio.models.selection import StemChoice
from nmfaudio.nmf.threads import share_out, workers
from nmfaudio.pipeline.checking import (
    checked_model,
    checked_stems,
    naming_plugin,
    summing_to,
    underflow_ignored,
)
from nmfaudio.pipeline.offset_stem import lowest_stem, with_offset
from nmfaudio.pipeline.overlap_add import (
    OverlapAdd,
    StemStream,
    averaged,
    bounds_reaching,
    clipped_first_sample,
)
from nmfaudio.sound.analysis import analysis_blocks
from nmfaudio.sound.blocks import BLOCK_SECONDS, Blocks
from nmfaudio.sound.offset import WithoutOffset
from nmfaudio.sound.progress import Progress
from nmfaudio.sound.source import CachedSource, Samples, SampleSource
from nmfaudio.sound.spectrogram import Spectrogram
from nmfaudio.sound.stft import STFT

DEFAULT_WINDOW_SECONDS = 0.046  # 2048 samples at 44.1 kHz; separators may choose another window
_ALL_STEMS = StemChoice()

Report = Callable[[Progress], None]


@dataclass(frozen=True)
class Fitted:
    """A model of one mixture, ready to give its stems.

    Attributes
    ----------
    mixture : Blocks
        The mixture with the settings of the model, scaled so that its peak lies between 1/2 and 1.
    model : Model
        What the separator found.
    warnings : tuple of str
        Warnings about the mixture and those of the model.
    offset_stem : str or None
        Stem that gets back the offset that was taken out of the mixture; None where there was none.
    """

    mixture: Blocks
    model: Model
    warnings: tuple[str, ...] = ()
    offset_stem: str | None = None

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the stems, in order."""
        return self.model.sources

    @property
    def factorization(self) -> LabelledFactorization | None:
        """The factorization that made the stems, where there is one."""
        return self.model.factorization

    def find_components(self) -> Components:
        """Return templates and activations of all frames; stems without templates are single parts."""
        mixture = self.mixture.with_stft(self.model.stft)
        with underflow_ignored():
            found = self.model.find_components(mixture)
        if found is not None:
            return found
        return without_templates(
            self.sources,
            mixture.stft,
            sample_rate=mixture.sample_rate,
            channels=mixture.channels,
            frames=mixture.frames,
        )

    @property
    def messages(self) -> tuple[str, ...]:
        """Messages of the model, and what became of an offset."""
        source = self.mixture.source
        if source.peak == 0:  # what a model says of silence is not true of anything
            return ()
        if self.offset_stem is None or not isinstance(source, WithoutOffset):
            return self.model.messages
        removed = f"{source.offset.description} was removed before the analysis"
        return (*self.model.messages, f"{removed} and added to the stem {self.offset_stem} again")

    @property
    def unwritten(self) -> tuple[str, ...]:
        """Stems that are not to be written."""
        return self.model.unwritten

    @property
    def written(self) -> tuple[str, ...]:
        """Stems that are to be written."""
        return tuple(name for name in self.sources if name not in self.unwritten)

    @property
    def parts(self) -> tuple[Fitted, ...]:
        """Each model whose stems are averaged, with its own settings."""
        return tuple(Fitted(self.mixture.with_stft(part.stft), part) for part in self.model.parts)

    def stems(self, start: int = 0, stop: int | None = None) -> StemStream:
        """Yield pieces of the mixture and their stems, shape (channels, samples).

        Parameters
        ----------
        start, stop : int
            First sample, and the sample after the last one; by default the whole mixture. The samples of a
            passage are the same bits as those of the whole, because blocks begin at the same frames.
        """
        pieces = self._complete_stems(start, self.mixture.length if stop is None else stop)
        while True:
            with underflow_ignored():  # not around the `yield`: there the settings of the caller hold
                piece = next(pieces, None)
            if piece is None:
                return
            yield piece

    def _complete_stems(self, first: int, last: int) -> StemStream:
        source = self.mixture.source
        if self.offset_stem is None or not isinstance(source, WithoutOffset):
            return self._averaged_stems(first, last)
        return with_offset(self._averaged_stems(first, last), source.original, self.offset_stem, first)

    def _averaged_stems(self, first: int, last: int) -> StemStream:
        parts = self.parts
        if len(parts) == 1:
            return parts[0]._own_stems(first, last)
        # Models with long windows read ahead of the others, which then find the same samples in memory.
        recent = CachedSource(self.mixture.source, 3 * BLOCK_SECONDS * self.mixture.sample_rate)
        sharing = [replace(part, mixture=replace(part.mixture, source=recent)) for part in parts]
        return averaged([part._own_stems(first, last) for part in sharing], self.model.part_weights)

    def _own_stems(self, first: int, last: int) -> StemStream:
        """Yield the samples `first` to `last` and their stems."""
        mixture, exponent = self.mixture, self.mixture.scale_exponent
        bounds = bounds_reaching(mixture, first, last)
        adders = {name: OverlapAdd(mixture) for name in self.sources}
        position = clipped_first_sample(mixture, bounds[0][0])
        for start, stop in bounds:
            stems = self._separated(start, stop)
            pieces = self._synthesised(adders, stems)
            length = next(iter(pieces.values())).shape[1]
            begin, end = max(position, first), min(position + length, last)
            if begin < end:
                part = slice(begin - position, end - position)
                yield (
                    mixture.source.read(begin, end),
                    {name: np.ldexp(piece[:, part], exponent) for name, piece in pieces.items()},
                )
            position += length
            mixture.report(Progress("writing stems", stop, mixture.frames))

    def _synthesised(
        self, adders: dict[str, OverlapAdd], stems: dict[str, Spectrogram]
    ) -> dict[str, Samples]:
        """Add the next frames of all stems, on all cores, and return the samples that are complete."""
        names = self.sources
        with workers(None) as pool:
            pieces = share_out(
                lambda number: adders[names[number]].add(stems[names[number]]), len(names), pool
            )
        return dict(zip(names, pieces, strict=True))

    def _separated(self, start: int, stop: int) -> dict[str, Spectrogram]:
        context = self.model.context
        wide = self.mixture.block(start - context, stop + context)
        stems = {name: stem.cut(start, stop) for name, stem in checked_stems(self.model, wide).items()}
        return summing_to(wide.cut(start, stop), stems, self.model)


@underflow_ignored()
def fit(
    source: SampleSource,
    separator: Separator,
    *,
    report: Report | None = None,
    memory: int = 0,
    phase_rounds: int = 0,
    choice: StemChoice = _ALL_STEMS,
) -> Fitted:
    """Fit a separator to a mixture.

    Parameters
    ----------
    source : SampleSource
        The mixture: an `Audio` or an open `AudioFile`.
    separator : Separator
        The separator with its options.
    report : callable, optional
        Takes a `Progress`; may raise an exception to stop the work.
    memory : int
        Number of bytes that arrays as large as the whole spectrogram may take in memory together; 0 means a
        quarter of the memory of the machine.
    phase_rounds : int
        Number of rounds of refining the phases of the stems.
    choice : StemChoice
        Stems that are wanted.

    Returns
    -------
    Fitted

    Raises
    ------
    SeparatorError
        When the separator fails or breaks its contract.
    OptionError
        When a stem is chosen that does not exist.
    """
    if isinstance(separator, Options) and (known := separator.known_sources()):
        choice.check(known)
    mixture = blocks_of(source, report=report, memory=memory)
    with naming_plugin(separator):
        fitted = separator.fit(mixture)
    model = with_phases(checked_model(fitted, separator), phase_rounds)
    mixture = mixture.with_stft(model.stft)
    warnings = tuple(_mixture_warnings(source, mixture))
    if mixture.source.peak > 0:
        warnings = (*warnings, *model.warnings, *_single_stem_warning(model))
    model = choice.applied_to(model)
    offset_stem = lowest_stem(mixture, model) if isinstance(mixture.source, WithoutOffset) else None
    return Fitted(mixture, model, warnings, offset_stem)


def blocks_of(source: SampleSource, *, report: Report | None = None, memory: int = 0) -> Blocks:
    """Return a mixture as a separator gets it: default settings, peak between 1/2 and 1, no offset."""
    stft = STFT.lasting(DEFAULT_WINDOW_SECONDS, source.sample_rate)
    return analysis_blocks(source, stft, report=report, memory=memory)


def _mixture_warnings(source: SampleSource, mixture: Blocks) -> Iterator[str]:
    if source.peak == 0:
        yield "the mixture is silent, so all stems are silent"
    if source.length < mixture.stft.win_length:
        yield (
            f"the mixture has {source.length} samples, less than one window ({mixture.stft.win_length}): "
            "this is too little to tell sources apart"
        )
    yield from source.warnings


def _single_stem_warning(model: Model) -> Iterator[str]:
    if len(model.sources) == 1:
        reason = f" ({model.messages[0]})" if model.messages else ""
        yield (
            f"nothing was separated: the only stem, {model.sources[0]}, is the whole mixture{reason}. "
            "Ask for a number of sources (sources=2), or use another separator"
        )
