"""Separate by what was learned of the sources beforehand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmfaudio.dictionary import RESIDUAL, Dictionary
from nmfaudio.errors import OptionError
from nmfaudio.nmf import factorize
from nmfaudio.separators.combination import Combination
from nmfaudio.separators.contract import Model
from nmfaudio.separators.selection import check_selection, select
from nmfaudio.separators.templates import TemplateModel, stacked
from nmfaudio.sound.stft import STFT, Blocks, Progress

# Seconds of the windows whose stems are averaged where part of the sources is unknown.
FREE_WINDOWS = (0.0929, 0.0464, 0.0116)
FREE_FRAMES = 4096  # from which free templates are learned, spread over the mixture
_COST = 0.1  # nepers of activation for each semitone of transposition


@dataclass(frozen=True)
class FromDictionary:
    """Separate by templates that were learned of the sources beforehand, and free ones for what is unknown.

    Parameters
    ----------
    dictionary : str, tuple of str, or Dictionary
        Files that `nmfaudio learn` made, or what they hold. Other settings than the mixture's are converted.
    free : int
        Templates to learn from the mixture itself; what they explain is the stem `residual`.
    transpose : int
        Semitones up and down by which learned templates may move to reach notes that were not learned, up to
        2; the masks with and without are averaged.
    exponent : float
        Of the masks: higher ones separate harder.
    iterations : int
        Updates of the activations.
    seed : int
        Of the free templates' start.
    only, without : tuple of str
        Stems to keep; or sources to leave out of a single stem. The stems then do not sum to the mixture.

    References
    ----------
    P. Smaragdis, B. Raj and M. Shashanka, "Supervised and semi-supervised separation of sounds from
    single-channel mixtures", ICA 2007.
    """

    dictionary: str | tuple[str, ...] | Dictionary = field(
        metadata={"help": "files made by `nmfaudio learn`"}
    )
    free: int = field(default=0, metadata={"help": "templates for what the dictionary does not know"})
    transpose: int = field(default=2, metadata={"help": "semitones that templates may move, 0 to 2"})
    exponent: float = field(default=1.5, metadata={"help": "of the masks: higher ones separate harder"})
    iterations: int = field(default=60, metadata={"help": "updates of the activations"})
    seed: int = field(default=0, metadata={"help": "of the free templates' start"})
    only: tuple[str, ...] = field(default=(), metadata={"help": "stems to keep; default: all"})
    without: tuple[str, ...] = field(default=(), metadata={"help": "sources to leave out of one stem"})

    def __post_init__(self) -> None:
        if self.free < 0 or self.seed < 0:
            raise OptionError(f"free={self.free}, seed={self.seed}: they must not be negative")
        if not 0 <= self.transpose <= 2:
            raise OptionError(f"transpose={self.transpose}: use 0, 1 or 2 semitones")
        if self.iterations < 1 or not 0 < self.exponent < np.inf:
            raise OptionError(f"iterations={self.iterations}, exponent={self.exponent}: they must be above 0")

    def fit(self, mixture: Blocks) -> Model:
        """Bring the dictionary to the mixture's settings, and learn free templates if asked for."""
        known = loaded(self.dictionary)
        check_selection(self.only, self.without, known.sources + ((RESIDUAL,) if self.free else ()))
        model = self._free(known, mixture) if self.free else self._supervised(known, mixture)
        return select(model, self.only, self.without)

    def _supervised(self, known: Dictionary, mixture: Blocks) -> Model:
        return self._known(known.to_settings(mixture.sample_rate), mixture)

    def _free(self, known: Dictionary, mixture: Blocks) -> Model:
        models = []
        for number, seconds in enumerate(FREE_WINDOWS):
            stft = STFT.lasting(seconds, mixture.sample_rate)
            view = mixture.with_stft(stft)
            stage = f"learning the rest, window {number + 1} of {len(FREE_WINDOWS)}"
            models.append(self._freed(known.to_settings(mixture.sample_rate, stft), view, stage))
        return Combination(tuple(models))

    def _known(self, dictionary: Dictionary, mixture: Blocks) -> TemplateModel:
        """Return a model of the dictionary alone, hedged with transposed templates."""
        groups = [dictionary.templates[:, members] for members in dictionary.members.values()]
        takes = [stacked(groups)]
        if self.transpose:
            moves = [move for move in range(-self.transpose, self.transpose + 1) if move]
            takes.append(stacked([_reaching(group, moves) for group in groups]))
        return self._model(dictionary, dictionary.sources, tuple(takes), mixture)

    def _freed(self, dictionary: Dictionary, mixture: Blocks, stage: str) -> TemplateModel:
        """Return a model of the dictionary and of free templates, which are learned beside it."""
        V = _some_frames(mixture, dictionary.exponent)
        free = min(self.free, max(1, V.shape[1]))
        found = factorize(
            V,
            len(dictionary.labels) + free,
            divergence=dictionary.beta,
            frozen=dictionary.templates,
            seed=self.seed,
            iterations=self.iterations,
            tolerance=0,
            callback=lambda done, objective: mixture.report(
                Progress(stage, done, self.iterations, objective)
            ),
        )
        groups = [dictionary.templates[:, members] for members in dictionary.members.values()]
        takes = (stacked([*groups, found.W[:, len(dictionary.labels) :]]),)
        return self._model(dictionary, (*dictionary.sources, RESIDUAL), takes, mixture)

    def _model(
        self, dictionary: Dictionary, sources: tuple[str, ...], takes: Any, mixture: Blocks
    ) -> TemplateModel:
        return TemplateModel(
            dictionary.stft,
            sources,
            takes,
            self.exponent,
            dictionary.exponent,
            dictionary.beta,
            self.iterations,
            dictionary.stft.bins,
        )


