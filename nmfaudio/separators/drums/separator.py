"""Take a drum loop apart into kick, snare and hi-hat."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nmfaudio.errors import OptionError
from nmfaudio.models.contract import Model
from nmfaudio.models.masks import soft_masks
from nmfaudio.nmf import Convolution, convolve
from nmfaudio.separators.drums.kit import KIT, drum_template, one_shot_templates
from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.frames import stacked_channels
from nmfaudio.sound.progress import Progress
from nmfaudio.sound.spectrogram import Spectrogram
from nmfaudio.sound.stft import STFT

# A drum whose energy is below this part of the loudest one's, 30 dB, is not in the recording.
_SILENT = 1e-3
_FROM_SHAPES, _FROM_ONE_SHOTS = 40, 20  # updates
_BETWEEN = 0.05  # of a hit's start: where no onset is seen, a drum may still sound
_PIECE = 512  # frames that are worked on at a time
OTHER = "other"


@dataclass(frozen=True)
class Drums:
    """Take drums apart, named, without training: kick, snare, hi-hat, and more on wish.

    Convolutive factorization: each drum is one short spectrogram that starts as such a drum sounds at large
    (a kick low, a snare over the middle, a hi-hat high) and then follows the recording. The start is what
    gives the stems their names. Your own one-shots are a better start still. Where other instruments play
    along, `others` templates of a single frame follow them, and drums start from the onsets of the mixture.

    Parameters
    ----------
    kit : tuple of str
        Drums to look for: kick, snare, hihat, tom, cymbal. Name those that play: one that does not takes part
        of the others, and is left out only where it explains next to nothing.
    oneshots : str, optional
        Folder with a recording of each drum alone (`kick.wav`, `snare.wav`, ...); its file names name the
        stems, and `kit` is not used.
    others : int
        Templates for other instruments, which are the stem `other`; some 10 where any play.
    seed : int
        Of the start of these.
    iterations : int, optional
        Updates: 40 if not given, or 20 from one-shots. More fit the mixture closer and the drums less.
    length : float
        Seconds of a template.
    window : float
        Seconds of the analysis window; its length is the nearest power of two.
    mask_exponent : float
        Of the masks: higher ones separate harder.

    References
    ----------
    P. Smaragdis, "Non-negative matrix factor deconvolution; extraction of multiple sound sources from
    monophonic inputs", ICA 2004. C. Dittmar and D. Gartner, "Real-time transcription and separation of drum
    recordings based on NMF decomposition", DAFx 2014. C.-W. Wu and A. Lerch, "Drum transcription using
    partially fixed non-negative matrix factorization with template adaptation", ISMIR 2015 (templates for
    what is not drums).
    """

    needs_whole: ClassVar[bool] = True

    kit: tuple[str, ...] = field(
        default=("kick", "snare", "hihat"), metadata={"help": f"drums to look for: {', '.join(KIT)}"}
    )
    oneshots: str | None = field(
        default=None, metadata={"help": "folder with a recording of each drum alone, named by it"}
    )
    others: int = field(
        default=0, metadata={"help": "templates for other instruments, the stem `other`; some 10 if any play"}
    )
    seed: int = field(default=0, metadata={"help": "of the start of these"})
    iterations: int | None = field(
        default=None, metadata={"help": "updates; default: 40, or 20 from one-shots, which start nearer"}
    )
    length: float = field(default=0.116, metadata={"help": "seconds of a template"})
    window: float = field(default=0.046, metadata={"help": "seconds of the analysis window"})
    mask_exponent: float = field(default=2.0, metadata={"help": "of the masks: higher ones separate harder"})

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
        if self.others < 0 or self.seed < 0:
            raise OptionError(f"others={self.others}, seed={self.seed}: they must not be negative")
        for name in ("length", "window", "mask_exponent"):
            if not 0 < getattr(self, name) < np.inf:
                raise OptionError(f"{name}={getattr(self, name)}: it must be above 0")

    def fit(self, mixture: Blocks) -> DrumsModel:
        """Let the drums' templates follow the mixture."""
        mixture = mixture.with_stft(STFT.lasting(self.window, mixture.sample_rate))
        lags = max(1, round(self.length * mixture.sample_rate / mixture.stft.hop_length))
        names, starts = self._starts(mixture, lags)
        V, W = stacked_channels(mixture), np.tile(starts, (1, mixture.channels, 1))
        W /= W.sum(axis=(1, 2), keepdims=True)
        H = np.tile(V.sum(axis=0, dtype=np.float64) / len(W), (len(W), 1))
        if self.others:
            W, H = self._with_others(V, W, H)
        return DrumsModel.of(mixture, names, self._factorize(V, (W, H), mixture), self.mask_exponent)

    def _with_others(
        self, V: NDArray[np.float32], W: NDArray[np.float64], H: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Start drums at onsets, and other instruments from frames of the mixture, of a single frame each."""
        generator, level = np.random.default_rng(self.seed), V.sum(axis=0, dtype=np.float64)
        likely = level / level.sum() if level.any() else None
        picked = V[:, generator.choice(V.shape[1], self.others, p=likely)].T + 0.1 * V.mean(axis=1)
        frames = np.zeros((self.others, *W.shape[1:]))
        frames[:, :, 0] = (0.2 + generator.random(picked.shape)) * picked + np.finfo(float).tiny
        frames /= frames.sum(axis=(1, 2), keepdims=True)
        sounding = (0.1 + generator.random((self.others, V.shape[1]))) * level / self.others
        return np.concatenate([W, frames]), np.concatenate([H * (_BETWEEN + onsets(V)), sounding])

    def _starts(self, mixture: Blocks, lags: int) -> tuple[tuple[str, ...], NDArray[np.float64]]:
        """Return the names of the drums and where each starts, shape (drums, bins, lags)."""
        if self.oneshots is not None:
            return one_shot_templates(Path(self.oneshots), mixture.stft, mixture.sample_rate, lags)
        return self.kit, np.array(
            [drum_template(n, mixture.stft, mixture.sample_rate, lags) for n in self.kit]
        )

    def _factorize(
        self, V: NDArray[np.float32], start: tuple[NDArray[np.float64], NDArray[np.float64]], mixture: Blocks
    ) -> Convolution:
        iterations = self.iterations or (_FROM_SHAPES if self.oneshots is None else _FROM_ONE_SHOTS)
        return convolve(
            V,
            len(start[0]),
            start[0].shape[2],
            init=start,  # where a template is zero, it stays so
            iterations=iterations,
            tolerance=0,
            callback=lambda done, objective: mixture.report(
                Progress("following the drums", done, iterations, objective)
            ),
        )


@dataclass(frozen=True)
class DrumsModel(Model):
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
    mask_exponent: float
    messages: tuple[str, ...] = ()
    context: int = 0

    @classmethod
    def of(
        cls, mixture: Blocks, names: tuple[str, ...], found: Convolution, mask_exponent: float
    ) -> DrumsModel:
        """Leave out what is not there, and say so."""
        energies = np.array([_energy(found, k) for k in range(len(names))])
        there = np.flatnonzero((energies > _SILENT * energies.max()) | (energies.max() == 0))
        absent = [name for k, name in enumerate(names) if k not in there]
        messages = [f"{', '.join(names[k] for k in there)} found"]
        if absent:
            messages.append(f"no {' and no '.join(absent)}: nothing within 30 dB of the loudest drum")
        sources = tuple(names[k] for k in there)
        members: tuple[tuple[int, ...], ...] = tuple((int(k),) for k in there)
        if len(found.W) > len(names):
            sources, members = (*sources, OTHER), (*members, tuple(range(len(names), len(found.W))))
        return cls(mixture.stft, sources, found, members, mask_exponent, ("; ".join(messages),))

    def separate(self, block: Spectrogram) -> dict[str, Spectrogram]:
        """Mask the block by what each drum explains of it."""
        shape = (block.channels, block.values.shape[1], block.frames)
        estimates = {
            name: np.sum([self.found.model(k, block.start, block.stop) for k in members], axis=0)
            for name, members in zip(self.sources, self.members, strict=True)
        }
        shaped = {name: e.reshape(shape) for name, e in estimates.items()}
        return soft_masks(block, shaped, mask_exponent=self.mask_exponent)


def _energy(found: Convolution, component: int) -> float:
    """Return about how much energy a component explains: hits that overlap are counted apart."""
    W, H = found.W[component].astype(np.float64), found.H[component].astype(np.float64)
    return float(np.sum(W**2) * np.sum(H**2))


def onsets(V: NDArray[Any]) -> NDArray[np.float64]:
    """Return how many bins of each frame grow louder, and by how much: about 1 at a clear onset, at most 1.

    Examples
    --------
    >>> onsets(np.repeat([[0.0, 1.0]], 4, axis=1)).round(1)
    array([0., 0., 0., 0., 1., 0., 0., 0.])
    """
    growth, loudest = np.empty(V.shape[1]), V.max() or 1
    for start in range(0, len(growth), _PIECE):
        first = max(0, start - 1)
        loudness = np.log1p(100 * V[:, first : start + _PIECE] / loudest)
        rise = np.diff(loudness, axis=1, prepend=loudness[:, :1])[:, start - first :]
        growth[start : start + _PIECE] = np.maximum(rise, 0).sum(axis=0, dtype=np.float64)
    return np.asarray(np.minimum(growth / (np.percentile(growth, 99) or 1), 1))
