"""Separation of drums into kick, snare, hi-hat and others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nmfaudio.errors import OptionError
from nmfaudio.models.components import Components
from nmfaudio.models.contract import Model
from nmfaudio.models.masks import masked_in_parts, normalised_masks
from nmfaudio.models.options import option, window_option
from nmfaudio.nmf import Convolution, convolve
from nmfaudio.separators.drums.evidence import LEAST_FIT, best_name, weigh_evidence
from nmfaudio.separators.drums.kit import KIT, drum_template, one_shot_templates
from nmfaudio.separators.regions.model import with_regions
from nmfaudio.separators.regions.options import RegionFileOptions
from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.frames import stacked_channels
from nmfaudio.sound.progress import Progress
from nmfaudio.sound.spectrogram import Spectrogram
from nmfaudio.sound.stft import STFT
from nmfaudio.suggestion import suggestion

_ITERATIONS, _ITERATIONS_WITH_ONESHOTS = 40, 20
_BETWEEN_ONSETS = 0.05  # starting level of drums between onsets, where they may still sound
_FRAMES_AT_A_TIME = 512  # bounds the size of intermediate arrays
_MOST_CANDIDATES = 2048  # evenly spaced frames among which those of other instruments are drawn
OTHER = "other"


@dataclass(frozen=True)
class Drums(RegionFileOptions):
    """Separate drums by name, without training: kick, snare, hi-hat, and others on request.

    The method is convolutive factorization. The template of each drum is a short spectrogram. It starts with
    the typical sound of such a drum (a kick is low, a snare is broad, a hi-hat is high) and then adapts to
    the recording. The starts give the stems their names. Recordings of your own drums (one-shots) are better
    starts. When other instruments play too, `others` templates of one frame model them, and the drums start
    from the onsets of the mixture.

    Parameters
    ----------
    kit : tuple of str
        Drums to look for: kick, snare, hihat, tom, cymbal. Name only drums that play: others take parts of
        the drums that do, and are left out only when they have hardly any energy.
    oneshots : str, optional
        Folder with a recording of each drum alone (`kick.wav`, `snare.wav`, ...). The names of the files
        become the names of the stems, and `kit` is not used.
    others : int
        Number of templates for other instruments, which become the stem `other`; about 10 if any play.
    seed : int
        Seed of the random start of the templates for other instruments.
    iterations : int, optional
        Number of updates. Default: 40, or 20 with one-shots. With more updates the model fits the mixture
        better, but the templates become less like the drums.
    length : float
        Length of a template in seconds.
    window : float
        Length of the analysis window in seconds; the nearest power of two in samples is used.
    mask_exponent : float
        Exponent of the masks; higher values separate more strongly.

    References
    ----------
    P. Smaragdis, "Non-negative matrix factor deconvolution; extraction of multiple sound sources from
    monophonic inputs", ICA 2004. C. Dittmar and D. Gartner, "Real-time transcription and separation of drum
    recordings based on NMF decomposition", DAFx 2014. C.-W. Wu and A. Lerch, "Drum transcription using
    partially fixed non-negative matrix factorization with template adaptation", ISMIR 2015 (templates for
    other instruments).
    """

    needs_whole: ClassVar[bool] = True

    kit: tuple[str, ...] = option(
        ("kick", "snare", "hihat"), f"drums to look for: {', '.join(KIT)}", flag="kit", metavar="NAMES"
    )
    oneshots: str | None = option(
        None,
        "folder with a recording of each drum alone, named after the drum; replaces the kit",
        flag="oneshots",
        metavar="FOLDER",
        reads=True,
    )
    others: int = option(
        0,
        "number of templates for other instruments, which become the stem `other`; about 10 if any play",
        at_least=0,
        flag="others",
        metavar="COUNT",
    )
    seed: int = option(0, "seed of the random start of the templates for other instruments", at_least=0)
    iterations: int | None = option(
        None, "number of updates; default: 40, or 20 with one-shots, which start nearer", at_least=1
    )
    length: float = option(0.116, "length of a template in seconds", above=0, at_most=2, unit="seconds")
    window: float = window_option(0.046)
    mask_exponent: float = option(
        2.0,
        "exponent of the masks; higher values separate more strongly",
        above=0,
        former_name="exponent",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in self.kit:
            if name not in KIT:
                known = f"{', '.join(KIT)}{suggestion(name, KIT)}"
                raise OptionError(f"kit={name!r} is not known: use some of {known}", option="kit")
        if not self.kit or len(set(self.kit)) < len(self.kit):
            raise OptionError(
                f"kit={','.join(self.kit)!r}: it must name at least one drum, and each once", option="kit"
            )
        if self.oneshots is not None and not Path(self.oneshots).is_dir():
            raise OptionError(
                f"oneshots={self.oneshots!r} is not a folder: use one with kick.wav, snare.wav, ...",
                option="oneshots",
            )

    def fit(self, mixture: Blocks) -> Model:
        """Adapt the templates of the drums to the mixture."""
        mixture = self.transformed(mixture)
        model = self.adapted(mixture, stacked_channels(mixture))
        return with_regions(model, mixture, self.regions(), self.seed)

    def transformed(self, mixture: Blocks) -> Blocks:
        """Return the mixture with the STFT settings of the model."""
        return mixture.with_stft(STFT.lasting(self.window, mixture.sample_rate))

    def adapted(self, mixture: Blocks, V: NDArray[np.float32]) -> DrumsModel:
        """Adapt the templates of the drums to the mixture, without regions.

        Parameters
        ----------
        mixture : Blocks
            The mixture, as `transformed` returns it.
        V : ndarray, shape (channels * bins, frames)
            Its magnitudes, as `stacked_channels` returns them.
        """
        lags = max(1, round(self.length * mixture.sample_rate / mixture.stft.hop_length))
        names, starts = self._starts(mixture, lags)
        W = np.tile(starts, (1, mixture.channels, 1))
        W /= W.sum(axis=(1, 2), keepdims=True)
        H = np.tile(V.sum(axis=0, dtype=np.float64) / len(W), (len(W), 1))
        drums = W
        if self.others:
            W, H = self._with_others(V, W, H)
        factorized = V, drums, self._factorize(V, (W, H), mixture)
        return DrumsModel.of(mixture, names, factorized, self.mask_exponent)

    def _with_others(
        self, V: NDArray[np.float32], W: NDArray[np.float64], H: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return starting factors in which drums start at onsets and other instruments from single frames."""
        generator, level = np.random.default_rng(self.seed), V.sum(axis=0, dtype=np.float64)
        frames = V[:, varied_frames(V, self.others, generator)].T + 0.1 * V.mean(axis=1)
        templates = np.zeros((self.others, *W.shape[1:]))
        templates[:, :, 0] = (0.2 + generator.random(frames.shape)) * frames + np.finfo(float).tiny
        templates /= templates.sum(axis=(1, 2), keepdims=True)
        activations = (0.1 + generator.random((self.others, V.shape[1]))) * level / self.others
        of_drums = H * (_BETWEEN_ONSETS + onsets(V))
        return np.concatenate([W, templates]), np.concatenate([of_drums, activations])

    def _starts(self, mixture: Blocks, lags: int) -> tuple[tuple[str, ...], NDArray[np.float64]]:
        """Return the names of the drums and their starting templates, shape (drums, bins, lags)."""
        if self.oneshots is not None:
            return one_shot_templates(Path(self.oneshots), mixture.stft, mixture.sample_rate, lags)
        return self.kit, np.array(
            [drum_template(n, mixture.stft, mixture.sample_rate, lags) for n in self.kit]
        )

    def _factorize(
        self, V: NDArray[np.float32], start: tuple[NDArray[np.float64], NDArray[np.float64]], mixture: Blocks
    ) -> Convolution:
        default = _ITERATIONS if self.oneshots is None else _ITERATIONS_WITH_ONESHOTS
        iterations = self.iterations or default
        return convolve(
            V,
            len(start[0]),
            start[0].shape[2],
            init=start,  # zeros of a template stay zero, so other instruments keep templates of one frame
            iterations=iterations,
            tolerance=0,
            callback=lambda done, objective: mixture.report(
                Progress("adapting to the drums", done, iterations, objective)
            ),
        )


