"""Files of regrouped stems and of single components, made of a finished run or of a separation in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nmfaudio.models.components import Components
from nmfaudio.pipeline.component_sounds import regrouped
from nmfaudio.pipeline.regrouping import Groups, Regrouping
from nmfaudio.pipeline.stems import write_stems
from nmfaudio.pipeline.target import Result, Target, Written
from nmfaudio.sound.encoding import stem_encoding
from nmfaudio.sound.source import SampleSource
from nmfaudio.sound.sum_of_sources import SumOfSources

FILENAME = "{stem}.{ext}"


@dataclass(frozen=True)
class RegroupTarget:
    """Where regrouped stems go and how they are encoded.

    Attributes
    ----------
    folder : Path
    format, subtype : str, optional
        Format and sample type; by default those of the stems.
    overwrite : bool
        Whether existing files may be replaced.
    """

    folder: Path
    format: str | None = None
    subtype: str | None = None
    overwrite: bool = False


def component_groups(components: Components) -> Groups:
    """Return a group for each part, whose name begins with the number of the part."""
    width = len(str(len(components.parts)))
    return {f"{part.number:0{width}d} {part.name}": (part.number,) for part in components.parts}


def write_groups(
    stems: Mapping[str, SampleSource],
    components: Components,
    groups: Groups,
    origin: str,
    target: RegroupTarget,
) -> Written:
    """Write new stems; they sum to the old ones, sample by sample.

    Parameters
    ----------
    stems : mapping of str to SampleSource
        All stems of a separation.
    components : Components
        Their components.
    groups : dict of str to tuple of int
        Numbers of the components of each new stem; each component is in one of them.
    origin : str
        Where the stems come from, for the manifest.
    target : RegroupTarget
    """
    mixture = SumOfSources(list(stems.values()), origin)
    encoding = stem_encoding(mixture.encoding, target.format, target.subtype)
    files = Target(target.folder, Path(origin).name, encoding, filename=FILENAME, overwrite=target.overwrite)
    files.check_free(groups)
    result = Result(Regrouping(origin, dict(groups)), None, (), (), 0.0)
    return write_stems(mixture, groups, lambda: regrouped(stems, components, groups), files, result)
