"""Separate sound in memory, or a file on disk."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from nmfaudio.errors import InputError, OptionError
from nmfaudio.models.contract import Separator
from nmfaudio.models.selection import StemChoice
from nmfaudio.pipeline.announcements import announce
from nmfaudio.pipeline.fitting import Fitted, Report, fit
from nmfaudio.pipeline.manifest import finished
from nmfaudio.pipeline.overlap_add import StemStream
from nmfaudio.pipeline.passage_choice import PassageChoice
from nmfaudio.pipeline.registry import default_name, make
from nmfaudio.pipeline.separated import Separation
from nmfaudio.pipeline.stem_evidence import EvidenceMeter
from nmfaudio.pipeline.stem_file import check_stem_file, write_stem_file
from nmfaudio.pipeline.stems import existing_stems, write_stems
from nmfaudio.pipeline.target import DEFAULT_FILENAME, Result, Target, Written, track_name
from nmfaudio.sound.audio import Audio
from nmfaudio.sound.encoding import stem_encoding
from nmfaudio.sound.files import AudioFile, read
from nmfaudio.sound.passage import Passage
from nmfaudio.sound.stem_format import StemFormat

Distribute = Callable[[Fitted, Target], Callable[[], StemStream]]


def separate(
    mixture: Audio | str | os.PathLike[str],
    separator: str | Separator | None = None,
    *,
    only: Iterable[str] = (),
    without: Iterable[str] = (),
    start: float | None = None,
    end: float | None = None,
    report: Report | None = None,
    phase_rounds: int = 0,
    **options: Any,
) -> Separation:
    """Separate a mixture into stems, in memory.

    Warnings about the result, such as that the mixture is silent, are issued by the `warnings` module with
    the category `NmfaudioWarning`, and are also in `result.warnings`. Notes, such as which separator was
    chosen, go to the logger `nmfaudio` at level INFO, and are also in `result.messages`.

    Parameters
    ----------
    mixture : Audio or path-like
        Sound, or the file to read it from.
    separator : str or Separator, optional
        Name of an installed separator, or a separator object. By default `auto`, which analyses the mixture
        and reports what it chose; or `blind` where options are given that only `blind` has.
    only : iterable of str
        Stems to keep; by default all.
    without : iterable of str
        Sources to leave out of a single stem, which is the sum of all others.
    start, end : float, optional
        Times in seconds of the passage to separate; negative times are counted from the end. By default, the
        whole recording is separated.
    report : callable, optional
        Takes a `Progress` now and then; may raise an exception to stop the work.
    phase_rounds : int
        Number of rounds in which the phases of the stems are made to agree from frame to frame (see
        `nmfaudio.models.phase.invert_together`). Where sources are separated well already, one to three
        rounds gain some tenths of a dB; elsewhere they may lose as much. 0 keeps the phases of the mixture.
    **options
        Options of the separator that is named, such as `sources=3`, `seed=1`.

    Returns
    -------
    Separation

    Raises
    ------
    AudioFileError
        When the file cannot be read.
    OptionError
        When the separator lacks an option, or a stem is chosen that does not exist.
    SeparatorError
        When the separator does not exist or fails.

    Examples
    --------
    >>> noise = np.random.default_rng(0).standard_normal((2, 8000)) / 8
    >>> separation = separate(Audio(noise, 8000), sources=2)
    >>> len(separation.stems)
    2
    >>> difference = sum(stem.samples for stem in separation.stems.values()) - noise
    >>> bool(np.abs(difference).max() < 1e-12)
    True
    """
    start_time = time.perf_counter()
    audio = _passage_in_memory(mixture, PassageChoice(start, end))
    chosen, choice = _separator(separator, options), _choice(only, without)
    fitted = fit(audio, chosen, report=report, phase_rounds=phase_rounds, choice=choice)
    samples = {name: np.empty(audio.samples.shape) for name in fitted.sources}
    position = 0
    meter = EvidenceMeter(fitted)
    for piece, stem_pieces in meter.watching(fitted.stems()):
        for name, stem_piece in stem_pieces.items():
            samples[name][:, position : position + piece.shape[1]] = stem_piece
        position += piece.shape[1]
    stems = {name: Audio(s, audio.sample_rate, audio.encoding, name) for name, s in samples.items()}
    written, unwritten = ({n: stems[n] for n in names} for names in (fitted.written, fitted.unwritten))
    result = replace(_result(chosen, fitted, start_time, phase_rounds, choice), confidence=meter.confidence())
    announce(result.messages, result.warnings)
    return Separation(audio, written, result, unwritten, fitted)


def separate_file(
    path: str | os.PathLike[str],
    folder: str | os.PathLike[str] = "separated",
    separator: str | Separator | None = None,
    *,
    only: Iterable[str] = (),
    without: Iterable[str] = (),
    start: float | None = None,
    end: float | None = None,
    in_place: bool = False,
    stem_file: bool = False,
    keep: bool = False,
    format: str | None = None,
    subtype: str | None = None,
    filename: str = DEFAULT_FILENAME,
    overwrite: bool = False,
    clip_mode: str = "clamp",
    labels: str | None = None,
    strict: bool = False,
    memory: int = 0,
    resume: bool = False,
    report: Report | None = None,
    phase_rounds: int = 0,
    distribute: Distribute | None = None,
    **options: Any,
) -> Written:
    """Separate a file into stems on disk, reading and writing block by block.

    Warnings and notes are issued as by `separate`.

    Parameters
    ----------
    path : path-like
        Any audio file that can be read.
    folder : path-like
        Folder of the stems, whose names follow `filename`.
    separator, only, without, start, end, report, phase_rounds, **options
        The same as for `separate`.
    in_place : bool
        Whether the stems of a passage are as long as the recording, with silence before and after it.
    stem_file : bool
        Whether to write, beside the stems, one `.stem.mp4` file of the mixture and up to four stems for DJ
        software. It needs PyAV, and memory for the whole recording.
    keep : bool
        Whether to keep the components in a file beside the manifest, for pictures, listening and regrouping.
    format, subtype, filename, overwrite, clip_mode, labels
        The same as for `Separation.write`.
    strict : bool
        Whether a file that ends before its header says is an error; else its existing samples are used.
    memory : int
        Number of bytes that arrays as large as the whole spectrogram may take in memory together; beyond it
        they lie in temporary files. 0 means a quarter of the memory of the machine.
    resume : bool
        Whether to keep existing stems whose manifest says that this call would make the same, and to replace
        all others.
    distribute : callable, optional
        Function that takes the fitted mixture and the target, and returns a function that yields the stems as
        `Fitted.stems` does. A cluster uses it to make them on several workers.

    Returns
    -------
    Written
        Paths and levels of the stems, path of the manifest, and warnings.

    Raises
    ------
    AudioFileError, OptionError, SeparatorError, OutputError
        The same as for `separate` and `Separation.write`. No stem is left half-written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     written = separate_file("audio_samples/drum_loop.flac", folder)
    ...     print(*(stem.path.name for stem in written.stems.values()))
    kick.flac snare.flac hihat.flac
    """
    chosen, choice = _separator(separator, options), _choice(only, without)
    passage_choice = PassageChoice(start, end, in_place)
    with AudioFile(path, strict=strict) as source:
        target = Target(
            Path(folder),
            source.name if source.name == "stdin" else track_name(path),
            stem_encoding(source.encoding, format, subtype),
            filename=filename,
            overwrite=overwrite or resume,
            clip_mode=clip_mode,
            phase_rounds=phase_rounds,
            choice=choice,
            passage=passage_choice,
            labels=labels,
            keep=keep,
        )
        if resume and (document := finished(target, chosen, source.sha256)):
            return existing_stems(document, target, chosen)
        target.check_free([])
        if stem_file:
            check_stem_file(target)
        form = StemFormat(source.sample_rate, source.channels, source.length, target.encoding)
        form.check(target.stem("stem"))
        start_time = time.perf_counter()
        passage = passage_choice.of(source)
        try:
            fitted = fit(
                passage, chosen, report=report, memory=memory, phase_rounds=phase_rounds, choice=choice
            )
        except InputError as error:
            raise error if str(path) in str(error) else _with_path(error, path) from None
        target.check_free(fitted.written)
        if stem_file:
            check_stem_file(target, len(fitted.written))
        result = _result(chosen, fitted, start_time, phase_rounds, choice)
        stems = distribute(fitted, target) if distribute else fitted.stems
        recording, pieces = passage_choice.placed(stems, passage)
        kept = fitted.find_components() if keep else None
        meter = EvidenceMeter(fitted)
        written = write_stems(
            recording,
            fitted.written,
            lambda: meter.watching(pieces()),
            target,
            result,
            kept,
            meter.confidence,
        )
    if stem_file:
        write_stem_file(path, passage_choice, written, target)
    announce(written.result.messages, written.warnings)
    return written


def _separator(separator: str | Separator | None, options: dict[str, Any]) -> Separator:
    separator = separator or default_name(options)
    if isinstance(separator, str):
        return make(separator, **options)
    if options:
        raise InputError(
            f"options {sorted(options)} belong to a separator given by name: set them in its constructor"
        )
    return separator


def _passage_in_memory(mixture: Audio | str | os.PathLike[str], passage: PassageChoice) -> Audio:
    """Return a recording, or a passage of it, as samples in memory."""
    audio = mixture if isinstance(mixture, Audio) else read(mixture)
    part = passage.of(audio)
    return audio.cut(part.start, part.stop) if isinstance(part, Passage) else audio


def _choice(only: Iterable[str], without: Iterable[str]) -> StemChoice:
    """Return the chosen stems; one name alone may be given as a text."""
    names = ((given,) if isinstance(given, str) else tuple(given) for given in (only, without))
    return StemChoice(*names)


def _result(
    separator: Separator, fitted: Fitted, start: float, phase_rounds: int, choice: StemChoice
) -> Result:
    seconds = time.perf_counter() - start
    return Result(
        separator, fitted.factorization, fitted.messages, fitted.warnings, seconds, phase_rounds, choice
    )


def _with_path(error: InputError, path: str | os.PathLike[str]) -> InputError:
    """Return the error with the path of the file in front of its message."""
    message = f"{os.fsdecode(path)}: {error}"
    if isinstance(error, OptionError):
        return type(error)(message, option=error.option)
    return type(error)(message)