def loaded(dictionary: str | Sequence[str] | Dictionary) -> Dictionary:
    """Return a dictionary, read from one file or joined from several.

    Raises
    ------
    DictionaryError
        For a file that is no dictionary, or when two have a source of the same name.
    """
    if isinstance(dictionary, Dictionary):
        return dictionary
    paths = [dictionary] if isinstance(dictionary, str) else dictionary
    return Dictionary.join([Dictionary.load(path) for path in paths])


def _reaching(templates: NDArray[Any], moves: list[int]) -> NDArray[Any]:
    """Return templates with transposed copies, which cost a little more activation."""
    moved = [np.exp(-_COST * abs(move)) * transposed(templates, move) for move in moves]
    return np.hstack([templates, *moved])


def transposed(templates: NDArray[Any], semitones: float) -> NDArray[np.float32]:
    """Return templates moved up or down in frequency, each column with the sum 1.

    Parameters
    ----------
    templates : ndarray, shape (bins, components)
    semitones : float

    Examples
    --------
    >>> transposed(np.eye(33)[:, [10]], 12).argmax()
    np.int64(20)
    """
    bins = np.arange(len(templates))
    source = bins / 2 ** (semitones / 12)
    left = np.minimum(source.astype(np.intp), len(bins) - 1)
    right, part = np.minimum(left + 1, len(bins) - 1), (source - left)[:, None]
    moved = np.where(source[:, None] < len(bins), (1 - part) * templates[left] + part * templates[right], 0)
    total = moved.sum(axis=0)
    return np.asarray(np.divide(moved, total, out=np.zeros_like(moved), where=total > 0), np.float32)


def _some_frames(mixture: Blocks, power: float) -> NDArray[np.float32]:
    """Return magnitudes to a power, mean over channels, of frames spread over the mixture: (bins, frames)."""
    step = max(1, -(-mixture.frames // FREE_FRAMES))
    parts = [
        block.magnitude[:, :, (-block.start) % step :: step].mean(axis=0).T.astype(np.float32) ** power
        for block in mixture
    ]
    return np.ascontiguousarray(np.concatenate(parts), np.float32).T
