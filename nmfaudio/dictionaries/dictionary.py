"""The dictionary: templates with the names of their sources."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
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
_HIGHEST_RATE = 1 << 22  # Hz


@dataclass(frozen=True)
class Dictionary:
    """Templates with the name of the source that each belongs to.

    Parameters
    ----------
    templates : array_like, shape (bins, components)
        Templates; not negative. They are stored as a read-only copy in float32 whose columns sum to one.
    labels : sequence of str, shape (components,)
        Name of each template's source. Labels become names of files.
    sample_rate : int
        Sample rate of the templates in Hz.
    stft : STFT
        STFT settings of the templates.
    magnitude_power : float
        Power to which magnitudes were raised in the templates.
    beta : float
        Beta of the divergence that the templates were learned with.
    seed : int
        Seed of the random start of the learning.
    energies : array_like, shape (components,), optional
        Part of the energy of the source's recordings that each component has.
    pitches : array_like, shape (components,), optional
        Fundamental frequency of each template in Hz; 0 for templates without a pitch.
    clips : sequence of Clip
        Recordings that the dictionary was learned from.

    Raises
    ------
    DictionaryError
        When templates, labels or settings do not fit each other.

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
        self._set("templates", unit_sum(templates))
        for name in ARRAYS[1:]:
            values = _checked(getattr(self, name), name)
            if values.size and values.shape != (len(self.labels),):
                raise DictionaryError(
                    f"{name} have shape {values.shape}: with {len(self.labels)} components it must be "
                    f"{(len(self.labels),)}"
                )
            self._set(name, values if values.size else np.zeros(len(self.labels), np.float32))

    def _set(self, name: str, array: NDArray[np.float32]) -> None:
        array.flags.writeable = False
        object.__setattr__(self, name, array)

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the sources, in the order of their first templates."""
        return tuple(dict.fromkeys(self.labels))

    @property
    def members(self) -> dict[str, NDArray[np.intp]]:
        """Indices of the components of each source."""
        labels = np.array(self.labels)
        return {source: np.flatnonzero(labels == source) for source in self.sources}

    def pick(self, *labels: str) -> Self:
        """Return the dictionary of the named sources.

        Raises
        ------
        OptionError
            When the dictionary does not have one of the labels.
        """
        check_known(labels, self.sources)
        kept = np.flatnonzero(np.isin(np.array(self.labels), labels))
        return self._subset(kept, tuple(clip for clip in self.clips if clip.label in labels))

    def without(self, *labels: str) -> Self:
        """Return the dictionary of all sources except the named ones.

        Raises
        ------
        OptionError
            When the dictionary does not have one of the labels, or when no source remains.
        """
        check_known(labels, self.sources)
        rest = [source for source in self.sources if source not in labels]
        if not rest:
            raise OptionError(f"no source remains without {', '.join(labels)}: keep at least one")
        return self.pick(*rest)

    def keeping(self, kept: NDArray[np.intp]) -> Self:
        """Return the dictionary of the components with these indices."""
        return self._subset(kept, self.clips)

    def _subset(self, kept: NDArray[np.intp], clips: tuple[Clip, ...]) -> Self:
        return replace(
            self,
            templates=self.templates[:, kept],
            labels=tuple(self.labels[k] for k in kept),
            energies=self.energies[kept],
            pitches=self.pitches[kept],
            clips=clips,
        )

    def renamed(self, label: str) -> Self:
        """Return a dictionary of one source with this label, which has all templates."""
        return replace(
            self,
            labels=(label,) * len(self.labels),
            clips=tuple(replace(clip, label=label) for clip in self.clips),
        )

    @classmethod
    def join(cls, dictionaries: Iterable[Dictionary]) -> Dictionary:
        """Return one dictionary with the sources of several dictionaries.

        Dictionaries with other settings than the first are converted to the settings of the first.

        Raises
        ------
        DictionaryError
            When two dictionaries have a source of the same name, or different magnitude powers.
        """
        first, *others = tuple(dictionaries)
        joined = [first, *(other.to_settings(first.sample_rate, first.stft) for other in others)]
        sources: set[str] = set()
        for dictionary in joined:
            if duplicates := sources & set(dictionary.sources):
                raise DictionaryError(
                    f"two dictionaries have a source {min(duplicates)!r}: learn one under another label, "
                    "or leave one out"
                )
            if dictionary.magnitude_power != first.magnitude_power:
                raise DictionaryError(
                    f"magnitude_power={dictionary.magnitude_power:g}, but the first dictionary has "
                    f"{first.magnitude_power:g}: learn both with the same divergence"
                )
            sources |= set(dictionary.sources)
        return first._extended(joined[1:])

    def enriched(self, other: Dictionary) -> Dictionary:
        """Return this dictionary with the templates of another added; both may have the same sources."""
        return self._extended([other.to_settings(self.sample_rate, self.stft)])

    def _extended(self, others: Sequence[Dictionary]) -> Dictionary:
        dictionaries = [self, *others]
        return replace(
            self,
            templates=np.hstack([d.templates for d in dictionaries]),
            labels=tuple(label for d in dictionaries for label in d.labels),
            energies=np.concatenate([d.energies for d in dictionaries]),
            pitches=np.concatenate([d.pitches for d in dictionaries]),
            clips=tuple(clip for d in dictionaries for clip in d.clips),
        )

    def to_settings(self, sample_rate: int, stft: STFT | None = None) -> Dictionary:
        """Return an approximation of the dictionary as it would be with other settings.

        Templates whose power lies entirely above the new half rate are left out. Above the old half rate, the
        converted templates are zero.

        Parameters
        ----------
        sample_rate : int
            New sample rate in Hz.
        stft : STFT, optional
            New STFT settings. Default: a window of about the same length in seconds.

        Raises
        ------
        OptionError
            When the sample rate is below 1.
        DictionaryError
            When no template of a source lies below the new half rate.
        """
        if sample_rate < 1:
            raise OptionError(f"sample_rate={sample_rate}: it must be at least 1", option="sample_rate")
        stft = stft or STFT.lasting(self.stft.win_length / self.sample_rate, sample_rate)
        old, new = (self.stft, self.sample_rate), (stft, sample_rate)
        if old == new:
            return self
        converted = convert_templates(self.templates, old, new, magnitude_power=self.magnitude_power)
        kept = np.flatnonzero(converted.any(axis=0))
        if lost := set(self.sources) - {self.labels[k] for k in kept}:
            raise DictionaryError(
                f"nothing of {min(lost)!r} lies below {sample_rate / 2:g} Hz, half of the sample rate: "
                "leave it out, or use a higher rate"
            )
        return replace(
            self,
            templates=converted[:, kept],
            labels=tuple(self.labels[k] for k in kept),
            sample_rate=sample_rate,
            stft=stft,
            energies=self.energies[kept],
            pitches=self.pitches[kept],
        )

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the dictionary to a `.safetensors` file, completely or not at all, and return the path.

        Raises
        ------
        OutputError
            When the file cannot be written.
        DictionaryError
            When the file would be larger than `load` accepts.
        """
        target = Path(path)
        other_fields = {f.name: getattr(self, f.name) for f in fields(self)}
        arrays = {name: other_fields.pop(name).T for name in ARRAYS}
        dictionary_format.write(target, arrays, other_fields)
        return target

    def fingerprint(self) -> str:
        """Return a hash of everything that can affect stems: arrays, labels and settings.

        Two dictionaries with the same fingerprint give the same stems. The recordings and the seed do not
        enter the fingerprint.

        Examples
        --------
        >>> one, other = (Dictionary(np.eye(9, 1), [name], 8000, STFT(16)) for name in ("kick", "snare"))
        >>> one.fingerprint() == one.renamed("kick").fingerprint(), one.fingerprint() == other.fingerprint()
        (True, False)
        """
        stft, powers = asdict(self.stft), (float(self.magnitude_power), float(self.beta))
        digest = hashlib.sha256(json.dumps([self.labels, int(self.sample_rate), stft, powers]).encode())
        for name in ARRAYS:
            digest.update(np.ascontiguousarray(getattr(self, name), "<f4").tobytes())
        return digest.hexdigest()

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Dictionary:
        """Read a dictionary from a file. All content of the file is checked before it is used.

        Raises
        ------
        DictionaryError
            When the file cannot be read or is not a valid dictionary; the message says why.
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
        from nmfaudio.plots.figures import as_html
        from nmfaudio.plots.templates import plot_dictionary

        return as_html(repr(self), plot_dictionary(self))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Dictionary):
            return NotImplemented
        pairs = ((getattr(self, f.name), getattr(other, f.name)) for f in fields(self))
        return all(np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b for a, b in pairs)

    __hash__ = None  # type: ignore[assignment]


def check_known(labels: Sequence[str], known: Sequence[str]) -> None:
    """Check that there is a source with each of the labels.

    Raises
    ------
    OptionError
        When a label is unknown, or when there is no label. The message lists the known labels.
    """
    for label in labels:
        if label not in known:
            raise OptionError(f"there is no source {label!r} in the dictionary: it has {', '.join(known)}")
    if not labels:
        raise OptionError(f"no source is named: use one of {', '.join(known)}")


def unit_sum(templates: NDArray[Any]) -> NDArray[np.float32]:
    """Return templates whose columns sum to one. Columns that already do are not changed by any bit."""
    total = templates.sum(axis=0, dtype=np.float64)
    if not (total > 0).all():
        raise DictionaryError(f"template {int(np.argmin(total > 0)) + 1} is silent: leave it out")
    scale = np.where(np.abs(total - 1) < 1e-5, 1.0, total)
    return np.ascontiguousarray((templates / scale).astype(np.float32))


def _checked(array: Any, name: str) -> NDArray[np.float32]:
    checked = np.array(array, np.float32)
    if checked.size and not (checked.min() >= 0 and checked.max() < np.inf):
        raise DictionaryError(f"{name} hold negative or non-finite numbers: learn the dictionary again")
    return checked
