"""Take a drum loop apart into kick, snare and hi-hat."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from nmfaudio.errors import OptionError
from nmfaudio.masking import soft_masks
from nmfaudio.nmf import Convolution, convolve
from nmfaudio.separators.drum_kit import KIT, drum_template, one_shot_templates
from nmfaudio.sound.stft import STFT, Blocks, Progress, Spectrogram

# A drum whose energy is below this part of the loudest one's, 30 dB, is not in the recording.
_SILENT = 1e-3
_FROM_SHAPES, _FROM_ONE_SHOTS = 40, 20  # updates


@dataclass(frozen=True)
class Drums:
    """Take drums apart, named, without training: kick, snare, hi-hat, and more on wish.

    Convolutive factorization: each drum is one short spectrogram that starts as such a drum sounds at large
    (a kick low, a snare over the middle, a hi-hat high) and then follows the recording. The start is what
    gives the stems their names. For drums alone; your own one-shots are a better start still.

    Parameters
    ----------
    kit : tuple of str
        Drums to look for: kick, snare, hihat, tom, cymbal. Name those that play: one that does not takes part
        of the others, and is left out only where it explains next to nothing.
    oneshots : str, optional
        Folder with a recording of each drum alone (`kick.wav`, `snare.wav`, ...); its file names name the
        stems, and `kit` is not used.
    iterations : int, optional
        Updates: 40 if not given, or 20 from one-shots. More fit the mixture closer and the drums less.
    length : float
        Seconds of a template.
    window : float
        Seconds of the analysis window; its length is the nearest power of two.
    exponent : float
        Of the masks: higher ones separate harder.

    References
    ----------
    P. Smaragdis, "Non-negative matrix factor deconvolution; extraction of multiple sound sources from
    monophonic inputs", ICA 2004. C. Dittmar and D. Gartner, "Real-time transcription and separation of drum
    recordings based on NMF decomposition", DAFx 2014.
    """

    needs_whole: ClassVar[bool] = True

    kit: tuple[str, ...] = field(
        default=("kick", "snare", "hihat"), metadata={"help": f"drums to look for: {', '.join(KIT)}"}
    )
    oneshots: str | None = field(
        default=None, metadata={"help": "folder with a recording of each drum alone, named by it"}
    )
    iterations: int | None = field(
        default=None, metadata={"help": "updates; default: 40, or 20 from one-shots, which start nearer"}
    )
    length: float = field(default=0.116, metadata={"help": "seconds of a template"})
    window: float = field(default=0.046, metadata={"help": "seconds of the analysis window"})
    exponent: float = field(default=2.0, metadata={"help": "of the masks: higher ones separate harder"})

    def __post_init__(self) -> None:
        for name in self.kit:
            if name not in KIT:
                raise OptionError(f"kit={name!r} is not known: use some of {', '.join(KIT)}")
        if not self.kit or len(set(self.kit)) < len(self.kit):
            raise OptionError(f"kit={','.join(self.kit)!r}: it must name at least one drum, and each once")
        if self.oneshots is not None and not Path(self.oneshots).is_dir():
            raise OptionError(
                f"oneshots={self.oneshots!r} is no folder: name one with kick.wav, snare.wav, ..."
            )
        if self.iterations is not None and self.iterations < 1:
            raise OptionError(f"iterations={self.iterations}: it must be at least 1")
        for name in ("length", "window", "exponent"):
            if not 0 < getattr(self, name) < np.inf:
                raise OptionError(f"{name}={getattr(self, name)}: it must be above 0")

    def fit(self, mixture: Blocks) -> DrumsModel:
        """Let the drums' templates follow the mixture."""
        mixture = mixture.with_stft(STFT.lasting(self.window, mixture.sample_rate))
        lags = max(1, round(self.length * mixture.sample_rate / mixture.stft.hop_length))
        names, starts = self._starts(mixture, lags)
        V = stacked_magnitudes(mixture)
        found = self._factorize(V, np.tile(starts, (1, mixture.channels, 1)), mixture)
        return DrumsModel.of(mixture, names, found, self.exponent)

    def _starts(self, mixture: Blocks, lags: int) -> tuple[tuple[str, ...], NDArray[np.float64]]:
        """Return the names of the drums and where each starts, shape (drums, bins, lags)."""
        if self.oneshots is not None:
            return one_shot_templates(Path(self.oneshots), mixture.stft, mixture.sample_rate, lags)
        return self.kit, np.array(
            [drum_template(n, mixture.stft, mixture.sample_rate, lags) for n in self.kit]
        )

    def _factorize(self, V: NDArray[np.float32], W: NDArray[np.float64], mixture: Blocks) -> Convolution:
        iterations = self.iterations or (_FROM_SHAPES if self.oneshots is None else _FROM_ONE_SHOTS)
        H = np.tile(V.sum(axis=0, dtype=np.float64) / len(W), (len(W), 1))
        return convolve(
            V,
            len(W),
            W.shape[2],
            init=(W / W.sum(axis=(1, 2), keepdims=True), H),
            iterations=iterations,
            tolerance=0,
            callback=lambda done, objective: mixture.report(
                Progress("following the drums", done, iterations, objective)
            ),
        )


@dataclass(frozen=True)
class DrumsModel:
    """Drums found: which part of the mixture each explains.

    Attributes
    ----------
    stft : STFT
    sources : tuple of str
    found : Convolution
        The channels' bins stand one after another.
    members : tuple of tuple of int
        Components of each source.
    """

    stft: STFT
    sources: tuple[str, ...]
    found: Convolution
    members: tuple[tuple[int, ...], ...]
    exponent: float
    notes: tuple[str, ...] = ()
    context: int = 0

    @classmethod
    def of(cls, mixture: Blocks, names: tuple[str, ...], found: Convolution, exponent: float) -> DrumsModel:
        """Leave out what is not there, and say so."""
        energies = np.array([_energy(found, k) for k in range(len(names))])
        there = np.flatnonzero((energies > _SILENT * energies.max()) | (energies.max() == 0))
        absent = [name for k, name in enumerate(names) if k not in there]
        notes = [f"{', '.join(names[k] for k in there)} found"]
        if absent:
            notes.append(f"no {' and no '.join(absent)}: nothing within 30 dB of the loudest drum")
        sources, members = tuple(names[k] for k in there), tuple((int(k),) for k in there)
        return cls(mixture.stft, sources, found, members, exponent, ("; ".join(notes),))

    def separate(self, block: Spectrogram) -> dict[str, Spectrogram]:
        """Mask the block by what each drum explains of it."""
        shape = (block.channels, block.values.shape[1], block.frames)
        estimates = {
            name: np.sum([self.found.model(k, block.start, block.stop) for k in members], axis=0)
            for name, members in zip(self.sources, self.members, strict=True)
        }
        shaped = {name: e.reshape(shape) for name, e in estimates.items()}
        return soft_masks(block, shaped, exponent=self.exponent)


def _energy(found: Convolution, component: int) -> float:
    """Return about how much energy a component explains: hits that overlap are counted apart."""
    W, H = found.W[component].astype(np.float64), found.H[component].astype(np.float64)
    return float(np.sum(W**2) * np.sum(H**2))


def stacked_magnitudes(mixture: Blocks) -> NDArray[np.float32]:
    """Read a mixture's magnitudes, the channels' bins one after another, shape (channels * bins, frames)."""
    V = np.empty((mixture.frames, mixture.channels * mixture.stft.bins), np.float32)
    for block in mixture:
        V[block.start : block.stop] = block.magnitude.reshape(V.shape[1], -1).T
    return V.T
