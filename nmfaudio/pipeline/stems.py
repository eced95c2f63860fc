"""Stems of a mixture to files, with the manifest beside them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from nmfaudio.models.contract import Separator
from nmfaudio.pipeline import manifest
from nmfaudio.pipeline.target import Result, Target, Written
from nmfaudio.sound.audio import Samples, SampleSource
from nmfaudio.sound.encoding import float_encoding
from nmfaudio.sound.stem_files import StemFiles, WrittenStem
from nmfaudio.sound.stem_format import StemFormat

Pieces = Iterable[tuple[Samples, Mapping[str, Samples]]]


def write_stems(
    source: SampleSource,
    sources: Iterable[str],
    pieces: Callable[[], Pieces],
    target: Target,
    result: Result,
) -> Written:
    """Write stems and their manifest, so that all appear whole or none does.

    Parameters
    ----------
    source : SampleSource
        The mixture.
    sources : iterable of str
        Names of the stems.
    pieces : callable
        Gives the mixture and its stems piece by piece; called again where they clip and may not.
    target : Target
    result : Result
        The time that writing takes is added to its seconds.

    Raises
    ------
    OutputError
        When they cannot be written.
    """
    began, names = time.perf_counter(), tuple(sources)
    files, used, gain = _written(source, names, pieces(), target, 1.0), target, 1.0
    if target.clip_mode != "clamp" and any(stem.clipped for stem in files.stems.values()):
        files.discard()
        used, gain = _without_clipping(target, files)
        used.check_free(names)
        files = _written(source, names, pieces(), used, gain)
    with files:
        files.close()
        told = (*result.warnings, *files.stem_format.warnings, *_clipping(files.stems, used, gain))
        seconds = result.seconds + time.perf_counter() - began
        written = Written(files.stems, used.manifest, replace(result, seconds=seconds), told, gain)
        paths = {name: stem.path for name, stem in files.stems.items()}
        obsolete = manifest.older_stems(target, paths) if target.overwrite else []
        document = manifest.content(source, written, replace(used, encoding=target.encoding), used.encoding)
        files.commit({used.manifest: document}, obsolete)
        return written


def written_before(found: Mapping[str, Any], target: Target, separator: Separator) -> Written:
    """Return what a manifest says of stems that are there."""
    folder = target.manifest.parent
    stems = {
        name: WrittenStem(folder / stem["file"], stem["peak"], stem["share"], stem["clipped"], stem["bytes"])
        for name, stem in found["stems"].items()
    }
    result = Result(separator, None, tuple(found["notes"]), (), found["seconds"])
    return Written(stems, target.manifest, result, tuple(found["warnings"]), found["written"]["gain"], True)


def _written(
    source: SampleSource, names: tuple[str, ...], pieces: Pieces, target: Target, gain: float
) -> StemFiles:
    """Write the stems to files that have no name yet."""
    paths = {name: target.stem(name) for name in names}
    metadata = source.metadata
    form = StemFormat(source.sample_rate, source.channels, source.length, target.encoding, metadata)
    files = StemFiles(paths, form, overwrite=target.overwrite)
    try:
        for mixture, parts in pieces:
            if gain == 1:
                files.write(mixture, parts)
            else:
                files.write(mixture * gain, {name: part * gain for name, part in parts.items()})
    except BaseException:
        files.discard()
        raise
    return files


def _without_clipping(target: Target, files: StemFiles) -> tuple[Target, float]:
    """Return where stems go that did clip, and the gain that they need there."""
    if target.clip_mode == "float":
        return replace(target, encoding=float_encoding(target.encoding)), 1.0
    full = 1 << ((target.encoding.bits or 16) - 1)
    return target, (full - 2) / full / max(stem.peak for stem in files.stems.values())


def _clipping(stems: Mapping[str, WrittenStem], target: Target, gain: float) -> list[str]:
    if gain != 1:
        return [f"the stems are {-20 * np.log10(gain):.1f} dB quieter than they were, lest they clip"]
    told = []
    for name, stem in stems.items():
        if stem.clipped:
            over = 20 * np.log10(stem.peak)
            told.append(
                f"{name}: {stem.clipped} samples beyond full scale (peak {over:+.1f} dBFS) were clipped in "
                f"{target.encoding.subtype}, and there the stems do not sum to the mixture: use "
                "--subtype FLOAT, or --clip-mode rescale or float"
            )
    return told