@dataclass(frozen=True)
class DrumsModel(Model):
    """Model of the drums in a mixture.

    Attributes
    ----------
    stft : STFT
    sources : tuple of str
    convolution : Convolution
        Factorization of the spectrogram in which the bins of all channels are joined.
    members : tuple of tuple of int
        Indices of the components of each source.
    mask_exponent : float
        Exponent of the masks.
    """

    stft: STFT
    sources: tuple[str, ...]
    convolution: Convolution
    members: tuple[tuple[int, ...], ...]
    mask_exponent: float
    messages: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    context: int = 0

    @classmethod
    def of(
        cls,
        mixture: Blocks,
        names: tuple[str, ...],
        factorized: tuple[NDArray[np.float32], NDArray[np.float64], Convolution],
        mask_exponent: float,
    ) -> DrumsModel:
        """Return a model of the drums that are in the recording; a message names those that are not.

        Parameters
        ----------
        mixture : Blocks
        names : tuple of str
            Names of the drums that were looked for.
        factorized : tuple
            Magnitudes (bins, frames), starts of the drums (drums, bins, lags), and the factorization.
        mask_exponent : float
            Exponent of the masks.
        """
        V, starts, convolution = factorized
        evidence = weigh_evidence(V, convolution, len(names))
        has_others = len(convolution.W) > len(names)
        if evidence.fit < LEAST_FIT and not has_others:  # names are all that such stems share with drums
            groups: dict[int, tuple[int, ...]] = {k: (k,) for k in range(len(names))}
            warnings: tuple[str, ...] = (_not_drums(evidence.fit),)
            messages: tuple[str, ...] = ()
        else:
            sounds = convolution.W[: len(names)].astype(np.float64)
            sounds *= convolution.H[: len(names)].sum(axis=1, dtype=np.float64)[:, None, None]
            joined = [evidence.members(drum) for drum in evidence.found]
            groups = {best_name(sounds, starts, members): members for members in joined}
            warnings, messages = (), (_found([names[k] for k in sorted(groups)], names),)
        sources = tuple(names[k] for k in sorted(groups))
        members = tuple(groups[k] for k in sorted(groups))
        if has_others:
            sources, members = (*sources, OTHER), (*members, tuple(range(len(names), len(convolution.W))))
        return cls(mixture.stft, sources, convolution, members, mask_exponent, messages, warnings)

    @property
    def doubt(self) -> str:
        """Says where the recording is not drums alone."""
        return "the recording is not drums alone" if self.warnings else ""

    @property
    def way_out(self) -> str:
        """What helps where a stem is unsure."""
        return (
            "give a recording of each drum alone (oneshots=...), or the number of templates for instruments "
            "that play with the drums (others=10)"
        )

    def find_components(self, mixture: Blocks) -> Components:
        """Return the drums, whose templates last several frames, and the other instruments."""
        one, bins = self.convolution, self.stft.bins
        order = np.concatenate([np.array(members, np.intp) for members in self.members])
        counts = [len(members) for members in self.members]
        return Components(
            self.sources,
            np.repeat(np.arange(len(self.sources)), counts),
            one.W[order].reshape(len(order), mixture.channels, bins, -1).astype(np.float32),
            one.H[order, None].astype(np.float32),
            mixture.sample_rate,
            self.stft,
            mixture.channels,
            mask_exponent=self.mask_exponent,
            beta=one.divergence.beta,
            seed=one.seed,
            objectives=one.objective,
            iterations=one.measured_iterations,
        )

    def separate(self, block: Spectrogram) -> dict[str, Spectrogram]:
        """Apply masks made of the model of each drum."""
        return masked_in_parts(block, self.sources, self.masks(block))

    def masks(self, block: Spectrogram) -> Callable[[slice], NDArray[Any]]:
        """Return a function that gives the masks of a range of frames of a block.

        It takes a slice and returns an array of shape (sources, channels, frames, bins).
        """
        models = [self.convolution.model(members, block.start, block.stop) for members in self.members]
        shape = (len(models), block.frames, block.channels, -1)
        estimates = np.stack([model.T for model in models]).reshape(shape).swapaxes(1, 2)
        return lambda part: normalised_masks(estimates[:, :, part], self.mask_exponent)


