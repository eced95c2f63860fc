"""Separate sources by where they stand between two channels."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmfaudio.errors import OptionError
from nmfaudio.models.contract import Model
from nmfaudio.models.wiener import wiener_filter
from nmfaudio.nmf.panned import PannedTemplates, learn_panned
from nmfaudio.separators.blind.separator import Blind, BlindModel
from nmfaudio.separators.stereo.panning import Panning, find_panning, place_name
from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.frames import complex_frames
from nmfaudio.sound.progress import Progress
from nmfaudio.sound.spectrogram import Spectrogram
from nmfaudio.sound.stft import STFT

_LEARNED_FRAMES = 600  # of the mixture, evenly spread: templates need no more


@dataclass(frozen=True)
class Stereo:
    """Separate sources by where a pan-pot placed them; two in two channels come apart almost perfectly.

    The angles of the sources are found from points of time and frequency at which one sounds alone. Two
    sources are then the solution of two equations. More are told apart by their angles and templates of each,
    which together make a Wiener filter of both channels. Where the channels carry no pan, the note says so,
    and sources are separated by timbre as `blind` does.

    Parameters
    ----------
    sources : int, optional
        Stems to make; as many as there are places, if not given. Fewer than places: neighbours are joined.
    templates : int
        Of each source, where there are more sources than channels.
    iterations : int
        Updates of the templates.
    window : float
        Seconds of the analysis window; its length is the nearest power of two.
    seed : int
        Of the random starts.

    References
    ----------
    A. Ozerov and C. Fevotte, "Multichannel nonnegative matrix factorization in convolutive mixtures for audio
    source separation", IEEE TASLP 18(3), 2010. S. Arberet, R. Gribonval and F. Bimbot, "A robust method to
    count and locate audio sources in a multichannel underdetermined mixture", IEEE TSP 58(1), 2010.
    """

    sources: int | None = field(
        default=None, metadata={"help": "stems to make; default: as many as there are places"}
    )
    templates: int = field(default=16, metadata={"help": "of each source, where there are three or more"})
    iterations: int = field(default=60, metadata={"help": "updates of the templates"})
    window: float = field(default=0.046, metadata={"help": "seconds of the analysis window"})
    seed: int = field(default=0, metadata={"help": "of the random starts"})

    def __post_init__(self) -> None:
        for name, least in (("sources", 1), ("templates", 1), ("iterations", 1), ("seed", 0)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise OptionError(f"{name}={value}: it must be at least {least}")
        if not 0 < self.window < np.inf:
            raise OptionError(f"window={self.window}: it must be above 0")

    def fit(self, mixture: Blocks) -> PannedModel | BlindModel:
        """Find where sources stand, then learn what else tells them apart."""
        if mixture.channels != 2:
            channels = "one channel" if mixture.channels == 1 else f"{mixture.channels} channels, not two"
            return self._blind(mixture, channels)
        panning = find_panning(mixture, sources=self.sources)
        reason = panning.doubt(self.sources)
        return self._blind(mixture, reason) if reason else self.separated_by(panning, mixture)

    def separated_by(self, panning: Panning, mixture: Blocks) -> PannedModel:
        """Separate sources at places that are known."""
        mixture = mixture.with_stft(STFT.lasting(self.window, mixture.sample_rate))
        angles = np.deg2rad(np.sort(panning.angles))
        learned = self._learned(mixture, angles) if len(angles) > 2 else None
        groups = _joined(angles, self.sources or len(angles))
        note = f"{len(angles)} places found: {', '.join(place_name(a) for a in np.rad2deg(angles))}"
        return PannedModel(mixture.stft, angles, groups, learned, (note,))

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
        model = Blind(sources=self.sources, seed=self.seed).fit(mixture)
        return replace(model, messages=(f"{reason}: separated by timbre, as blind does", *model.messages))


@dataclass(frozen=True)
class PannedModel(Model):
    """Sources at known angles; with templates where there are more of them than channels."""

    stft: STFT
    angles: NDArray[np.float64]
    groups: NDArray[np.intp]
    templates: PannedTemplates | None
    messages: tuple[str, ...]
    context: int = 0

    @property
    def sources(self) -> tuple[str, ...]:
        """Places of the stems, from left to right."""
        names: list[str] = []
        for group in range(int(self.groups.max()) + 1):
            name = place_name(float(np.rad2deg(self.angles[self.groups == group].mean())))
            names.append(name if name not in names else f"{name}_{group + 1}")
        return tuple(names)

    def separate(self, block: Spectrogram) -> dict[str, Spectrogram]:
        """Solve for two sources, or filter for more."""
        images = self._solved(block.values) if self.templates is None else self._filtered(block.values)
        sums = [images[self.groups == group].sum(axis=0) for group in range(len(self.sources))]
        return {name: block.with_values(values) for name, values in zip(self.sources, sums, strict=True)}

    def _solved(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return what two sources must be for both channels to be what they are."""
        mixing = np.stack([np.cos(self.angles), np.sin(self.angles)])
        sounds = np.tensordot(np.linalg.inv(mixing), values, axes=1)
        return np.asarray(mixing.T[:, :, None, None] * sounds[:, None])

    def _filtered(self, values: NDArray[Any]) -> NDArray[Any]:
        assert self.templates is not None
        directions = np.stack([np.cos(self.angles), np.sin(self.angles)], axis=1)
        places = np.einsum("jc,jd->jcd", directions, directions).astype(np.complex128)
        shape = (len(places), values.shape[1], 2, 2)
        powers = self.templates.powers(values)
        return wiener_filter(values, powers, np.broadcast_to(places[:, None], shape))


def _joined(angles: NDArray[np.float64], groups: int) -> NDArray[np.intp]:
    """Return the group of each of some sorted angles, cut where neighbours are farthest apart."""
    cuts = np.sort(np.argsort(-np.diff(angles), kind="stable")[: groups - 1])
    return np.searchsorted(cuts, np.arange(len(angles)), side="left").astype(np.intp)
