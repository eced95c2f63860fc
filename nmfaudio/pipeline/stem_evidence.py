"""Evidence about each stem: energies are measured while it is written, alternatives on some passages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from nmfaudio.models.contract import Model
from nmfaudio.pipeline.checking import underflow_ignored
from nmfaudio.pipeline.confidence import Confidence, Evidence, judged
from nmfaudio.pipeline.fitting import Fitted
from nmfaudio.sound.source import Samples

_PASSAGES, _PASSAGE_FRAMES = 2, 64  # evenly spaced frames of the mixture on which alternatives are compared
_MOST_ALTERNATIVES = 4


class EvidenceMeter:
    """Measures energies of a mixture and its stems while they are written.

    Parameters
    ----------
    fitted : Fitted
        The model whose stems are measured.
    """

    def __init__(self, fitted: Fitted) -> None:
        self._fitted = fitted
        self._mixture = 0.0
        self._sums = {name: np.zeros(2) for name in fitted.sources}

    def watching(
        self, pieces: Iterable[tuple[Samples, Mapping[str, Samples]]]
    ) -> Iterator[tuple[Samples, Mapping[str, Samples]]]:
        """Yield the same pieces of the mixture and its stems, and measure them from the start."""
        self._mixture = 0.0
        self._sums = {name: np.zeros(2) for name in self._sums}
        for mixture, stems in pieces:
            self._mixture += float(np.vdot(mixture, mixture))
            for name, sums in self._sums.items():
                sums += np.vdot(stems[name], stems[name]), np.vdot(mixture, stems[name])
            yield mixture, stems

    def confidence(self) -> dict[str, Confidence]:
        """Return the confidence in each stem that was measured; nothing is said of the stems of silence."""
        if self._mixture == 0:
            return {}
        model = self._fitted.model
        return judged(self.evidence(), model.way_out, model.doubt)

    def evidence(self) -> dict[str, Evidence]:
        """Return the evidence about each stem."""
        total = sum(float(stem) for stem, _ in self._sums.values())
        spread = spreads(self._fitted)
        return {
            name: Evidence.of_energies(
                mixture=self._mixture,
                stem=float(stem),
                product=float(product),
                total=total,
                spread=spread.get(name, 0.0),
            )
            for name, (stem, product) in self._sums.items()
        }


@underflow_ignored()
def spreads(fitted: Fitted) -> dict[str, float]:
    """Return how much the alternatives of a model differ in each stem; empty where there are none.

    Parameters
    ----------
    fitted : Fitted

    Returns
    -------
    dict of str to float
        Energy of the differences from the mean of the alternatives, relative to the energy of that mean or of
        the rest, whichever is smaller. For a model of several parts, the mean over the parts that have
        alternatives.
    """
    measured = [
        _spreads_of_part(part, alternatives)
        for part in fitted.parts
        if len(alternatives := part.model.alternatives[:_MOST_ALTERNATIVES]) > 1
    ]
    if not measured:
        return {}
    return dict(zip(fitted.sources, np.mean(measured, axis=0).tolist(), strict=True))


def _spreads_of_part(part: Fitted, alternatives: tuple[Model, ...]) -> NDArray[np.float64]:
    """Return the spread of each stem over alternatives with the same STFT settings, shape (sources,)."""
    sums = np.zeros((3, len(part.sources)))
    for start in _passages(part.mixture.frames):
        stop, context = min(start + _PASSAGE_FRAMES, part.mixture.frames), part.model.context
        block = part.mixture.block(start - context, stop + context)
        separated = [list(model.separate(block).values()) for model in alternatives]
        for number in range(len(part.sources)):
            sums[:, number] += _differences(
                np.stack([stems[number].values for stems in separated]), block.values
            )
    difference, stem, rest = sums
    smaller = np.minimum(stem, rest)
    return np.divide(difference, smaller, out=np.zeros_like(smaller), where=smaller > 0)


def _passages(frames: int) -> list[int]:
    """Return the first frame of each passage that is compared."""
    count = max(1, min(_PASSAGES, frames // _PASSAGE_FRAMES))
    return [int(start) for start in np.linspace(0, max(0, frames - _PASSAGE_FRAMES), count)]


def _differences(stems: NDArray[np.complex128], mixture: NDArray[np.complex128]) -> tuple[float, ...]:
    """Return energies: of the differences from the mean stem (mean over stems), of the mean, of the rest."""
    mean = stems.mean(axis=0)
    return _energy(stems - mean) / len(stems), _energy(mean), _energy(mixture - mean)


def _energy(values: NDArray[np.complex128]) -> float:
    return float(np.vdot(values, values).real)
