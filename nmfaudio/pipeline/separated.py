"""A mixture in memory, its stems and its components."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from nmfaudio.errors import InputError
from nmfaudio.models.components import Components
from nmfaudio.pipeline.announcements import announce
from nmfaudio.pipeline.component_sounds import in_memory, regrouped
from nmfaudio.pipeline.fitting import Fitted
from nmfaudio.pipeline.overlap_add import StemStream
from nmfaudio.pipeline.regrouping import Regrouping, complete_groups
from nmfaudio.pipeline.stems import write_stems
from nmfaudio.pipeline.target import Result, Target, Written
from nmfaudio.sound.audio import Audio
from nmfaudio.sound.encoding import stem_encoding


@dataclass(frozen=True)
class Separation:
    """A mixture in memory and its stems.

    Attributes
    ----------
    mixture : Audio
        The mixture.
    stems : dict of str to Audio
        Stems by name; they sum to the mixture unless only some of them were chosen.
    result : Result
        The separator with its options, messages, warnings and seconds.
    unwritten : dict of str to Audio
        Stems that were not chosen; empty where all were.

    Examples
    --------
    >>> from nmfaudio import separate
    >>> separate(Audio([0.5] * 9, 8000), sources=2)
    Separation(...: Audio(1 channels, 9 samples, 8000 Hz, 0.001 s))
    """

    mixture: Audio
    stems: dict[str, Audio]
    result: Result = field(repr=False)
    unwritten: dict[str, Audio] = field(default_factory=dict, repr=False)
    fitted: Fitted | None = field(default=None, repr=False)

    @cached_property
    def components(self) -> Components:
        """Templates and activations of the stems, computed at the first use."""
        if self.fitted is None:
            raise InputError("these stems were not made by a model, so they have no components")
        return self.fitted.find_components()

    def write(
        self,
        folder: str | os.PathLike[str],
        *,
        format: str | None = None,
        subtype: str | None = None,
        filename: str = "{stem}.{ext}",
        overwrite: bool = False,
        clip_mode: str = "clamp",
        keep: bool = False,
        labels: str | None = None,
    ) -> Written:
        """Write the stems and a manifest. Integer samples sum exactly to those of the mixture.

        Parameters
        ----------
        folder : path-like
            Folder of the stems; it is made where it is missing.
        format, subtype : str, optional
            Format and sample type, as libsndfile names them. By default those of the mixture where they lose
            nothing, else WAV with float samples.
        filename : str
            A pattern made of `{track}`, `{stem}` and `{ext}`.
        overwrite : bool
            Whether existing files may be replaced.
        clip_mode : {"clamp", "rescale", "float"}
            What happens where a stem exceeds the range of its encoding: its samples are clipped, or all stems
            are made quieter by the same factor, or all stems are written as floats.
        keep : bool
            Whether to keep the components in a file beside the manifest.
        labels : {"audacity", "csv"}, optional
            Format of a file `labels` beside the stems that says when each stem sounds, and how loud it is.

        Returns
        -------
        Written

        Raises
        ------
        OutputError
            When a file exists already or cannot be written. No file is left half-written.
        OptionError
            When the format cannot be written, or the pattern is malformed.
        """
        encoding = stem_encoding(self.mixture.encoding, format, subtype)
        target = Target(
            Path(folder),
            self.mixture.name,
            encoding,
            filename=filename,
            overwrite=overwrite,
            clip_mode=clip_mode,
            phase_rounds=self.result.phase_rounds,
            choice=self.result.choice,
            keep=keep,
            labels=labels,
        )
        target.check_free(self.stems)
        mixture = self.mixture.read(0, self.mixture.length)
        all_stems = {**self.stems, **self.unwritten}
        samples = {name: stem.read(0, stem.length) for name, stem in all_stems.items()}
        kept = self.components if keep else None
        written = write_stems(
            self.mixture, self.stems, lambda: [(mixture, samples)], target, self.result, kept
        )
        announce((), written.warnings[len(self.result.warnings) :])  # those of `separate` were issued by it
        return written

    def component(self, number: int) -> Audio:
        """Return the sound of a component; the components of a stem sum to the stem.

        Parameters
        ----------
        number : int
            Number of the component, from 1, as in `components.parts`.

        Raises
        ------
        InputError
            When there is no such component, or some stems are not there.
        """
        part = self.components.part(number)
        others = [other.number for other in self.components.parts if other.number != number]
        groups = {part.name: [number], "others": others} if others else {part.name: [number]}
        samples = in_memory(self._regrouped(groups), [part.name])[part.name]
        return Audio(samples, self.mixture.sample_rate, self.mixture.encoding, part.name)

    def regroup(self, groups: Mapping[str, Iterable[int]]) -> Separation:
        """Return stems that are put together from other components.

        Parameters
        ----------
        groups : mapping of str to iterable of int
            Numbers of the components of each new stem. Components that are not named stay in their stems.

        Returns
        -------
        Separation
            Its stems sum to the mixture as those of this one do.

        Raises
        ------
        OptionError
            When a component does not exist or is in two groups, or a group is empty.
        InputError
            When some stems are not there.

        Examples
        --------
        >>> from nmfaudio import separate
        >>> sound = Audio([0.5, -0.25, 0.125, 0.0] * 1000, 8000)
        >>> separation = separate(sound, sources=2, components=4)
        >>> list(separation.regroup({"first": [1], "rest": [2, 3, 4]}).stems)
        ['first', 'rest']
        """
        complete = complete_groups(groups, self.components)
        samples = in_memory(self._regrouped(complete), list(complete))
        rate, encoding = self.mixture.sample_rate, self.mixture.encoding
        stems = {name: Audio(values, rate, encoding, name) for name, values in samples.items()}
        result = replace(
            self.result,
            separator=Regrouping(self.mixture.name, complete),
            factorization=None,
            messages=(),
            confidence={},
        )
        return Separation(self.mixture, stems, result)

    def _regrouped(self, groups: Mapping[str, Sequence[int]]) -> StemStream:
        if self.unwritten:
            raise InputError(
                "some stems were left out, so components cannot be regrouped: separate without only=... "
                "and without=..."
            )
        return regrouped(self.stems, self.components, groups)

    def _repr_html_(self) -> str:
        from nmfaudio.plots.notebook import sounds_html

        return sounds_html({f"mixture: {self.mixture.name}": self.mixture, **self.stems})

    def __repr__(self) -> str:
        return f"Separation({', '.join(self.stems)}: {self.mixture!r})"
