"""Separator for stereo mixtures whose sources are panned to different positions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nmfaudio.models.components import Components
from nmfaudio.models.contract import Model
from nmfaudio.models.options import Options, option, window_option
from nmfaudio.models.spatially_filtered import with_spatial_filter
from nmfaudio.models.wiener import wiener_filter
from nmfaudio.nmf.panned import PannedTemplates, learn_panned
from nmfaudio.separators.blind.model import BlindModel
from nmfaudio.separators.blind.separator import Blind
from nmfaudio.separators.stereo.lone_source import learn_lone_source
from nmfaudio.separators.stereo.panning import Panning, find_panning, place_name
from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.frames import complex_frames
from nmfaudio.sound.progress import Progress
from nmfaudio.sound.spectrogram import Spectrogram
from nmfaudio.sound.stft import STFT

_LEARNED_FRAMES = 600  # evenly spaced frames of the mixture; more frames do not improve the templates


@dataclass(frozen=True)
class Stereo(Options):
    """Separate sources by their panning; two sources in two channels are separated almost perfectly.

    The angles of the sources are found from points of time and frequency at which a single source sounds. Two
    sources are then the solution of two equations. Three or more sources are separated by a Wiener filter of
    both channels, which uses the angles and templates of each source. A single panned source, such as a
    singer in the middle, is separated from a rest that has no position: templates explain both, and those of
    the source are silent in the difference of the channels. If the panning of the mixture does not separate
    its sources, a message says so, and they are separated by timbre, as `blind` does. Stems have the names of
    their positions: `left60` is 60 % of the way from the middle to the left loudspeaker.

    Parameters
    ----------
    sources : int, optional
        Number of stems; by default the number of panning positions. If it is smaller, neighbouring positions
        are joined.
    templates : int
        Number of templates of each source, used where there are more sources than channels.
    iterations : int
        Number of updates of the templates.
    window : float
        Length of the analysis window in seconds; the nearest power of two samples is used.
    seed : int
        Seed of the random starts.

    References
    ----------
    A. Ozerov and C. Fevotte, "Multichannel nonnegative matrix factorization in convolutive mixtures for audio
    source separation", IEEE TASLP 18(3), 2010. S. Arberet, R. Gribonval and F. Bimbot, "A robust method to
    count and locate audio sources in a multichannel underdetermined mixture", IEEE TSP 58(1), 2010.
    """

    needs_whole: ClassVar[bool] = False

    sources: int | None = option(
        None, "number of stems; default: the number of panning positions", at_least=1
    )
    templates: int = option(16, "number of templates of each source, if there are three or more", at_least=1)
    iterations: int = option(60, "number of updates of the templates", at_least=1)
    window: float = window_option(0.046)
    seed: int = option(0, "seed of the random starts", at_least=0)

    def fit(self, mixture: Blocks) -> Model:
        """Find the panning positions of the sources, then learn templates of three or more sources."""
        if mixture.channels != 2:
            channels = "one channel" if mixture.channels == 1 else f"{mixture.channels} channels, not two"
            return self._blind(mixture, channels)
        panning = find_panning(mixture)
        if suits_lone_source(panning, self.sources):
            return self.lone_source_by(panning, mixture)
        reason = panning.doubt(self.sources)
        return self._blind(mixture, reason) if reason else self.separated_by(panning, mixture)

    def lone_source_by(self, panning: Panning, mixture: Blocks) -> Model:
        """Return a model of the source at the only panning position, and of the rest."""
        mixture = mixture.with_stft(STFT.lasting(self.window, mixture.sample_rate))
        angle = float(panning.angles[0])
        name = place_name(angle)
        message = f"1 panning position found: {name}; the rest has no position and becomes the stem rest"
        model = learn_lone_source(mixture, np.deg2rad(angle), name=name, seed=self.seed, message=message)
        return with_spatial_filter(model, mixture)

    def separated_by(self, panning: Panning, mixture: Blocks) -> PannedModel:
        """Return a model of sources at known panning positions."""
        mixture = mixture.with_stft(STFT.lasting(self.window, mixture.sample_rate))
        angles = np.deg2rad(np.sort(panning.angles))
        learned = self._learned(mixture, angles) if len(angles) > 2 else None
        groups = _joined(angles, self.sources or len(angles))
        names = ", ".join(place_name(angle) for angle in np.rad2deg(angles))
        message = f"{len(angles)} panning positions found: {names}"
        if self.sources is None:
            message += "; sources at the same position share a stem"
        return PannedModel(mixture.stft, angles, groups, learned, (message,))

    def _learned(self, mixture: Blocks, angles: NDArray[np.float64]) -> PannedTemplates:
        return learn_panned(
            complex_frames(mixture, _LEARNED_FRAMES),
            angles,
            rank=self.templates,
            iterations=self.iterations,
            seed=self.seed,
            callback=lambda done, total: mixture.report(Progress("learning templates", done, total)),
        )

    def _blind(self, mixture: Blocks, reason: str) -> BlindModel:
        model = Blind(sources=self.sources, seed=self.seed).grouped(mixture)
        return replace(
            model, messages=(f"{reason}: sources are separated by timbre, as blind does", *model.messages)
        )


@dataclass(frozen=True)
class PannedModel(Model):
    """Sources at known angles, with templates if there are more than two sources.

    Attributes
    ----------
    stft : STFT
        Settings of the blocks that the model separates.
    angles : ndarray, shape (positions,)
        Angles of the positions in radians, from left to right.
    groups : ndarray of int, shape (positions,)
        Stem of each position; neighbouring positions may share a stem.
    templates : PannedTemplates or None
        Templates of each position; None for two positions.
    messages : tuple of str
        What the user should know: the positions.
    context : int
        Number of frames that the model needs on either side; 0.
    """

    stft: STFT
    angles: NDArray[np.float64]
    groups: NDArray[np.intp]
    templates: PannedTemplates | None
    messages: tuple[str, ...]
    context: int = 0

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the positions of the stems, from left to right."""
        names: list[str] = []
        for group in range(int(self.groups.max()) + 1):
            name = place_name(float(np.rad2deg(self.angles[self.groups == group].mean())))
            names.append(name if name not in names else f"{name}_{group + 1}")
        return tuple(names)

    def find_components(self, mixture: Blocks) -> Components | None:
        """Return the templates of three or more positions; two positions need none.

        Each template has two channels, whose levels are those of its position.
        """
        if self.templates is None:
            return None
        learned, order = self.templates, np.argsort(self.groups, kind="stable")
        H = np.concatenate([self._levelled_activations(block) for block in mixture], axis=1)[order]
        gains = np.stack([np.cos(self.angles), np.sin(self.angles)], axis=1)[order] ** 2
        spectra = (learned.W * learned.scale)[order]
        rank = spectra.shape[1]
        return Components(
            self.sources,
            np.repeat(self.groups[order], rank),
            (spectra[:, :, None] * gains[:, None, :, None])
            .reshape(-1, 2, self.stft.bins, 1)
            .astype(np.float32),
            H.swapaxes(1, 2).reshape(-1, 1, H.shape[1]),
            mixture.sample_rate,
            self.stft,
            mixture.channels,
            magnitude_power=2.0,
            beta=0.0,
        )

    def _levelled_activations(self, block: Spectrogram) -> NDArray[np.float32]:
        """Return activations, (positions, frames, rank), at the level of the sounds of each frame.

        The filter needs the proportions of the positions alone, so their levels may be far from those of the
        mixture.
        """
        assert self.templates is not None
        H = self.templates.activations(block.values)
        modelled = (H @ (self.templates.W @ self.templates.scale)[:, :, None])[:, :, 0]
        heard = (np.abs(self._filtered(block.values)) ** 2).sum(axis=(1, 2))
        gains = np.divide(heard, modelled, out=np.zeros_like(heard), where=modelled > 0)
        return np.asarray(H * gains[:, :, None], np.float32)

    def separate(self, block: Spectrogram) -> dict[str, Spectrogram]:
        """Solve two equations for two sources, or filter for more."""
        images = self._solved(block.values) if self.templates is None else self._filtered(block.values)
        sums = [images[self.groups == group].sum(axis=0) for group in range(len(self.sources))]
        return {name: block.with_values(values) for name, values in zip(self.sources, sums, strict=True)}

    def _solved(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return the images of two sources, which solve the mixing equations of the two channels."""
        mixing = np.stack([np.cos(self.angles), np.sin(self.angles)])
        sounds = np.tensordot(np.linalg.inv(mixing), values, axes=1)
        return np.asarray(mixing.T[:, :, None, None] * sounds[:, None])

    def _filtered(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return the images of three or more sources by a Wiener filter of both channels."""
        assert self.templates is not None
        directions = np.stack([np.cos(self.angles), np.sin(self.angles)], axis=1)
        covariances = np.einsum("jc,jd->jcd", directions, directions).astype(np.complex128)
        shape = (len(covariances), values.shape[1], 2, 2)
        powers = self.templates.powers(values)
        return wiener_filter(values, powers, np.broadcast_to(covariances[:, None], shape))


def suits_lone_source(panning: Panning, sources: int | None) -> bool:
    """Whether a mixture should be separated into one panned source and the rest."""
    return panning.is_lone and sources in (None, 2)


def _joined(angles: NDArray[np.float64], groups: int) -> NDArray[np.intp]:
    """Return the group of each sorted angle; groups are cut where neighbours are farthest apart."""
    cuts = np.sort(np.argsort(-np.diff(angles), kind="stable")[: groups - 1])
    return np.searchsorted(cuts, np.arange(len(angles)), side="left").astype(np.intp)
