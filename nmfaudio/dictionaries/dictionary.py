"""Templates with names: learned of sources, kept as a file, joined, and seen through other settings."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from nmfaudio.dictionaries import format as dictionary_format
from nmfaudio.dictionaries.conversion import convert_templates
from nmfaudio.dictionaries.format import ARRAYS, Clip
from nmfaudio.dictionaries.labels import check_label
from nmfaudio.errors import DictionaryError, OptionError
from nmfaudio.sound.stft import STFT

MOST_COMPONENTS = 65536
_HIGHEST_RATE = 1 << 22


@dataclass(frozen=True)
class Dictionary:
    """Templates, each with the name of the source it belongs to.

    Parameters
    ----------
    templates : array_like, shape (bins, components)
        Not negative; each column is brought to the sum 1. Kept as a read-only copy in float32.
    labels : sequence of str, shape (components,)
        The source of each component. They become names of files.
    sample_rate : int
    stft : STFT
        What the templates were seen through.
    magnitude_power : float
        Templates are magnitudes to this power.
    beta : float
        Of the divergence they were learned in.
    seed : int
        Of their random start.
    energies : array_like, shape (components,), optional
        Each component's part of the energy of its source's training audio.
    pitches : array_like, shape (components,), optional
        Fundamental frequency in Hz; 0 where there is none.
    clips : sequence of Clip
        What it was learned from.

    Raises
    ------
    DictionaryError
        For templates, labels or settings that do not fit each other.

    Examples
    --------
    >>> kick = Dictionary(np.eye(9, 2), ["kick"] * 2, 8000, STFT(16))
    >>> hat = Dictionary(np.eye(9, 1, -7), ["hat"], 8000, STFT(16))
    >>> duo = Dictionary.join([kick, hat])
    >>> duo
    Dictionary(kick: 2 templates, hat: 1 template; 8000 Hz, n_fft 16, hop 4, hann, exponent 1, beta 1)
    >>> duo.pick("hat").templates.shape
    (9, 1)
    """

    templates: NDArray[np.float32]
    labels: tuple[str, ...]
    sample_rate: int
    stft: STFT
    magnitude_power: float = 1.0
    beta: float = 1.0
    seed: int = 0
    energies: NDArray[np.float32] = field(default=())  # type: ignore[arg-type]
    pitches: NDArray[np.float32] = field(default=())  # type: ignore[arg-type]
    clips: tuple[Clip, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", tuple(self.labels))
        object.__setattr__(self, "clips", tuple(self.clips))
        templates = _checked(self.templates, "templates")
        if templates.ndim != 2 or templates.shape != (self.stft.bins, len(self.labels)):
            raise DictionaryError(
                f"templates have shape {templates.shape}: with n_fft={self.stft.n_fft} and "
                f"{len(self.labels)} labels it must be {(self.stft.bins, len(self.labels))}"
            )
        if not 1 <= len(self.labels) <= MOST_COMPONENTS:
            raise DictionaryError(f"{len(self.labels)} templates: there must be 1 to {MOST_COMPONENTS}")
        for label in self.sources:
            check_label(label)
        if not (
            1 <= self.sample_rate <= _HIGHEST_RATE and 0 < self.magnitude_power <= 4 and -1 <= self.beta <= 3
        ):
            raise DictionaryError(
                f"sample_rate={self.sample_rate}, magnitude_power={self.magnitude_power}, beta={self.beta}: "
                f"they must lie in 1 to {_HIGHEST_RATE}, above 0 to 4, and -1 to 3"
            )
        self._keep("templates", unit_sum(templates))
        for name in ARRAYS[1:]:
            given = _checked(getattr(self, name), name)
            if given.size and given.shape != (len(self.labels),):
                raise DictionaryError(
                    f"{name} have shape {given.shape}: there are {len(self.labels)} components"
                )
            self._keep(name, given if given.size else np.zeros(len(self.labels), np.float32))

    def _keep(self, name: str, array: NDArray[np.float32]) -> None:
        array.flags.writeable = False
        object.__setattr__(self, name, array)

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the sources, in the order in which they come."""
        return tuple(dict.fromkeys(self.labels))

    @property
    def members(self) -> dict[str, NDArray[np.intp]]:
        """The components of each source."""
        labels = np.array(self.labels)
        return {source: np.flatnonzero(labels == source) for source in self.sources}

    def pick(self, *labels: str) -> Self:
        """Return the dictionary of some of the sources.

        Raises
        ------
        OptionError
            For a label that it does not have.
        """
        check_known(labels, self.sources)
        kept = np.flatnonzero(np.isin(np.array(self.labels), labels))
        return self._of(kept, tuple(clip for clip in self.clips if clip.label in labels))

    def without(self, *labels: str) -> Self:
        """Return the dictionary of all sources but some.

        Raises
        ------
        OptionError
            For a label that it does not have, or when none remains.
        """
        check_known(labels, self.sources)
        rest = [source for source in self.sources if source not in labels]
        if not rest:
            raise OptionError(f"no source remains without {', '.join(labels)}: keep at least one")
        return self.pick(*rest)

    def keeping(self, kept: NDArray[np.intp]) -> Self:
        """Return the dictionary of some components, by number."""
        return self._of(kept, self.clips)

    def _of(self, kept: NDArray[np.intp], clips: tuple[Clip, ...]) -> Self:
        return replace(
            self,
            templates=self.templates[:, kept],
            labels=tuple(self.labels[k] for k in kept),
            energies=self.energies[kept],
            pitches=self.pitches[kept],
            clips=clips,
        )

    def renamed(self, label: str) -> Self:
        """Return the same templates as those of one source of that name."""
        return replace(
            self,
            labels=(label,) * len(self.labels),
            clips=tuple(replace(clip, label=label) for clip in self.clips),
        )

    @classmethod
    def join(cls, dictionaries: Iterable[Dictionary]) -> Dictionary:
        """Put dictionaries side by side; those of other settings are converted to the first one's.

        Raises
        ------
        DictionaryError
            When two have a source of the same name, or when templates are of different powers.
        """
        first, *others = tuple(dictionaries)
        joined = [first, *(other.to_settings(first.sample_rate, first.stft) for other in others)]
        seen: set[str] = set()
        for one in joined:
            if twins := seen & set(one.sources):
                raise DictionaryError(
                    f"two dictionaries have a source {min(twins)!r}: learn one under another label, "
                    "or leave one out"
                )
            if one.magnitude_power != first.magnitude_power:
                raise DictionaryError(
                    f"magnitude_power={one.magnitude_power:g}, but the first dictionary has "
                    f"{first.magnitude_power:g}: learn both with the same"
                )
            seen |= set(one.sources)
        return first._beside(joined[1:])

    def enriched(self, other: Dictionary) -> Dictionary:
        """Return this with the templates of another beside it, also of sources that both have."""
        return self._beside([other.to_settings(self.sample_rate, self.stft)])

    def _beside(self, others: Sequence[Dictionary]) -> Dictionary:
        every = [self, *others]
        return replace(
            self,
            templates=np.hstack([one.templates for one in every]),
            labels=tuple(label for one in every for label in one.labels),
            energies=np.concatenate([one.energies for one in every]),
            pitches=np.concatenate([one.pitches for one in every]),
            clips=tuple(clip for one in every for clip in one.clips),
        )

    def to_settings(self, sample_rate: int, stft: STFT | None = None) -> Dictionary:
        """Return the dictionary as it would have been learned with other settings, as near as can be told.

        Templates that lie wholly above the new half rate are left out; above the old half rate, the new ones
        are silent.

        Parameters
        ----------
        sample_rate : int
        stft : STFT, optional
            Default: a window of the same length in seconds, or nearly.

        Raises
        ------
        DictionaryError
            When nothing of a source lies below the new half rate.
        """
        if sample_rate < 1:
            raise OptionError(f"sample_rate={sample_rate}: it must be at least 1")
        stft = stft or STFT.lasting(self.stft.win_length / self.sample_rate, sample_rate)
        old, new = (self.stft, self.sample_rate), (stft, sample_rate)
        if old == new:
            return self
        found = convert_templates(self.templates, old, new, magnitude_power=self.magnitude_power)
        kept = np.flatnonzero(found.any(axis=0))
        if lost := set(self.sources) - {self.labels[k] for k in kept}:
            raise DictionaryError(
                f"nothing of {min(lost)!r} lies below {sample_rate / 2:g} Hz, half of the sample rate: "
                "leave it out, or use a higher rate"
            )
        return replace(
            self,
            templates=found[:, kept],
            labels=tuple(self.labels[k] for k in kept),
            sample_rate=sample_rate,
            stft=stft,
            energies=self.energies[kept],
            pitches=self.pitches[kept],
        )

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write it to a `.safetensors` file, whole or not at all; return the path.

        Raises
        ------
        OutputError
            When it cannot be written.
        """
        target = Path(path)
        facts = {f.name: getattr(self, f.name) for f in fields(self)}
        arrays = {name: facts.pop(name).T for name in ARRAYS}
        dictionary_format.write(target, arrays, facts)
        return target

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Dictionary:
        """Read a dictionary from a file; nothing in it is believed before it is checked.

        Raises
        ------
        DictionaryError
            Saying what is wrong with the file.
        """
        try:
            return cls(**dictionary_format.read(path))
        except (DictionaryError, OptionError) as error:
            raise DictionaryError(f"{path}: {error}") from None

    def __repr__(self) -> str:
        counts = ", ".join(f"{s}: {len(m)} template{'s' * (len(m) > 1)}" for s, m in self.members.items())
        stft = f"n_fft {self.stft.n_fft}, hop {self.stft.hop_length}, {self.stft.window}"
        return (
            f"Dictionary({counts}; {self.sample_rate} Hz, {stft}, "
            f"exponent {self.magnitude_power:g}, beta {self.beta:g})"
        )

    def _repr_html_(self) -> str:
        from nmfaudio.plots.templates import as_html, plot_dictionary

        return as_html(repr(self), plot_dictionary(self))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Dictionary):
            return NotImplemented
        pairs = ((getattr(self, f.name), getattr(other, f.name)) for f in fields(self))
        return all(np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b for a, b in pairs)

    __hash__ = None  # type: ignore[assignment]


def check_known(labels: Sequence[str], known: Sequence[str]) -> None:
    """Check that there is a source of each of the names.

    Raises
    ------
    OptionError
        Naming one that is not there, and those that are.
    """
    for label in labels:
        if label not in known:
            raise OptionError(f"there is no source {label!r} in the dictionary: it has {', '.join(known)}")
    if not labels:
        raise OptionError(f"no source is named: use one of {', '.join(known)}")


def unit_sum(templates: NDArray[Any]) -> NDArray[np.float32]:
    """Return templates whose columns sum to one; those that do already stay as they are, bit by bit."""
    total = templates.sum(axis=0, dtype=np.float64)
    if not (total > 0).all():
        raise DictionaryError(f"template {int(np.argmin(total > 0)) + 1} is silent: leave it out")
    scale = np.where(np.abs(total - 1) < 1e-5, 1.0, total)
    return np.ascontiguousarray((templates / scale).astype(np.float32))


def _checked(array: Any, name: str) -> NDArray[np.float32]:
    found = np.array(array, np.float32)
    if found.size and not (found.min() >= 0 and found.max() < np.inf):
        raise DictionaryError(f"{name} hold negative or non-finite numbers: learn the dictionary again")
    return found
