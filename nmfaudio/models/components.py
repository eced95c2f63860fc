"""The components of the stems of one mixture: what can be looked at, listened to and regrouped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmfaudio.errors import InputError
from nmfaudio.sound.spectrogram import frame_times
from nmfaudio.sound.stft import STFT

F32 = NDArray[np.float32]

_FRAMES_AT_A_TIME = 256


@dataclass(frozen=True)
class Part:
    """A component, or the whole stem of a source that has no components.

    Attributes
    ----------
    number : int
        Number of the part, from 1.
    source : str
        Name of the stem that it belongs to.
    component : int or None
        Index of the component; None for a whole stem.
    name : str
        Name of the source, followed by the number of the component within it.
    """

    number: int
    source: str
    component: int | None
    name: str


@dataclass(frozen=True)
class Components:
    """Templates and activations of all stems of a mixture.

    A stem sounds as the sum of its components: each point of its spectrogram is divided among them in
    proportion to their models (see `nmfaudio.pipeline.component_sounds`). A source without templates, such as
    the lead of `voice`, has no component; its stem is a single part.

    Attributes
    ----------
    sources : tuple of str
        Names of the stems, in order.
    labels : ndarray of int, shape (components,)
        Index of each component's source in `sources`; components are sorted by source.
    templates : ndarray of float32, shape (components, 1 or channels, bins, lags)
        Templates. One that lasts a single frame has one lag. One channel serves all channels.
    activations : ndarray of float32, shape (components, 1 or channels, frames)
        Activations in all frames of the mixture. One channel serves all channels.
    sample_rate : int
        Samples per second.
    stft : STFT
        Settings of the frames.
    channels : int
        Number of channels of the mixture.
    magnitude_power : float
        The models are magnitudes to this power.
    mask_exponent : float
        Exponent of the models where a stem is divided among its components.
    beta : float
        Parameter of the divergence.
    seed : int
        Seed of the random start.
    objectives : ndarray of float, shape (measurements,)
        Divergence at each measurement during the factorization; empty where it is not known.
    iterations : ndarray of int, shape (measurements,)
        Iterations at which it was measured.
    stability : ndarray of float, shape (components,)
        Agreement of each component with the most similar components of other random starts, from 0 to 1;
        empty where there was only one start.

    Examples
    --------
    >>> from nmfaudio import Audio, separate
    >>> sound = np.random.default_rng(0).standard_normal(8000) / 8
    >>> components = separate(Audio(sound, 8000), sources=2, components=4, seed=0).components
    >>> [part.number for part in components.parts], components.frames
    ([1, 2, 3, 4], 66)
    """

    sources: tuple[str, ...]
    labels: NDArray[np.intp]
    templates: F32
    activations: F32
    sample_rate: int
    stft: STFT
    channels: int
    magnitude_power: float = 1.0
    mask_exponent: float = 1.0
    beta: float = 1.0
    seed: int = 0
    objectives: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    iterations: NDArray[np.intp] = field(default_factory=lambda: np.empty(0, np.intp))
    stability: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def frames(self) -> int:
        """Number of frames."""
        return int(self.activations.shape[2])

    @property
    def frequencies(self) -> NDArray[np.float64]:
        """Frequency of each bin in Hz."""
        return self.stft.frequencies(self.sample_rate)

    @property
    def times(self) -> NDArray[np.float64]:
        """Middle of each frame in seconds."""
        return frame_times(self.stft, self.sample_rate, 0, self.frames)

    @cached_property
    def shares(self) -> NDArray[np.float64]:
        """Part of the energy of all models that each component has, shape (components,)."""
        energies = np.array([self._energy(k) for k in range(len(self))])
        total = energies.sum()
        return energies / total if total > 0 else np.full(len(self), 1 / max(1, len(self)))

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """All components and all stems without components, numbered from 1 in the order of the sources."""
        parts: list[Part] = []
        for index, source in enumerate(self.sources):
            members = self.members(source)
            if len(members) < 2:
                parts.append(
                    Part(
                        len(parts) + 1, source, int(members[0]) if len(members) else None, self.sources[index]
                    )
                )
                continue
            for position, k in enumerate(members):
                parts.append(Part(len(parts) + 1, source, int(k), f"{source} {position + 1}"))
        return tuple(parts)

    def members(self, source: str) -> NDArray[np.intp]:
        """Return the indices of the components of a source."""
        return np.flatnonzero(self.labels == self.sources.index(source))

    def part(self, number: int) -> Part:
        """Return the part with that number.

        Raises
        ------
        InputError
            When there is no such part.
        """
        if not 1 <= number <= len(self.parts):
            raise InputError(f"there is no component {number}: they are numbered from 1 to {len(self.parts)}")
        return self.parts[number - 1]

    def model(self, component: int, start: int = 0, stop: int | None = None) -> F32:
        """Return the model of a component in the frames `start` to `stop`.

        Returns
        -------
        ndarray of float32, shape (1 or channels, bins, frames)
            Magnitudes to the power `magnitude_power`. Frames before the start and after the end are zero.
        """
        return self.sum_of_models([component], start, stop)

    def sum_of_models(self, members: Sequence[int], start: int = 0, stop: int | None = None) -> F32:
        """Return the sum of the models of some components, as `model` returns that of one.

        Returns
        -------
        ndarray of float32, shape (1 or channels, bins, frames)
        """
        W = self.templates[list(members)].transpose(1, 2, 0, 3)
        H = self.activations[list(members)].swapaxes(0, 1)
        first, last = start, self.frames if stop is None else stop
        total = np.zeros((max(len(W), len(H)), W.shape[1], last - first), np.float32)
        for lag in range(W.shape[3]):
            begin, end = max(first - lag, 0), min(last - lag, self.frames)
            if begin < end:
                there = slice(begin + lag - first, end + lag - first)
                total[:, :, there] += W[..., lag] @ H[:, :, begin:end]
        return total

    def _energy(self, component: int) -> float:
        """Return the energy of a component's model in all channels."""
        total, copies = 0.0, 1
        for start in range(0, self.frames, _FRAMES_AT_A_TIME):
            model = self.model(component, start, min(start + _FRAMES_AT_A_TIME, self.frames))
            copies = self.channels // len(model)
            total += float((model.astype(np.float64) ** (2 / self.magnitude_power)).sum())
        return total * copies