def _found(found: list[str], names: tuple[str, ...]) -> str:
    """Return a message about the drums that were found and those that were not."""
    absent = [name for name in names if name not in found]
    message = f"{', '.join(found)} found"
    if absent:
        message += f"; no {' and no '.join(absent)} with hits of its own"
    return message


def _not_drums(fit: float) -> str:
    """Return a warning about a recording that does not consist of drums."""
    return (
        f"the recording is not drums alone: repeated drum sounds explain {fit:.0%} of it, where drums reach "
        f"{LEAST_FIT:.0%}. The stems only have the names of drums: pass others=10 if drums play with other "
        "instruments, or use another separator"
    )


def onsets(V: NDArray[Any]) -> NDArray[np.float64]:
    """Return the onset strength of each frame, from 0 to 1: the sum of the rises of all bins in loudness.

    Parameters
    ----------
    V : ndarray, shape (bins, frames)
        Magnitudes.

    Examples
    --------
    >>> onsets(np.repeat([[0.0, 1.0]], 4, axis=1)).round(1)
    array([0., 0., 0., 0., 1., 0., 0., 0.])
    """
    growth, loudest = np.empty(V.shape[1]), V.max() or 1
    for start in range(0, len(growth), _FRAMES_AT_A_TIME):
        first = max(0, start - 1)
        loudness = np.log1p(100 * V[:, first : start + _FRAMES_AT_A_TIME] / loudest)
        rise = np.diff(loudness, axis=1, prepend=loudness[:, :1])[:, start - first :]
        growth[start : start + _FRAMES_AT_A_TIME] = np.maximum(rise, 0).sum(axis=0, dtype=np.float64)
    return np.asarray(np.minimum(growth / (np.percentile(growth, 99) or 1), 1))


