"""Write the stems of a mixture to files, with the manifest beside them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from nmfaudio.models import components_file
from nmfaudio.models.components import Components
from nmfaudio.models.contract import Separator
from nmfaudio.pipeline import manifest
from nmfaudio.pipeline.confidence import Confidence
from nmfaudio.pipeline.sounding import LevelMeter, label_file
from nmfaudio.pipeline.target import Result, Target, Written
from nmfaudio.sound.encoding import float_encoding
from nmfaudio.sound.source import Samples, SampleSource
from nmfaudio.sound.stem_files import StemFiles, WrittenStem
from nmfaudio.sound.stem_format import StemFormat

Pieces = Iterable[tuple[Samples, Mapping[str, Samples]]]


def write_stems(
    source: SampleSource,
    sources: Iterable[str],
    pieces: Callable[[], Pieces],
    target: Target,
    result: Result,
    components: Components | None = None,
    judge: Callable[[], Mapping[str, Confidence]] | None = None,
) -> Written:
    """Write stems and their manifest. Either all of them appear, whole, or none does.

    Parameters
    ----------
    source : SampleSource
        The mixture.
    sources : iterable of str
        Names of the stems.
    pieces : callable
        Returns the mixture and its stems piece by piece. It is called a second time where stems clip although
        `target.clip_mode` forbids it.
    target : Target
        Where the stems go.
    result : Result
        The separation; the time of writing is added to its seconds.
    components : Components, optional
        Components to keep beside the manifest.
    judge : callable, optional
        Returns the confidence in each stem once all pieces were written.

    Raises
    ------
    OutputError
        When a file cannot be written.
    """
    start, names = time.perf_counter(), tuple(sources)
    meter = LevelMeter(names, source.sample_rate) if target.labels else None
    watched = meter.watching(pieces()) if meter else pieces()
    files, used, gain = _unplaced_files(source, names, watched, target, 1.0), target, 1.0
    if target.clip_mode != "clamp" and any(stem.clipped for stem in files.stems.values()):
        files.discard()
        used, gain = _without_clipping(target, files)
        used.check_free(names)
        files = _unplaced_files(source, names, pieces(), used, gain)
    with files:
        files.close()
        warnings = (
            *result.warnings,
            *files.stem_format.warnings,
            *_clipping_warnings(files.stems, used, gain),
        )
        if judge:
            result = replace(result, confidence=judge())
        seconds = result.seconds + time.perf_counter() - start
        written = Written(
            files.stems,
            used.manifest,
            replace(result, seconds=seconds),
            warnings,
            gain,
            metadata_lost=files.stem_format.losses,
            labels=used.label_path,
            unwritten_energy=files.unwritten_energy,
        )
        kept = {} if components is None else {used.components: components_file.content(components)}
        labels = _label_file(meter, used, gain)
        new = [*(stem.path for stem in files.stems.values()), *kept, *labels]
        obsolete = manifest.obsolete_files(target, new) if target.overwrite else []
        recorded = replace(used, encoding=target.encoding)
        document = manifest.content(source, written, recorded, used.encoding, kept)
        files.commit({**kept, **labels, used.manifest: document}, obsolete)
        return written


def existing_stems(document: Mapping[str, Any], target: Target, separator: Separator) -> Written:
    """Return what a manifest says of stems that exist already."""
    folder = target.manifest.parent
    stems = {
        name: WrittenStem(folder / stem["file"], stem["peak"], stem["share"], stem["clipped"], stem["bytes"])
        for name, stem in document["stems"].items()
    }
    confidence = {
        name: Confidence.of(stem["confidence"])
        for name, stem in document["stems"].items()
        if "confidence" in stem
    }
    notes, seconds = tuple(document["notes"]), document["seconds"]
    result = Result(separator, None, notes, (), seconds, confidence=confidence)
    warnings, gain = tuple(document["warnings"]), document["written"]["gain"]
    unwritten = max(0.0, 1 - sum(stem.energy for stem in stems.values()))
    return Written(
        stems,
        target.manifest,
        result,
        warnings,
        gain,
        already_there=True,
        labels=target.label_path,
        unwritten_energy=unwritten,
    )


def _unplaced_files(
    source: SampleSource, names: tuple[str, ...], pieces: Pieces, target: Target, gain: float
) -> StemFiles:
    """Write the stems to files that do not have their names yet."""
    paths = {name: target.stem(name) for name in names}
    metadata = source.metadata
    form = StemFormat(source.sample_rate, source.channels, source.length, target.encoding, metadata)
    files = StemFiles(paths, form, overwrite=target.overwrite)
    try:
        for mixture, stems in pieces:
            if gain == 1:
                files.write(mixture, stems)
            else:
                files.write(mixture * gain, {name: stem * gain for name, stem in stems.items()})
    except BaseException:
        files.discard()
        raise
    return files


def _label_file(meter: LevelMeter | None, target: Target, gain: float) -> dict[Path, bytes]:
    """Return the label file by its path; empty where none was asked for."""
    if meter is None or target.labels is None or target.label_path is None:
        return {}
    return {target.label_path: label_file(meter.passages(gain), target.labels)}


def _without_clipping(target: Target, files: StemFiles) -> tuple[Target, float]:
    """Return a target and a gain with which stems that clipped do not clip."""
    if target.clip_mode == "float":
        return replace(target, encoding=float_encoding(target.encoding)), 1.0
    full_scale = 1 << ((target.encoding.bits or 16) - 1)
    return target, (full_scale - 2) / full_scale / max(stem.peak for stem in files.stems.values())


def _clipping_warnings(stems: Mapping[str, WrittenStem], target: Target, gain: float) -> list[str]:
    if gain != 1:
        return [f"all stems were made {-20 * np.log10(gain):.1f} dB quieter to prevent clipping"]
    warnings = []
    for name, stem in stems.items():
        if stem.clipped:
            excess = 20 * np.log10(stem.peak)
            warnings.append(
                f"{name}: {stem.clipped} samples beyond full scale (peak {excess:+.1f} dBFS) were clipped in "
                f"{target.encoding.subtype}. There the stems do not sum to the mixture: use "
                'subtype="FLOAT", or clip_mode="rescale" or clip_mode="float"'
            )
    return warnings