def from_factors(
    sources: tuple[str, ...],
    labels: NDArray[Any],
    W: NDArray[Any],
    H: NDArray[Any],
    **settings: Any,
) -> Components:
    """Return components made of matrices, sorted by source; the order within a source stays.

    Parameters
    ----------
    sources : tuple of str
        Names of the stems.
    labels : ndarray of int, shape (components,)
        Index of each component's source.
    W : ndarray, shape (bins, components)
        Templates.
    H : ndarray, shape (1 or channels, components, frames)
        Activations.
    **settings
        The other attributes of `Components`.

    Examples
    --------
    >>> settings = {"sample_rate": 8000, "stft": STFT(16), "channels": 1}
    >>> components = from_factors(("a", "b"), np.array([1, 0]), np.eye(9, 2), np.ones((1, 2, 5)), **settings)
    >>> [part.name for part in components.parts], components.shares.tolist()
    (['a', 'b'], [0.5, 0.5])
    """
    order = np.argsort(labels, kind="stable")
    templates = np.ascontiguousarray(W.T[order][:, None, :, None], np.float32)
    activations = np.ascontiguousarray(H.swapaxes(0, 1)[order], np.float32)
    return Components(sources, np.asarray(labels)[order], templates, activations, **settings)


def without_templates(
    sources: tuple[str, ...], stft: STFT, *, sample_rate: int, channels: int, frames: int
) -> Components:
    """Return the components of a model that has no templates: each stem is a single part."""
    templates = np.empty((0, 1, stft.bins, 1), np.float32)
    activations = np.empty((0, 1, frames), np.float32)
    return Components(sources, np.empty(0, np.intp), templates, activations, sample_rate, stft, channels)