def varied_frames(V: NDArray[np.float32], count: int, generator: np.random.Generator) -> NDArray[np.intp]:
    """Draw frames whose spectra differ, the more likely the louder they are and the fewer onsets they have.

    With frames drawn by their level alone, several templates start from one note and others from drums, and
    a drum then learns the notes that have no template.

    Parameters
    ----------
    V : ndarray, shape (bins, frames)
        Magnitudes.
    count : int
        Number of frames to draw; frames are drawn twice only where no others differ.
    generator : numpy.random.Generator

    References
    ----------
    D. Arthur and S. Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007 (each draw in
    proportion to the squared distance from those before; here of the roots of the normalised spectra).
    """
    step = -(-V.shape[1] // _MOST_CANDIDATES)
    level = V[:, ::step].sum(axis=0, dtype=np.float64)
    weights, distances = level * (1 - onsets(V)[::step]), np.ones(len(level))
    roots = np.sqrt(V[:, ::step] / np.where(level > 0, level, 1).astype(V.dtype))
    drawn: list[int] = []
    for _ in range(count):
        likely = weights * distances
        total = likely.sum()
        drawn.append(int(generator.choice(len(level), p=likely / total if total > 0 else None)))
        distances = np.minimum(distances, np.maximum(0, 1 - roots.T @ roots[:, drawn[-1]]))
    return np.asarray(step * np.array(drawn), np.intp)
